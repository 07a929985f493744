"""The journal says which entry stands for each line: columns ``kind``, ``case_index`` and ``record``.

Lines of the first version are brought up from the outbox, which holds every entry the node has made: an
answer's or refusal's digest by query and dataset, an incident's commitment by trying the journal's own peers,
and a line for each release, which had none. A database that was just made has the columns already.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from protocols.encoding import commit

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEW = ("kind", "case_index", "record")
JOURNAL = sa.table(
    "journal",
    *(sa.column(name) for name in ("number", "at", "peer", "query", "dataset", "result", "reported")),
    *(sa.column(name) for name in NEW),
)
OUTBOX = sa.table("outbox", *(sa.column(name) for name in ("id", "leaf", "created")))


def upgrade() -> None:
    """Add the columns and fill them."""
    connection = op.get_bind()
    there = {column["name"] for column in sa.inspect(connection).get_columns("journal")}
    if not there.intersection(NEW):
        op.add_column("journal", sa.Column("kind", sa.String(16), nullable=False, server_default=""))
        op.add_column("journal", sa.Column("case_index", sa.Integer, nullable=True))
        op.add_column("journal", sa.Column("record", sa.String(64), nullable=False, server_default=""))
        _fill(connection)


def downgrade() -> None:
    """Drop the columns and the lines of releases."""
    op.get_bind().execute(sa.delete(JOURNAL).where(JOURNAL.c.kind == "release"))
    for name in NEW:
        op.drop_column("journal", name)


def _fill(connection: sa.Connection) -> None:
    """Kind and record of every line, from the outbox."""
    incident = (JOURNAL.c.query == "") | (JOURNAL.c.result == "refused:not_named")
    connection.execute(sa.update(JOURNAL).where(incident).values(kind="incident"))
    connection.execute(sa.update(JOURNAL).where(~incident).values(kind="answer"))
    rows = connection.execute(sa.select(OUTBOX).order_by(OUTBOX.c.created)).mappings().all()
    for row in rows:
        name, body = str(row["id"]), json.loads(bytes(row["leaf"]))["body"]
        what, _, rest = name.partition("/")
        if what in ("answer", "refusal"):
            _fill_answer(connection, body)
        elif what == "release":
            _add_release(connection, body, row["created"])
        elif what == "incident" and "commitment" in body:
            _fill_incident(connection, bytes.fromhex(rest), body, row["created"])


def _fill_answer(connection: sa.Connection, body: dict[str, Any]) -> None:
    """The first line of this query, dataset and result is the one that the entry stands for."""
    same = [JOURNAL.c[name] == body[name] for name in ("query", "dataset", "result")]
    first = sa.select(sa.func.min(JOURNAL.c.number)).where(*same).scalar_subquery()
    connection.execute(sa.update(JOURNAL).where(JOURNAL.c.number == first).values(record=body["response"]))


def _add_release(connection: sa.Connection, body: dict[str, Any], at: int) -> None:
    """A line for a release; who asked was not kept then."""
    values = {"at": at, "peer": "", "query": body["query"], "dataset": "", "result": "released"}
    more = {"reported": 1, "kind": "release", "case_index": body["case"], "record": body["list"]}
    connection.execute(sa.insert(JOURNAL).values(**values, **more))


def _fill_incident(connection: sa.Connection, salt: bytes, body: dict[str, Any], created: int) -> None:
    """An incident counted all of its peer's lines that were not counted before it."""
    peers = connection.execute(sa.select(JOURNAL.c.peer).distinct()).scalars()
    commitment = bytes.fromhex(body["commitment"])
    peer = next((one for one in peers if commit(salt, b"peer", one.encode()) == commitment), None)
    if peer is not None:
        counted = (
            sa.select(JOURNAL.c.number)
            .where(JOURNAL.c.kind == "incident", JOURNAL.c.record == "", JOURNAL.c.peer == peer)
            .where(JOURNAL.c.reported == 1, JOURNAL.c.at <= created)
            .order_by(JOURNAL.c.number)
            .limit(body["count"])
        )
        numbers = list(connection.execute(counted).scalars())
        update = sa.update(JOURNAL).where(JOURNAL.c.number.in_(numbers))
        connection.execute(update.values(record=body["commitment"]))
