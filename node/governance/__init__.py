"""Governance: rule sets and grants."""
