"""A witness's records in its database: one row per origin, replaced by compare-and-swap."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, Row, Table, select, update
from typing_extensions import override

from ledger.errors import WitnessError
from ledger.storage.database import WITNESS, writing
from ledger.storage.tree_store import insert_new
from ledger.witness import DAMAGED, WitnessRecord, WitnessStore


class SqlWitnessStore(WitnessStore):
    """A ``WitnessStore`` in the table ``ledger_witness``; safe for threads and processes.

    The last record is kept in memory: ``swap`` compares with the database in any case, and what another
    process wrote makes it fail, whereupon it is read again.

    A witness that has lost its record would cosign any tree as if it were the first. So the whole table is
    read, not only what the index shows, and no row may have an origin that its own note does not have. Nor
    may a record be older than one this process has seen: so a database that was set back under a running
    node (a standby that lagged, a file put in place) is found.
    """

    def __init__(self, database: Engine, table: Table = WITNESS) -> None:
        self._database = database
        self._table = table
        # Makes one `swap` at a time and guards writes of both dicts; one key is read without it.
        self._swapping = threading.Lock()
        # Records that this process has written last: without one the database is read.
        self._kept: dict[str, WitnessRecord] = {}
        # The newest record that this process has seen; it outlives a `swap` that failed.
        self._newest: dict[str, WitnessRecord] = {}

    @override
    def read(self, origin: str) -> WitnessRecord | None:
        kept = self._kept.get(origin)
        return self._stored(origin) if kept is None else kept

    def _stored(self, origin: str) -> WitnessRecord | None:
        newest = self._newest.get(origin)  # before the database is read: what comes meanwhile is newer
        by_origin = select(self._table).where(self._table.c.origin == origin)
        with self._database.connect() as connection:
            rows = connection.execute(select(self._table)).all()
            found = connection.execute(by_origin).one_or_none()
        if not all(_is_whole(row) for row in rows):
            raise WitnessError(DAMAGED)
        known = [row for row in rows if row.origin == origin]
        if known != ([] if found is None else [found]):
            raise WitnessError(DAMAGED)
        record = None if found is None else WitnessRecord(found.size, found.root, found.time, found.note)
        if newest is not None and (record is None or not _follows(newest, record)):
            raise WitnessError(DAMAGED)
        with self._swapping:
            if record is not None and self._newest.get(origin) is newest:
                self._newest[origin] = record
        return record

    @override
    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        with self._swapping:
            self._kept.pop(origin, None)
            done = self._swapped(origin, old, new)
            if done:
                self._kept[origin] = self._newest[origin] = new
            return done

    def _swapped(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        values = {"size": new.size, "root": new.root, "time": new.time, "note": new.note}
        with writing(self._database) as connection:
            if old is None:
                return insert_new(connection, self._table, "origin", {"origin": origin, **values})
            column = self._table.c
            same = (column.origin == origin, column.size == old.size, column.root == old.root)
            done = connection.execute(
                update(self._table).where(*same, column.time == old.time).values(**values)
            )
            return done.rowcount == 1


def _follows(old: WitnessRecord, new: WitnessRecord) -> bool:
    """Whether a record can be a later one of the same history."""
    if new.size == old.size and new.root != old.root:
        return False
    return new.size >= old.size and new.time >= old.time


def _is_whole(row: Row[Any]) -> bool:
    """Whether a row is well formed and its note is of its origin; the reader checks the root."""
    types = (str, int, bytes, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(tuple(row), types, strict=True)):
        return False
    name: str = row.origin
    note: bytes = row.note
    return note.startswith(name.encode("utf-8") + b"\n")
