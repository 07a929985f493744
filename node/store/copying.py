"""Copies of a database while its node runs: a SQLite file as a whole, any database table by table.

- ``copy_sqlite`` uses SQLite's online backup in one step: the copy is the database at one moment. Writers
  wait for it as they do for any reader.
- ``dump`` reads every table in one transaction (repeatable read on PostgreSQL) as JSON lines, and ``load``
  writes them into an empty database of either kind, so that a copy can be loaded into the other kind::

      {"revision": "0001", "format": 1}
      {"table": "outbox", "columns": ["id", "leaf", …], "binary": ["leaf"]}
      ["a", "AAE=", …]                          a row; a binary value is base64
      {"end": "outbox", "rows": 1}
      {"end": null}

The tables are those of the database's revision, by reflection: a dump made by an older program is loaded at
its revision and then upgraded.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, LargeBinary, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from node.errors import StoreError
from node.store.opening import current_revision, upgrade

FORMAT = 1
VERSION_TABLE = "alembic_version"
ROWS_AT_ONCE = 500
SQLITE_MAGIC = b"SQLite format 3\0"


def is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database."""
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, even while it is written to.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            (found,) = new.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(
            f"{source} cannot be copied ({error}): check that it can be read and that "
            "the home's disk has space"
        ) from error
    if found != "ok":
        raise StoreError(f"{source} is damaged ({found}): restore the newest backup that is whole")


def dump(connection: Connection) -> Iterator[bytes]:
    """Dump every table of a database as lines, in the transaction of ``connection``, in bounded memory."""
    yield _line({"format": FORMAT, "revision": current_revision(connection)})
    for table in _tables(connection):
        binary = [column.name for column in table.c if isinstance(column.type, LargeBinary)]
        yield _line({"table": table.name, "columns": [c.name for c in table.c], "binary": binary})
        count = 0
        options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
        for row in connection.execute(select(table), execution_options=options):
            yield _line([_encoded(value) for value in row])
            count += 1
        yield _line({"end": table.name, "rows": count})
    yield _line({"end": None})


def load(connection: Connection, lines: Iterable[bytes]) -> None:
    """Write a dump into an empty database, at the dump's revision, inside the caller's transaction.

    Raises:
        StoreError: the database is not empty, or the dump is incomplete or made by a newer program.
    """
    stream = iter(lines)
    head = _read(next(stream, b""))
    if head.get("format") != FORMAT:
        raise StoreError("the copy of the database is of a newer format: install a newer version of hedui")
    _require_empty(connection)
    upgrade(connection, head["revision"])
    known = {table.name: table for table in _tables(connection)}
    while (opening := _read(next(stream, b""))).get("end", "") is not None:
        _load_table(connection, known, opening, stream)


def _require_empty(connection: Connection) -> None:
    """Check that no table of the database has rows."""
    full = [table.name for table in _tables(connection) if _holds_rows(connection, table)]
    if full:
        raise StoreError(f"the database already holds rows (table {full[0]}): give an empty one with --store")


def _load_table(
    connection: Connection, known: dict[str, Table], opening: dict[str, Any], stream: Iterator[bytes]
) -> None:
    """Load the rows of one table up to its end line."""
    table = known.get(str(opening.get("table")))
    if table is None:
        raise StoreError(f"the copy holds a table this version does not know: {opening.get('table')}")
    columns, binary = opening["columns"], set(opening["binary"])
    count, ended, rows = 0, False, []
    while not ended:
        value = json.loads(next(stream, b"{}"))
        ended = isinstance(value, dict)
        if ended:
            if value != {"end": table.name, "rows": count}:
                raise StoreError(f"the copy of table {table.name} is not whole: take another backup")
        else:
            rows.append(_row(columns, binary, value))
            count += 1
        if rows and (ended or len(rows) == ROWS_AT_ONCE):
            connection.execute(insert(table), rows)
            rows = []
    _set_sequence(connection, table)


def _row(columns: list[str], binary: set[str], values: list[Any]) -> dict[str, Any]:
    """One row from its line."""
    return {
        name: base64.b64decode(item) if name in binary and item is not None else item
        for name, item in zip(columns, values, strict=True)
    }


def _set_sequence(connection: Connection, table: Table) -> None:
    """Let PostgreSQL's sequences continue after the highest number that was loaded."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key:
        names = {"table": table.name, "column": column.name}
        sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), names).scalar()
        highest = None if sequence is None else connection.execute(select(func.max(column))).scalar()
        if highest is not None:
            connection.execute(text("SELECT setval(:name, :value)"), {"name": sequence, "value": highest})


def _tables(connection: Connection) -> list[Table]:
    """Tables of the database as they are, sorted by name."""
    names = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
    metadata = MetaData()
    metadata.reflect(connection, only=names)
    return [metadata.tables[name] for name in sorted(names)]


def _holds_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None


def _encoded(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes | memoryview) else value


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    """Parse a line that is not a row.

    Raises:
        StoreError: it is something else.
    """
    try:
        value = json.loads(line)
    except ValueError as error:
        raise StoreError("the copy of the database is not whole: take another backup") from error
    if not isinstance(value, dict):
        raise StoreError("the copy of the database is not whole: take another backup")
    return value


def reason(error: SQLAlchemyError) -> str:
    """First line of a database's message, without statement or values."""
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
