"""The restore fence: which stored state a node may use after a restore from a backup.

A restored store has forgotten what the node did between the backup and its loss. The ledger has not. So the
restored node puts one entry of its own on it, ``incident`` with code ``restored`` and as count the entries it
had replayed at the backup: **the fence**. The ledger only grows, and the lost node is gone: whatever it did
under an entry, that entry was final before the fence was written. Hence

- before the fence is final in the local replay, no role answers and no witness cosigns (code ``restored``);
- a question ordered before the fence that the store has no answer for may have been answered from the lost
  state: it is never answered again, the office asks with a new intent;
- what is ordered after the fence was not seen by the lost node, and is treated as ever.

Of logs of others (``[[web.logs]]``) no ledger tells what the lost witness cosigned after the backup. Their
records stay locked, restore by restore, until the operator loads the newest checkpoint of the log
(``node.upkeep.rejoin.load_other_positions``): an old record would let a log have a fork of what it lost
cosigned.

No clock decides any of this. It holds as long as the lost node stays lost: two nodes with one key are two
nodes. Rows are kept permanently: an old intent may be renewed for a week, and another restore adds a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, update
from typing_extensions import override

from ledger.entries import bodies
from ledger.entries import entry as entries
from ledger.entries.times import parse_time
from ledger.witness import WitnessRecord, WitnessStore
from node.errors import RefusalError, ServiceUnavailableError
from node.store import tables
from node.store.database import Store
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox

CODE = "restored"
WAITING = (
    "this node was restored from a backup and has not caught up with the ledger yet: ask again in a moment; "
    "its operator sees how far it is with `hedui node status`"
)

OTHERS = (
    "this witness was restored from a backup and may have cosigned more of this log than it remembers: its "
    "operator loads the log's newest checkpoint with `hedui node rejoin`"
)


@dataclass(frozen=True)
class FencePosition:
    """The entry that records that this node was restored.

    Attributes:
        index: its place on the ledger.
        time: its time, seconds since 1970.
        moment: of the backup.
    """

    index: int
    time: int
    moment: int


class RestoreFence:
    """The marker of a restored home, as the roles consult it."""

    def __init__(self, store: Store, ledger: LedgerClient, outbox: Outbox) -> None:
        """Args: of the node; nothing is read before it is asked for."""
        self._store = store
        self._ledger = ledger
        self._outbox = outbox
        # Set once, by whichever thread first finds every restore settled; then all of them read it.
        self._settled: list[dict[str, Any]] | None = None

    def begin(self, now: int) -> bool:
        """Put the fence into the outbox and a line into the journal, once a restore; whether one waits."""
        waiting = [row for row in self._rows() if row["fence"] is None]
        for row in waiting:
            with self._store.writing() as connection:
                if self._store.one(tables.outbox, id=_outbox_name(row)) is None:
                    line = {"at": now, "peer": "", "query": "", "dataset": "", "reported": 1}
                    result = f"{CODE}:{row['moment']}:{row['size']}"
                    connection.execute(insert(tables.journal).values(result=result, **line))
                body = bodies.incident(CODE, int(row["size"]))
                self._outbox.add(connection, _outbox_name(row), "incident", body, now)
        return bool(waiting)

    def found(self) -> dict[str, FencePosition]:
        """Fences that the local replay holds and the store does not know as final yet, by restore."""
        fences: dict[str, FencePosition] = {}
        for row in self._rows():
            entry = self._store.one(tables.outbox, id=_outbox_name(row))
            if row["fence"] is not None or entry is None:
                continue
            index = self._ledger.replica.find(entries.parse(bytes(entry["leaf"])).id)
            if index is not None:
                time = parse_time(self._ledger.replica.entry(index).time)
                fences[row["id"]] = FencePosition(index, time, int(row["moment"]))
        return fences

    def settle(self, fences: dict[str, FencePosition]) -> None:
        """Keep fences as final: the roles work again from here on."""
        with self._store.writing() as connection:
            for restore, fence in fences.items():
                values = {"fence": fence.index, "fence_time": fence.time, "witness": 1}
                connection.execute(
                    update(tables.restored).where(tables.restored.c.id == restore).values(**values)
                )

    def require(self) -> None:
        """The node has rejoined.

        Raises:
            ServiceUnavailableError: ``restored``: not yet.
        """
        if any(row["fence"] is None for row in self._rows()):
            raise ServiceUnavailableError(WAITING, CODE)

    def require_witness(self, origin: str) -> None:
        """The node's witness may cosign a log.

        Raises:
            ServiceUnavailableError: ``restored``: not yet.
        """
        restores = self._rows()
        if origin == self._ledger.policy.origin:
            is_back = all(row["witness"] for row in restores)
        else:
            is_back = all(
                self._store.one(tables.rejoined_log, restore=row["id"], origin=origin) for row in restores
            )
        if not is_back:
            raise ServiceUnavailableError(WAITING if origin == self._ledger.policy.origin else OTHERS, CODE)

    @property
    def position(self) -> FencePosition | None:
        """The last fence; None for a node that never was restored."""
        rows = [row for row in self._rows() if row["fence"] is not None]
        if not rows:
            return None
        last = max(rows, key=lambda row: int(row["fence"]))
        first = min(int(row["moment"]) for row in rows)
        return FencePosition(int(last["fence"]), int(last["fence_time"]), first)

    def require_unanswered(self, query: str, dataset: str) -> None:
        """A question without an answer in the store was not answered by this department before either.

        Raises:
            RefusalError: ``restored``: it was, or may have been, from a state that is lost.
        """
        answer, fence = self._ledger.view.answer(query, dataset), self.position
        index = self._ledger.replica.find(query)
        is_older = fence is not None and (index is None or index < fence.index)
        if is_older or (answer is not None and answer.answered):
            raise RefusalError(
                CODE,
                "this department was restored from a backup and may have answered this question before: "
                "ask it again, with a new intent",
            )

    def state(self) -> str:
        """For the operator: empty, ``restored``, ``rejoining`` or ``rejoined``."""
        rows = self._rows()
        if not rows:
            return ""
        return "rejoined" if all(row["fence"] is not None for row in rows) else "rejoining"

    def _rows(self) -> list[dict[str, Any]]:
        """Rows of the table; kept once all are final, since a restore never happens under a running node."""
        if self._settled is None:
            rows = self._store.all(tables.restored)
            if any(row["fence"] is None for row in rows):
                return rows
            self._settled = rows
        return self._settled


class GuardedWitnessStore(WitnessStore):
    """A witness's records behind the restore fence: none is read or replaced before the node rejoined."""

    def __init__(self, inner: WitnessStore, fence: RestoreFence) -> None:
        """Args: ``inner`` holds the records."""
        self._inner = inner
        self._fence = fence

    @override
    def read(self, origin: str) -> WitnessRecord | None:
        """The record of a log, None before its first cosignature.

        Raises:
            ServiceUnavailableError: ``restored``: the node has not rejoined.
        """
        self._fence.require_witness(origin)
        return self._inner.read(origin)

    @override
    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        """Replace ``old`` by ``new`` as ``WitnessStore`` does; raises as ``read`` does."""
        self._fence.require_witness(origin)
        return self._inner.swap(origin, old, new)


def _outbox_name(row: dict[str, Any]) -> str:
    """Name of a restore's fence in the outbox."""
    return f"restored/{row['id']}"
