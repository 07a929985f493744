"""Monitoring: health of the ledger at this node, and timings."""
