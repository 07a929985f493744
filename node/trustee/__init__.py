"""The trustee: it opens a total over a proven list, once."""
