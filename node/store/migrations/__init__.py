"""Alembic revisions of a node's database."""
