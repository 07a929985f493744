"""A witness's records in its database: one row an origin, replaced by compare-and-swap in one transaction."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, select, update

from ledger.database import writing
from ledger.store import insert_new
from ledger.tables import WITNESS
from ledger.witness import WitnessRecord


class SqlWitnessStore:
    """A ``WitnessStore`` in the table ``ledger_witness``; safe for threads and processes.

    The last record is kept in memory: ``swap`` compares with the database in any case, and what another
    process wrote makes it fail, whereupon it is read again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[str, WitnessRecord] = {}
        self._swapping = threading.Lock()

    def read(self, origin: str) -> WitnessRecord | None:
        """See ``WitnessStore``."""
        kept = self._kept.get(origin)
        return self._stored(origin) if kept is None else kept

    def _stored(self, origin: str) -> WitnessRecord | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(WITNESS).where(WITNESS.c.origin == origin)).one_or_none()
        return None if row is None else WitnessRecord(row.size, row.root, row.time, row.note)

    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        """See ``WitnessStore``."""
        with self._swapping:
            self._kept.pop(origin, None)
            done = self._swapped(origin, old, new)
            if done:
                self._kept[origin] = new
            return done

    def _swapped(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        values = {"size": new.size, "root": new.root, "time": new.time, "note": new.note}
        with writing(self._engine) as connection:
            if old is None:
                return insert_new(connection, WITNESS, "origin", {"origin": origin, **values})
            same = (WITNESS.c.origin == origin, WITNESS.c.size == old.size, WITNESS.c.root == old.root)
            done = connection.execute(
                update(WITNESS).where(*same, WITNESS.c.time == old.time).values(**values)
            )
            return done.rowcount == 1
