"""Databases: servers by SQLAlchemy URL, and SQLite files.

**Servers** are streamed through a server-side cursor. ``table`` (``schema.table`` is allowed) or ``query``
says what is read; every other option goes to the
driver. PostgreSQL and MySQL read in one REPEATABLE READ transaction, PostgreSQL in a read-only one, and
each statement is one SELECT around the operator's own. A server proves no snapshot in advance: the reader
takes a fingerprint of the rows instead. Driver messages from after the first row can hold values, so they
are never passed on.

**SQLite files**: one table, view or SELECT, opened with ``mode=ro`` inside one read transaction. An
authoriser lets a statement read columns, call functions and nothing else: no ATTACH, no PRAGMA, no
write. While the transaction holds its shared lock no writer can change a file in rollback-journal mode, so
the file's digest is the snapshot. A file in WAL mode may change beside its main file: it has no digest in
advance.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from adapters.conditions import condition_fault, counted, for_sqlite, quoted_name, single_select, wrapped
from adapters.errors import ConditionError, SourceMissingError, SourceReadError, SourceUriError
from adapters.loading import column_names, listed
from adapters.sources import FileSnapshot, SourceRow, SourceUri

_OWN = ("table", "query")
_REPEATABLE = ("postgresql", "mysql", "mariadb")
_FETCH = 2_000


class SqlSource:
    """A source over one table, view or query of a database server; see ``adapters.sources.Source``."""

    def __init__(self, uri: SourceUri) -> None:
        """Connect and learn the columns.

        Raises:
            SourceUriError: neither or both of ``table`` and ``query``, or an unknown driver.
            SourceMissingError: no connection.
            ConditionError: the server refuses the query.
        """
        self.filtered = 0
        self.columns: tuple[str, ...] = ()
        if len([name for name in _OWN if name in uri.options]) != 1:
            raise SourceUriError("a database source needs one of ?table=NAME and ?query=SELECT …")
        self._engine = _engine(server_url(uri))
        self._inner = self._select(uri.options)
        self._connection = self._connect()
        try:
            self.columns = column_names(self._describe(wrapped(self._inner, None)))
        except BaseException:
            self.close()
            raise

    def rows(self, where: str | None) -> Iterator[SourceRow]:
        """Stream the rows; see ``Source.rows``. Row numbers count from 1 as the server returns them."""
        selection = wrapped(self._inner, where)
        self._describe(selection)
        number = 0
        try:
            total = None if where is None else self._count()
            with self._run(selection, stream=True) as result:
                for number, values in enumerate(result, start=1):
                    yield number, values
        except SQLAlchemyError:
            raise SourceReadError(
                "the server stopped answering, or the query fails on a row's values"
            ) from None
        self.filtered = 0 if total is None else total - number

    def snapshot(self) -> str | None:
        """None: a server proves nothing in advance."""
        return None

    def close(self) -> None:
        """End the transaction and disconnect."""
        self._connection.close()
        self._engine.dispose()

    def _select(self, options: Mapping[str, str]) -> str:
        if "query" in options:
            return single_select(options["query"])
        quote = self._engine.dialect.identifier_preparer.quote_identifier
        name = ".".join(quote(part) for part in options["table"].split("."))
        return f"SELECT * FROM {name}"  # noqa: S608 - quoted

    def _connect(self) -> Connection:
        options: dict[str, Any] = {"no_parameters": True, "max_row_buffer": _FETCH}
        if self._engine.dialect.name in _REPEATABLE:
            options["isolation_level"] = "REPEATABLE READ"
        if self._engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        try:
            return self._engine.connect().execution_options(**options)
        except SQLAlchemyError:
            raise SourceMissingError(
                "the database server cannot be reached: check host, port, user, password and base name"
            ) from None

    def _describe(self, selection: str) -> tuple[str, ...]:
        """Column names of ``selection``, no row read: the server's message then holds no value."""
        try:
            with self._run(wrapped(selection, "1 = 0"), stream=False) as result:
                return tuple(result.keys())
        except DBAPIError as error:
            message = str(error.orig).partition("\n")[0]
            raise ConditionError(condition_fault(message, self.columns)) from None

    def _count(self) -> int:
        with self._run(counted(self._inner), stream=False) as result:
            return int(result.scalar_one())

    def _run(self, sql: str, *, stream: bool) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(sql, execution_options={"stream_results": stream})


def server_url(uri: SourceUri) -> URL:
    """The SQLAlchemy URL of ``uri``, our own options taken out.

    Raises:
        SourceUriError: it cannot be parsed; the message does not repeat it, since it may hold a password.
    """
    driver = "&".join(f"{name}={value}" for name, value in uri.options.items() if name not in _OWN)
    try:
        return make_url(f"{uri.scheme}:{uri.path}" + (f"?{driver}" if driver else ""))
    except (ArgumentError, ValueError):
        raise SourceUriError(
            "the database URL is malformed: write dialect+driver://user:password@host/base"
        ) from None


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError, ArgumentError):
        raise SourceUriError(
            f"there is no driver for {url.drivername!r} here: install it, or correct the URL"
        ) from None


_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_OBJECTS = """SELECT name FROM sqlite_master
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"""


class SqliteSource:
    """A source over one table, view or query of a SQLite file; see ``adapters.sources.Source``."""

    def __init__(self, uri: SourceUri, root: Path) -> None:
        """Open the file, take the shared lock and learn the columns.

        Raises:
            SourceUriError: neither or both of ``table`` and ``query``.
            SourceMissingError, SourceReadError, ConditionError
        """
        self.filtered = 0
        path = uri.file(root)
        if len(uri.options) != 1:
            raise SourceUriError("a sqlite source needs one of ?table=NAME and ?query=SELECT …")
        self._file = FileSnapshot(path)
        self._connection = sqlite3.connect(
            path.resolve().as_uri() + "?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(uri)
        except BaseException:
            self.close()
            raise

    def rows(self, where: str | None) -> Iterator[SourceRow]:
        """Stream the rows; see ``Source.rows``. Row numbers count from 1 in the order SQLite returns them."""
        condition = None if where is None else for_sqlite(where, self._exact, subselects=True)
        selection = wrapped(self._inner, condition)
        self._compile(f"EXPLAIN {selection}")
        try:
            total = None if where is None else self._count()
            cursor = self._connection.execute(selection)
            number = 0
            while batch := cursor.fetchmany(_FETCH):
                for values in batch:
                    number += 1
                    yield number, values
        except sqlite3.Error:
            raise SourceReadError(
                "SQLite stopped reading: check the file's integrity and its text encoding"
            ) from None
        self.filtered = 0 if total is None else total - number
        if not self._wal:
            self._file.require_unchanged()

    def snapshot(self) -> str | None:
        """Digest of the file under the shared lock; None in WAL mode."""
        return None if self._wal else self._file.digest()

    def close(self) -> None:
        """End the transaction and close the file."""
        self._connection.close()

    def _prepare(self, uri: SourceUri) -> None:
        try:
            self._wal = self._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            self._connection.execute("BEGIN")
            names = [name for (name,) in self._connection.execute(_OBJECTS)]
        except sqlite3.Error:
            raise SourceReadError(
                "the file is not a readable SQLite database: check it and its permissions"
            ) from None
        if "table" in uri.options:
            if uri.options["table"].casefold() not in {name.casefold() for name in names}:
                raise SourceMissingError(
                    f"there is no table or view {uri.options['table']!r}; the file has: {listed(names)}"
                )
            self._inner = f"SELECT * FROM {quoted_name(uri.options['table'])}"  # noqa: S608 - quoted
        else:
            self._inner = single_select(uri.options["query"])
        self._connection.set_authorizer(_authorise)
        self._exact: tuple[str, ...] = ()
        self._compile(f"EXPLAIN {self._inner}")
        self._exact = self._describe(wrapped(self._inner, None))
        self.columns = column_names(self._exact)

    def _describe(self, selection: str) -> tuple[str, ...]:
        """Column names of ``selection``."""
        return tuple(column[0] for column in self._compile(f"{selection} LIMIT 0").description)

    def _compile(self, sql: str) -> sqlite3.Cursor:
        """Run ``sql``, which returns no row of the source: SQLite's message then holds no value."""
        try:
            return self._connection.execute(sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise ConditionError(condition_fault(str(error), self._exact)) from None

    def _count(self) -> int:
        (count,) = self._connection.execute(counted(self._inner)).fetchone()
        return int(count)


def _authorise(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    """SQLITE_OK for what one SELECT needs, SQLITE_DENY for the rest."""
    if action in _ALLOWED and second != "load_extension":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
