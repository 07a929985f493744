"""Refusals without a valid intent, counted onto the ledger every hour.

A department's journal keeps each such refusal; once an hour one ``incident`` a peer says how many there were.
The peer stands in a salted commitment whose opening stays in the journal's owner's hands: the salt is the
name of the entry in the outbox, and the lines it counts name the commitment.
"""

from __future__ import annotations

import secrets

from sqlalchemy import func, select, update

from ledger.entries import bodies
from node.services import Services
from node.store import tables
from protocols.check.commitments import CODE, peer_commitment

HOUR = 3600


class RefusalCounter:
    """Counts what the journal has not reported yet."""

    def __init__(self, services: Services, every: int = HOUR) -> None:
        """Args: ``every`` seconds between two counts."""
        self._services = services
        self._every = every
        self._last = services.clock()

    def count_due(self) -> int | None:
        """Count if the hour is over; the number of incidents put into the outbox, or None before that."""
        if self._services.clock() - self._last < self._every:
            return None
        self._last = self._services.clock()
        return self.count_now()

    def count_now(self) -> int:
        """One incident a peer for everything not yet reported."""
        services, journal = self._services, tables.journal
        with services.store.writing() as connection:
            counted = select(journal.c.peer, func.count()).where(journal.c.reported == 0)
            counts = connection.execute(counted.group_by(journal.c.peer).order_by(journal.c.peer)).all()
            for peer, count in counts:
                salt = secrets.token_bytes(32)
                commitment = peer_commitment(salt, peer).hex()
                body = bodies.incident(CODE, count, commitment)
                name = f"incident/{salt.hex()}"
                services.outbox.add(connection, name, "incident", body, services.clock())
                reported = update(journal).where(journal.c.reported == 0, journal.c.peer == peer)
                connection.execute(reported.values(reported=1, record=commitment))
        services.outbox.wake()
        return len(counts)
