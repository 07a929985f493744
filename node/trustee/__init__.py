"""The trustee: opens each total once, over a proven list."""
