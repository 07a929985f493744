"""A department: publishing datasets and answering questions."""
