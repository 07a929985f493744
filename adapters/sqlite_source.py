"""SQLite files: one table, view or SELECT, opened with ``mode=ro`` inside one read transaction.

An authoriser lets a statement read columns, call functions and nothing else: no ATTACH, no PRAGMA, no
write. While the transaction holds its shared lock no writer can change a file in rollback-journal mode, so
the file's digest is the snapshot. A file in WAL mode may change beside its main file: it has no digest in
advance.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from adapters.columns import column_names, listed
from adapters.conditions import condition_fault, counted, for_sqlite, quoted_name, single_select, wrapped
from adapters.errors import ConditionError, SourceMissingError, SourceReadError, SourceUriError
from adapters.sources import FileSnapshot, SourceRow, SourceUri

_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_OBJECTS = """SELECT name FROM sqlite_master
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"""
_FETCH = 2_000


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
