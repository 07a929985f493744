"""Tables of a restored home: the marker of each restore, and the records that it must keep permanently."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "restored",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("backup", sa.String(length=64), nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("fence_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("restored")
