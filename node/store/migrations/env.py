"""Alembic's entry: runs the revisions over the connection that ``node.store.opening`` hands in."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
