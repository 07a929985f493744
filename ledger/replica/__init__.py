"""Replica: a verified copy of the log in a node's database."""
