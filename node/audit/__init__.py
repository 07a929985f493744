"""Auditing: verifying publications, and reconciling journals with the ledger."""
