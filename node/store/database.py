"""A node's own tables: transactions, and reads and writes that several roles share.

SQLite runs with a rollback journal (its WAL is unsafe before 3.51.3), ``synchronous=FULL`` and one writer;
PostgreSQL is chosen by URL. Both are reached through SQLAlchemy Core.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select, update

from ledger.storage.database import check, writing
from node.errors import StoreError
from node.store import tables


def check_database(database: Engine) -> None:
    """Read a database completely, before anything else uses it.

    Raises:
        StoreError: it is damaged.
    """
    problem = check(database)
    if problem is not None:
        raise StoreError(
            f"this node's database is damaged ({problem}): stop, keep a copy of it, and restore its newest "
            "backup; the copy of the ledger in it is then fetched again automatically"
        )


class Store:
    """A node's own tables over one database, with one writer at a time."""

    def __init__(self, database: Engine) -> None:
        """Args: ``database`` of the member, whose tables exist already."""
        self.database = database
        self._writer = threading.RLock()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; only one at a time."""
        with self._writer, writing(self.database) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self.database.connect() as connection:
            yield connection

    def one(self, table: Table, **key: Any) -> dict[str, Any] | None:
        """The row with these column values, or None."""
        query = select(table).where(*(table.c[name] == value for name, value in key.items()))
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def all(self, table: Table, **key: Any) -> list[dict[str, Any]]:
        """All rows with these column values."""
        query = select(table).where(*(table.c[name] == value for name, value in key.items()))
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def put(connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert a row, or update the one with this key, inside the caller's transaction."""
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(select(table).where(*where)).first() is None:
        connection.execute(insert(table).values(**key, **values))
    else:
        connection.execute(update(table).where(*where).values(**values))


def note(
    connection: Connection,
    at: int,
    peer: str,
    query: str,
    dataset: str,
    result: str,
    *,
    reported: bool,
    record: str = "",
) -> None:
    """Write a line of a department's journal inside the caller's transaction.

    Args:
        connection: of the caller's transaction.
        at, peer, query, dataset, result: when and by whom the dataset was queried, and the result.
        reported: whether the line has a ledger entry of its own; if not, the next ``incident`` counts it.
        record: hex digest in that entry, see ``tables.journal``.
    """
    values = {"at": at, "peer": peer, "query": query, "dataset": dataset, "result": result}
    kind = "answer" if reported else "incident"
    row = insert(tables.journal).values(**values, reported=int(reported), kind=kind, record=record)
    connection.execute(row)


def note_release(connection: Connection, at: int, peer: str, query: str, case: int, record: str) -> None:
    """Write a line of a trustee's journal in the caller's transaction; ``record`` is the list's digest."""
    values = {"at": at, "peer": peer, "query": query, "dataset": "", "result": "released", "reported": 1}
    row = insert(tables.journal).values(**values, kind="release", case_index=case, record=record)
    connection.execute(row)
