"""Governance: rule sets, grants, and the entries that people sign."""
