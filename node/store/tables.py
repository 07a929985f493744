"""Tables of a node's own database, by role. The ledger's tables are in ``ledger.storage.database``.

Identifiers stand in two tables only, both in the home that owns the data: ``consent`` (registrar) and
``application`` (office). Everything else holds commitments, digests and counts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData()

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("state", String(96), nullable=False),  # "waiting" | "final" | "refused:<code>"
    Column("created", BigInteger, nullable=False),
)
"""Entries on their way to the ledger, written in the transaction of what they record, sent until final."""

journal = Table(
    "journal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("peer", String(64), nullable=False),
    Column("query", String(64), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("result", String(96), nullable=False),
    Column("reported", Integer, nullable=False),
    Column("kind", String(16), nullable=False, server_default=""),
    Column("case_index", Integer, nullable=True),
    Column("record", String(64), nullable=False, server_default=""),
)
"""Every answer, refusal and release of this node, without identities.

``kind`` says what stands for the line on the ledger, ``record`` is the hex digest that the entry carries:

    answer      under a valid intent: ``query.answer`` with this ``response``; no record where an earlier
                refusal is on the ledger already
    incident    without one: the ``incident`` with this ``commitment``; no record until it is counted
    release     a trustee's share for ``case_index``: ``share.release`` with this ``list``
"""

own_publication = Table(
    "own_publication",
    metadata,
    Column("dataset", String(128), nullable=False),
    Column("publication", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # "building" | "published" | "destroyed"
    Column("details", Text, nullable=False),
    PrimaryKeyConstraint("dataset", "publication"),
)
"""Department: its publications and how far each has come."""

answer = Table(
    "answer",
    metadata,
    Column("query", String(64), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("elements", String(64), nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("query", "dataset"),
)
"""Department: the answers given, so that a repeated question gets the same one."""

consent = Table(
    "consent",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("case_number", String(64), nullable=False, index=True),
    Column("identifier", String(256), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("commitment", String(64), nullable=False),
    Column("salt", String(64), nullable=False),
)
"""Registrar: consents as its clerks or the persons themselves entered them."""

subject = Table(
    "subject",
    metadata,
    Column("subject", String(64), nullable=False),
    Column("month", String(16), nullable=False),
    Column("query", String(64), nullable=False),
    Column("basis", String(64), nullable=False),
    PrimaryKeyConstraint("subject", "query", "month"),
)
"""Registrar: keyed subject index; ``basis`` binds persons, rules and publications of a question."""

allowed_question = Table(
    "allowed_question",
    metadata,
    Column("case_number", String(64), nullable=False),
    Column("month", String(16), nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("case_number", "month"),
)
"""Registrar: cases that two of its people let be asked again in a month, with reason and signatures."""

certificate = Table(
    "certificate",
    metadata,
    Column("query", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("document", Text, nullable=False),
)
"""Registrar: the certificates it has signed, by query id."""

certificate_consent = Table(
    "certificate_consent",
    metadata,
    Column("consent", String(64), nullable=False),
    Column("query", String(64), nullable=False),
    PrimaryKeyConstraint("consent", "query"),
)
"""Registrar: the consents that each certificate rests on, found by consent when it is withdrawn."""

last_intent = Table(
    "last_intent",
    metadata,
    Column("dataset", String(128), nullable=False),
    Column("publication", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False),
    Column("leaf", String(64), nullable=False),
    PrimaryKeyConstraint("dataset", "publication"),
)
"""Department: position, leaf hash and time of the last intent under each publication, read from the replica
(``node.department.own_publications``)."""

release = Table(
    "release",
    metadata,
    Column("query", String(64), nullable=False),
    Column("case_index", Integer, nullable=False),
    Column("list", String(64), nullable=False),
    Column("share", LargeBinary, nullable=False),
    PrimaryKeyConstraint("query", "case_index"),
)
"""Trustee: the shares it has released, stored before they are recorded on the ledger."""

released_row = Table(
    "released_row",
    metadata,
    Column("row", String(256), primary_key=True),
    Column("terms", String(64), nullable=False),
)
"""Trustee: rows it has opened in a total, with the digest of the total's set of terms."""

office_check = Table(
    "office_check",
    metadata,
    Column("query", String(64), primary_key=True),
    Column("case_number", String(64), nullable=False, index=True),
    Column("state", String(32), nullable=False),
    Column("document", Text, nullable=False),
)
"""Office: checks it has begun, with what is needed to resume them after a kill."""

verified_publication = Table(
    "verified_publication",
    metadata,
    Column("dataset", String(128), nullable=False),
    Column("publication", String(64), nullable=False),
    Column("root", String(64), nullable=False),
    PrimaryKeyConstraint("dataset", "publication"),
)
"""Office, auditor: publications it has rebuilt and found correct."""

rule_text = Table(
    "rule_text",
    metadata,
    Column("rules", String(160), primary_key=True),
    Column("text", LargeBinary, nullable=False),
)
"""Office and approvers: texts of rule sets, ``<id>@<version>``."""

restored = Table(
    "restored",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("backup", String(64), nullable=False),
    Column("moment", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("witness", Integer, nullable=False),
    Column("fence", BigInteger, nullable=True),
    Column("fence_time", BigInteger, nullable=True),
)
"""Each restore of this home from a backup: which one, its moment and ledger size, when; whether its
witness may cosign again (0, 1); index and time of the entry that says so, once final
(``node.tlog.restore_fence``)."""

rejoined_log = Table(
    "rejoined_log",
    metadata,
    Column("restore", String(64), nullable=False),
    Column("origin", Text, nullable=False),
    PrimaryKeyConstraint("restore", "origin"),
)
"""Other logs whose newest checkpoint the operator has loaded after a restore (``node.upkeep.rejoin``)."""
