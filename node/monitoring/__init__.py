"""Monitoring: health of a node and of the ledger as the node sees it."""
