"""The work file: a SQLite file that holds one dataset's rows while they are added up, ordered by identifier.

    rows(id, mark, amount, copies)   one line for each (person, mark); amount is NULL for member datasets
    keys(mark, id, amount)           row keys seen, only where the dataset has one
    partial(id)                      persons of whom a row was refused
    excess(id)                       persons whose total is out of range, no longer in rows
    report(json)                     one line once the file is complete

``mark`` tells the rows of one person apart: empty in a member dataset, else 16 bytes of BLAKE2b over the
row's key or over the whole row. Totals are added in Python integers, person by person, in the order of the
primary key: no sort, no overflow, memory bounded by SQLite's page cache.

The file holds identifiers. It lies in the department's own home with mode 0600. A file that is not kept
loses its name as soon as it is open, so that even a killed process leaves nothing behind; a file that is
kept is written under a temporary name and gets its own only when complete. There is no journal to leak or
recover: an incomplete file is thrown away.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from adapters.amounts import LIMIT_FEN
from adapters.errors import WorkError

Accepted = tuple[str, bytes, int | None]
"""(canonical identifier, mark, fen or None)."""


class Settled(NamedTuple):
    """Counts over a full work file: persons, partial ones among them, repeated rows, rows out of range."""

    persons: int
    partial: int
    repeats: int
    excess: int


_BATCH = 20_000
_TABLES = """
CREATE TABLE rows (id TEXT, mark BLOB, amount INTEGER, copies INTEGER, PRIMARY KEY (id, mark)) WITHOUT ROWID;
CREATE TABLE keys (mark BLOB PRIMARY KEY, id TEXT, amount INTEGER) WITHOUT ROWID;
CREATE TABLE partial (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE excess (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE report (json TEXT);
"""
_ADD = "INSERT INTO rows VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET copies = copies + 1"
_LINES = "SELECT id, amount, copies FROM rows WHERE id > ? ORDER BY id, mark"
_PERSON = "SELECT DISTINCT id FROM rows ORDER BY id LIMIT 1 OFFSET ?"
_PARTIAL = "SELECT COUNT(*) FROM partial WHERE EXISTS (SELECT 1 FROM rows WHERE rows.id = partial.id)"
_PRAGMAS = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;
"""


class WorkFile:
    """One dataset's rows on disk; write with ``add``, then ``complete``, then read with ``totals``."""

    def __init__(self, connection: sqlite3.Connection, temporary: Path | None, final: Path | None) -> None:
        """Use ``create`` or ``reopen``."""
        self._connection = connection
        self._temporary = temporary
        self._final = final
        self._batch: list[Accepted] = []

    @classmethod
    def create(cls, folder: Path | None, name: str, *, keep: bool) -> WorkFile:
        """A new, empty file in ``folder`` (an unnamed one where SQLite keeps temporary files when None).

        Leftovers of earlier, killed readings of the same name are removed.

        Raises:
            WorkError: the folder cannot be written.
        """
        if folder is None:
            return cls(
                _prepared(sqlite3.connect("", isolation_level=None, check_same_thread=False)), None, None
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in folder.glob(f"{name}.*.part"):
                leftover.unlink(missing_ok=True)
            handle, path = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=folder)
            os.close(handle)
            connection = _prepared(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
            if not keep:
                Path(path).unlink()
        except OSError as error:
            raise WorkError(
                f"the work folder cannot be used ({error.strerror}): check space and permissions"
            ) from None
        except sqlite3.Error:
            raise WorkError("the work folder cannot be used: check space and permissions") from None
        return cls(connection, Path(path) if keep else None, folder / f"{name}.db" if keep else None)

    @classmethod
    def reopen(cls, folder: Path, name: str) -> WorkFile | None:
        """The complete file an earlier reading kept, or None."""
        final = folder / f"{name}.db"
        if not final.is_file():
            return None
        uri = final.resolve().as_uri() + "?mode=ro"
        return cls(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False), None, final)

    def add(self, row: Accepted) -> None:
        """Count one accepted row; rows of one person and mark are one line with copies."""
        self._batch.append(row)
        if len(self._batch) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the rows added so far, sorted, so that neighbours go to the same page."""
        batch = sorted(self._batch, key=itemgetter(0, 1))
        self._batch.clear()
        self._run(lambda: self._connection.executemany(_ADD, batch))

    def claim(self, mark: bytes, identifier: str, amount: int | None) -> str:
        """Take a row key: "new", "repeat" (same person and amount) or "conflict"."""
        cursor = self._run(
            lambda: self._connection.execute(
                "INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (mark, identifier, amount)
            )
        )
        if cursor.rowcount == 1:
            return "new"
        held = self._connection.execute("SELECT id, amount FROM keys WHERE mark = ?", (mark,)).fetchone()
        return "repeat" if held == (identifier, amount) else "conflict"

    def mark_partial(self, identifier: str) -> None:
        """Remember that a row of this person was refused."""
        self._run(lambda: self._connection.execute("INSERT OR IGNORE INTO partial VALUES (?)", (identifier,)))

    def settle(self) -> Settled:
        """Count what was added, once all rows are in, and drop the persons whose total is out of range."""
        self.flush()
        persons = repeats = excess = 0
        for identifier, total, copies, lines in self._sums(""):
            if total is not None and abs(total) > LIMIT_FEN:
                excess += copies
                self._connection.execute("INSERT INTO excess VALUES (?)", (identifier,))
            else:
                persons += 1
                repeats += copies - lines
        if excess:
            self._run(
                lambda: self._connection.execute("DELETE FROM rows WHERE id IN (SELECT id FROM excess)")
            )
        (partial,) = self._connection.execute(_PARTIAL).fetchone()
        return Settled(persons, int(partial), repeats, excess)

    def totals(self, start: int = 0) -> Iterator[tuple[str, int | None]]:
        """(identifier, total fen or None) for each person but the first ``start``, in order of identifier."""
        after = ""
        if start:
            row = self._connection.execute(_PERSON, (start - 1,)).fetchone()
            if row is None:
                return iter(())
            (after,) = row
        return ((identifier, total) for identifier, total, _, _ in self._sums(after))

    def _sums(self, after: str) -> Iterator[tuple[str, int | None, int, int]]:
        """(identifier, total fen or None, rows, distinct rows) for each person, in order."""
        lines = self._connection.execute(_LINES, (after,))
        for identifier, group in groupby(lines, key=itemgetter(0)):
            total, copies, distinct = 0, 0, 0
            amount = None
            for _, amount, count in group:
                total += 0 if amount is None else amount * count
                copies += count
                distinct += 1
            yield identifier, None if amount is None else total, copies, distinct

    def complete(self, report: dict[str, Any]) -> None:
        """Record the report; a file to be kept gets its name now.

        Raises:
            WorkError: another reading of the same dataset has started, or the disk is full.
        """
        text = json.dumps(report, ensure_ascii=False)
        self._run(lambda: self._connection.execute("INSERT INTO report VALUES (?)", (text,)))
        self._run(lambda: self._connection.execute("COMMIT"))
        if self._temporary is None or self._final is None:
            return
        try:
            with self._temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            self._temporary.replace(self._final)
        except OSError:
            raise WorkError(
                "the work file is gone: is another reading of the same dataset running?"
            ) from None
        self._temporary = None

    def report(self) -> dict[str, Any] | None:
        """The report of a complete file, None when it cannot be read."""
        try:
            row = self._connection.execute("SELECT json FROM report").fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else dict(json.loads(row[0]))

    def close(self, *, remove: bool = False) -> None:
        """Close the file; an incomplete one is removed, a complete one only if ``remove`` says so."""
        self._connection.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
        if remove and self._final is not None:
            self._final.unlink(missing_ok=True)

    def _run(self, action: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        try:
            return action()
        except sqlite3.Error:
            raise WorkError(
                "the work file cannot be written: check the free space of the work folder"
            ) from None


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.executescript(_PRAGMAS)
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    return connection
