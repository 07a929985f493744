"""The durable outbox: entries that must reach the ledger even after a failure or a restart.

A role writes the leaf in the same transaction as what it records; one thread appends waiting leaves and tries
again until each is final or refused by the contract. A leaf is sent as the same bytes every time, so a lost
answer or a kill never records a thing twice. A leaf older than the sequencer's clock tolerance is composed
again under the same id.
"""

from __future__ import annotations

import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ledger.entries import entry as entries
from ledger.errors import LedgerError
from ledger.fault_points import Observe, Point, unobserved
from ledger.periodic import PeriodicTask
from node.errors import NodeError, RefusalError
from node.store import tables
from node.store.database import Store
from node.tlog.client import LedgerClient

RETRY_SECONDS = 1.0
PARALLEL = 8
STATE_CHARACTERS = 96
"""What the column holds: a code that comes from the ledger's operator may have any length."""

log = logging.getLogger("hedui.outbox")


class Outbox:
    """The durable outbox of one node."""

    def __init__(self, store: Store, ledger: LedgerClient, observe: Observe = unobserved) -> None:
        """Args: ``store`` holds the leaves; ``ledger`` takes them; ``observe`` is told each point."""
        self._observe = observe
        self._store = store
        self._ledger = ledger
        # Used by the task's thread; `close` shuts it down from another one after that thread was told to end.
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="outbox")
        self.task = PeriodicTask("outbox", RETRY_SECONDS, self.send_waiting, log)

    def start(self) -> None:
        """Begin to send; also what an earlier run left behind."""
        self.task.start()

    def close(self) -> None:
        """Stop sending; what waits is sent by the next run of the node."""
        self.task.stop()
        self._pool.shutdown(wait=False)

    def add(self, connection: Connection, name: str, kind: str, body: dict[str, Any], at: int) -> bool:
        """Put an entry into the outbox inside the caller's transaction.

        Args:
            name: what the entry records, once in this node, such as ``answer/<query>/<dataset>``; a name
            already
                there is left as it is. The entry's own id is random, so that no other member can take it
                first.

        Returns:
            Whether the entry is new.
        """
        known = connection.execute(select(tables.outbox.c.id).where(tables.outbox.c.id == name)).first()
        if known is None:
            leaf = self._ledger.compose(kind, secrets.token_hex(16), body)
            connection.execute(insert(tables.outbox).values(id=name, leaf=leaf, state="waiting", created=at))
        return known is None

    def wake(self) -> None:
        """Send now; call after the transaction has committed."""
        self.task.wake()

    def waiting(self) -> int:
        """Number of entries not yet final."""
        return len(self._store.all(tables.outbox, state="waiting"))

    def send_waiting(self) -> None:
        """Append every waiting entry once, ``PARALLEL`` at a time; called in the task's thread."""
        rows = self._store.all(tables.outbox, state="waiting")
        list(self._pool.map(self._send, rows))

    def _send(self, row: dict[str, Any]) -> None:
        """Append one waiting leaf and note what became of it."""
        identifier = row["id"]
        self._observe(Point.OUTBOX_SENDING)
        try:
            self._ledger.append(bytes(row["leaf"]))
            self._observe(Point.OUTBOX_APPENDED)
            state = "final"
        except RefusalError as refusal:
            if refusal.code == "clock":
                self._recompose(row)
                return
            state = self._state_after(row, refusal)
            if state == "waiting":
                return
        except (NodeError, LedgerError) as error:
            log.info("an entry (%s) waits: %s", _what(identifier), error)
            return
        with self._store.writing() as connection:
            connection.execute(
                update(tables.outbox).where(tables.outbox.c.id == identifier).values(state=state)
            )
        self._observe(Point.OUTBOX_NOTED)

    def _state_after(self, row: dict[str, Any], refusal: RefusalError) -> str:
        """State after a refusal, which is final only where the local replay refuses the entry too."""
        leaf = bytes(row["leaf"])
        if self._ledger.holds(leaf):
            return "final"
        if not self._ledger.would_refuse(leaf):
            log.error(
                "the log refuses an entry (%s: %s), this node's replay does not: it waits",
                _what(row["id"]),
                refusal.code,
            )
            return "waiting"
        log.warning("entry %s refused by the contract: %s", row["id"], refusal.code)
        return f"refused:{refusal.code}"[:STATE_CHARACTERS]

    def _recompose(self, row: dict[str, Any]) -> None:
        """Sign the entry again with the present time; old bytes that are ordered yet hold the id."""
        old = entries.parse(bytes(row["leaf"]))
        leaf = self._ledger.compose(old.type, old.id, old.body)
        with self._store.writing() as connection:
            connection.execute(update(tables.outbox).where(tables.outbox.c.id == row["id"]).values(leaf=leaf))
        self.task.wake()


def _what(name: str) -> str:
    """What an entry records, without the ids: such as ``answer``."""
    return name.partition("/")[0]
