"""A witness's records in its database: one row an origin, replaced by compare-and-swap in one transaction."""

from __future__ import annotations

from sqlalchemy import Engine, select, update

from ledger.database import writing
from ledger.store import insert_new
from ledger.tables import WITNESS
from ledger.witness import WitnessRecord


class SqlWitnessStore:
    """A ``WitnessStore`` in the table ``ledger_witness``; safe for threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, origin: str) -> WitnessRecord | None:
        """See ``WitnessStore``."""
        with self._engine.connect() as connection:
            row = connection.execute(select(WITNESS).where(WITNESS.c.origin == origin)).one_or_none()
        return None if row is None else WitnessRecord(row.size, row.root, row.time, row.note)

    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        """See ``WitnessStore``."""
        values = {"size": new.size, "root": new.root, "time": new.time, "note": new.note}
        with writing(self._engine) as connection:
            if old is None:
                return insert_new(connection, WITNESS, "origin", {"origin": origin, **values})
            same = (WITNESS.c.origin == origin, WITNESS.c.size == old.size, WITNESS.c.root == old.root)
            done = connection.execute(
                update(WITNESS).where(*same, WITNESS.c.time == old.time).values(**values)
            )
            return done.rowcount == 1
