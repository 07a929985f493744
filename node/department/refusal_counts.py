"""Counts of refusals without a valid intent, recorded on the ledger every hour.

A department's journal keeps each such refusal. Once an hour one ``incident`` for each peer records how many
there were. The peer stands in a salted commitment that only the owner of the journal can open: the salt is in
the name of the entry in the outbox, and the counted lines of the journal name the commitment.
"""

from __future__ import annotations

import secrets

from sqlalchemy import func, select, update

from ledger.entries import bodies
from node.services import Services
from node.store import tables
from protocols.check.openings import CODE, peer_commitment

HOUR = 3600


class RefusalCounter:
    """Counts the journal's refusals that no incident covers yet."""

    def __init__(self, services: Services, every: int = HOUR) -> None:
        """Args: ``every`` seconds between two counts."""
        self._services = services
        self._every = every
        self._last = services.clock()

    def count_due(self) -> int | None:
        """Count if the period is over.

        Returns:
            Number of incidents written to the outbox; None before the period is over.
        """
        if self._services.clock() - self._last < self._every:
            return None
        self._last = self._services.clock()
        return self.count_now()

    def count_now(self) -> int:
        """Count now: one incident for each peer; returns their number."""
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
