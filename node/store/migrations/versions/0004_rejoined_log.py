"""Logs of others that a restored witness may cosign again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rejoined_log",
        sa.Column("restore", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("restore", "origin"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("rejoined_log")
