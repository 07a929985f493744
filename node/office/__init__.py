"""The office: it runs checks and builds reports."""
