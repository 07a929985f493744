"""Indexes for jobs that read every row before: certificates by consent, and the last intent by publication.

``certificate_consent`` is filled from the certificates there are. ``last_intent`` stays empty: the department
fills it from its replica when it looks for publications to retire.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AT_ONCE = 500
CERTIFICATE = sa.table("certificate", sa.column("query"), sa.column("document"))
CERTIFICATE_CONSENT = sa.table("certificate_consent", sa.column("consent"), sa.column("query"))


def upgrade() -> None:
    """Create the tables; fill the first."""
    op.create_table(
        "certificate_consent",
        sa.Column("consent", sa.String(length=64), nullable=False),
        sa.Column("query", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("consent", "query"),
    )
    op.create_table(
        "last_intent",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("publication", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "publication"),
    )
    _fill(op.get_bind())


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("last_intent")
    op.drop_table("certificate_consent")


def _fill(connection: sa.Connection) -> None:
    """A row for each consent that a certificate rests on."""
    last = ""
    while True:
        after = sa.select(CERTIFICATE).where(CERTIFICATE.c.query > last).order_by(CERTIFICATE.c.query)
        rows = connection.execute(after.limit(AT_ONCE)).all()
        found = [
            {"consent": consent, "query": row.query}
            for row in rows
            for consent in sorted(set(json.loads(row.document)["openings"]["consents"]))
        ]
        if found:
            connection.execute(sa.insert(CERTIFICATE_CONSENT), found)
        if len(rows) < AT_ONCE:
            return
        last = rows[-1].query
