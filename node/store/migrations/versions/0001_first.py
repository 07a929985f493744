"""Tables of the first version: the node's own and the ledger's."""

from __future__ import annotations

from alembic import op

from ledger.tables import METADATA
from node.store.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())
    METADATA.create_all(op.get_bind())


def downgrade() -> None:
    """Drop every table."""
    METADATA.drop_all(op.get_bind())
    metadata.drop_all(op.get_bind())
