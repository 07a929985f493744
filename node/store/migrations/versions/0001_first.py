"""Tables of the first version: the node's own and the ledger's.

Written out, not taken from ``node.store.tables``: a revision says what the tables were then, whatever they
have become since.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "allowed_question",
    "answer",
    "certificate",
    "consent",
    "journal",
    "ledger_witness",
    "log_entry",
    "log_head",
    "log_refusal",
    "log_state",
    "log_tile",
    "office_check",
    "outbox",
    "own_publication",
    "release",
    "released_row",
    "replica_entry",
    "replica_head",
    "replica_state",
    "replica_tile",
    "rule_text",
    "subject",
    "verified_publication",
)


def upgrade() -> None:
    """Create every table."""
    _create_own()
    _create_ledger()


def downgrade() -> None:
    """Drop every table."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _create_own() -> None:
    """The roles' tables."""
    op.create_table(
        "allowed_question",
        sa.Column("case_number", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_number", "month"),
    )
    op.create_table(
        "answer",
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("elements", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("query", "dataset"),
    )
    op.create_table(
        "certificate",
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("query"),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("case_number", sa.String(length=64), nullable=False),
        sa.Column("identifier", sa.String(length=256), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_case_number", "consent", ["case_number"], unique=False)
    op.create_table(
        "journal",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("result", sa.String(length=96), nullable=False),
        sa.Column("reported", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "office_check",
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("case_number", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("query"),
    )
    op.create_index("ix_office_check_case_number", "office_check", ["case_number"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=96), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "own_publication",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("publication", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "publication"),
    )
    op.create_table(
        "release",
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("case_index", sa.Integer(), nullable=False),
        sa.Column("list", sa.String(length=64), nullable=False),
        sa.Column("share", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("query", "case_index"),
    )
    op.create_table(
        "released_row",
        sa.Column("row", sa.String(length=256), nullable=False),
        sa.Column("terms", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("row"),
    )
    op.create_table(
        "rule_text",
        sa.Column("rules", sa.String(length=160), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("rules"),
    )
    op.create_table(
        "subject",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=16), nullable=False),
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("subject", "query", "month"),
    )
    op.create_table(
        "verified_publication",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("publication", sa.String(length=64), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "publication"),
    )


def _create_ledger() -> None:
    """The log's, the replica's and the witness's tables."""
    op.create_table(
        "ledger_witness",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin"),
    )
    op.create_table(
        "log_entry",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=True),
        sa.Column("entry_type", sa.String(length=65), nullable=True),
        sa.Column("void", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("ix_log_entry_entry_id", "log_entry", ["entry_id"], unique=False)
    op.create_index("ix_log_entry_entry_type", "log_entry", ["entry_type"], unique=False)
    op.create_index("ix_log_entry_leaf_hash", "log_entry", ["leaf_hash"], unique=False)
    op.create_table(
        "log_head",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "log_refusal",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "log_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "log_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "replica_entry",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=True),
        sa.Column("entry_type", sa.String(length=65), nullable=True),
        sa.Column("void", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("ix_replica_entry_entry_id", "replica_entry", ["entry_id"], unique=False)
    op.create_index("ix_replica_entry_entry_type", "replica_entry", ["entry_type"], unique=False)
    op.create_index("ix_replica_entry_leaf_hash", "replica_entry", ["leaf_hash"], unique=False)
    op.create_table(
        "replica_head",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "replica_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "replica_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
