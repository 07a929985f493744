"""The ledger's database: opened so that what is committed is kept, and its tables (SQLAlchemy Core).

SQLite: ``synchronous=FULL``, foreign keys on, a busy time-out of ten seconds. The journal is the rollback
journal, truncated at the commit and synced (a journal that is deleted would need ``synchronous=EXTRA``, which
syncs its folder, or come back after a power failure and undo the commit); from SQLite 3.51.3 on it is the
write-ahead log, which before that release could lose a commit after a checkpoint that raced with another
connection. Transactions are explicit: a reading one is deferred;
a writing one (``writing(database)``) takes the write lock at its begin, so that it never fails half way for
want of it.

PostgreSQL: repeatable read, so that one transaction sees one state. Where server or role have turned
``synchronous_commit`` off, it is turned on: a head is on the disk before any witness sees it.

``check`` reads an SQLite database through before anything is built upon it; PostgreSQL has page checksums
(``initdb --data-checksums``) for that.

**Tables**; a node's migrations create them. Two trees of the same four tables, so that the member who runs
the log can keep a replica of it in one database:

| table | one row | |
|---|---|---|
| ``<tree>_entry`` | a leaf | position, leaf, its hash, id and type where it parses, void code or null |
| ``<tree>_tile`` | a tile (c2sp.org/tlog-tiles) | level, position, its hashes so far |
| ``<tree>_state`` | a key of the contract's state | key, canonical JSON |
| ``<tree>_head`` | a named head | size, root, checkpoint note, contract time |

``<tree>`` is ``log`` for what a sequencer orders and ``replica`` for what a node has verified.
``ledger_witness`` holds the last checkpoint a witness cosigned, one row per origin; ``log_refusal`` the
salts of the refusals a sequencer has put on the ledger, so that it can open them for an auditor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_MILLISECONDS = 10_000
WAL_FROM = (3, 51, 3)
"""First SQLite release whose write-ahead log is used."""
_WRITING = "hedui_writing"


def open_database(url: str) -> Engine:
    """A database for ``sqlite:///path`` or ``postgresql+psycopg://…``.

    Raises:
        sqlalchemy.exc.ArgumentError: a malformed URL.
        sqlalchemy.exc.NoSuchModuleError: another kind of database.
    """
    if not url.startswith("sqlite"):
        database = create_engine(url, isolation_level="REPEATABLE READ", pool_pre_ping=True)
        event.listen(database, "connect", _synchronise)
        return database
    database = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(database, "connect", _configure)
    event.listen(database, "begin", _begin)
    return database


def check(database: Engine) -> str | None:
    """The fault in an SQLite database's structure; None if it is sound, and for PostgreSQL.

    ``PRAGMA quick_check``: every page is reached once, in order, with whole records. What a flip has changed
    *inside* a record is found by the digests above it.
    """
    if database.dialect.name != "sqlite":
        return None
    try:
        with database.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except DatabaseError as error:
        return str(error.orig)
    return None if found == "ok" else str(found)


@contextmanager
def writing(database: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end of the block, rolled back on an exception."""
    with database.connect() as bare:
        connection = bare.execution_options(**{_WRITING: True})
        with connection.begin():
            yield connection


def _configure(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    del record
    connection.isolation_level = None
    cursor = connection.cursor()
    journal = "WAL" if sqlite3.sqlite_version_info >= WAL_FROM else "TRUNCATE"
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        f"journal_mode={journal}",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except UnicodeDecodeError as error:  # of SQLite's own message, which quotes a damaged schema
            raise sqlite3.DatabaseError("malformed database schema: restore the database") from error
    cursor.close()


def _synchronise(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    del record
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    cursor.close()
    connection.commit()


def _begin(connection: Connection) -> None:
    kind = "IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")


@dataclass(frozen=True)
class TreeTables:
    """The four tables of one tree.

    Attributes:
        entry: leaves by position.
        tile: tiles by level and position.
        state: the contract's state by key.
        head: heads by name.
    """

    entry: Table
    tile: Table
    state: Table
    head: Table


def _tree(metadata: MetaData, name: str) -> TreeTables:
    entry = Table(
        f"{name}_entry",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("leaf", LargeBinary, nullable=False),
        Column("leaf_hash", LargeBinary(32), nullable=False, index=True),
        Column("entry_id", String(64), nullable=True, index=True),
        Column("entry_type", String(65), nullable=True, index=True),
        Column("void", String(64), nullable=True),
    )
    tile = Table(
        f"{name}_tile",
        metadata,
        Column("level", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("hashes", LargeBinary, nullable=False),
    )
    state = Table(
        f"{name}_state",
        metadata,
        Column("key", Text, primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )
    head = Table(
        f"{name}_head",
        metadata,
        Column("name", String(16), primary_key=True),
        Column("size", BigInteger, nullable=False),
        Column("root", LargeBinary(32), nullable=False),
        Column("note", LargeBinary, nullable=False),
        Column("time", String(20), nullable=False),
    )
    return TreeTables(entry, tile, state, head)


METADATA = MetaData()
"""Every table of this module, for migrations."""
LOG = _tree(METADATA, "log")
"""What a sequencer has ordered."""
REPLICA = _tree(METADATA, "replica")
"""What a node has verified and replayed."""
WITNESS = Table(
    "ledger_witness",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
)
REFUSAL = Table(
    "log_refusal",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("code", String(64), nullable=False),
)


def create_tables(database: Engine) -> None:
    """Create the tables that do not exist yet, where no migration is wanted (tests, tools)."""
    METADATA.create_all(database)
