"""Opening a database so that what is committed is kept: SQLite and PostgreSQL through SQLAlchemy.

SQLite: ``synchronous=FULL``, foreign keys on, a busy time-out of ten seconds. The journal is the rollback
journal; from SQLite 3.51.3 on it is the write-ahead log, which before that release could lose a commit
after a checkpoint that raced with another connection. Transactions are explicit: a reading one is deferred;
a writing one (``writing(engine)``) takes the write lock at its begin, so that it never fails half way for
want of it.

PostgreSQL: repeatable read, so that one transaction sees one state; ``synchronous_commit`` is left on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_MILLISECONDS = 10_000
WAL_FROM = (3, 51, 3)
"""First SQLite release whose write-ahead log is used."""

_WRITING = "hedui_writing"


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql+psycopg://…``.

    Raises:
        sqlalchemy.exc.ArgumentError: a malformed URL.
        sqlalchemy.exc.NoSuchModuleError: another kind of database.
    """
    if not url.startswith("sqlite"):
        return create_engine(url, isolation_level="REPEATABLE READ", pool_pre_ping=True)
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end of the block, rolled back on an exception."""
    with engine.connect() as bare:
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
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    kind = "IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")
