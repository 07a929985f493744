"""A node's client of the ledger: follows it by local replay, appends entries, and proves what it records.

The sequencer's member uses its own log through the same ``Transport`` as every other member uses over the
wire, so that no role sees another ledger than the public one. A role that answers asks for a **fresh head**:
a checkpoint fetched now, whose quorum of cosignatures is under 60 s old by this node's clock, replayed here,
and consistent with what this node's own witness has cosigned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from keys.signing import SigningKey
from ledger import contract
from ledger.contract.state import Overlay
from ledger.contract.view import View
from ledger.entries import entry as entries
from ledger.entries.entry import Signature
from ledger.entries.times import format_time
from ledger.errors import EntryRefusedError, ForkError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.receipt import Receipt
from ledger.replica.replica import Replica
from node.errors import RefusalError, ServiceUnavailableError
from node.tlog.split_views import SplitViewEvidence
from node.tlog.transport import Transport
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, HEAD_MAX_AGE_SECONDS

CATCH_UP_SECONDS = 3.0
POLL_SECONDS = 0.01
AT_ONCE = 4096
"""Entries that are fetched before the database is locked; more are streamed into it."""
ID_USED = "id_used"
"""Code of the contract for an id that the ledger holds."""
TWO_HISTORIES = "the log has signed two histories: call the auditor"


def fresh_cosignatures(head: VerifiedCheckpoint, now: int) -> int:
    """How many witnesses' times under a head are under ``HEAD_MAX_AGE_SECONDS`` old, and not in the future.

    A node answers under a head with a quorum of them.

    Args:
        head: the head.
        now: this node's clock, POSIX seconds; two clocks may each be off by the tolerance.
    """
    latest = now + 2 * CLOCK_TOLERANCE_SECONDS
    return sum(now - HEAD_MAX_AGE_SECONDS < at <= latest for at in head.cosigned.values())


class LedgerClient:
    """One node's replica with the way to extend it and to append."""

    def __init__(
        self,
        network: str,
        policy: Policy,
        replica: Replica,
        transport: Transport,
        key: SigningKey,
        cosigned: Callable[[], dict[int, bytes]],
        clock: Callable[[], int],
        evidence: SplitViewEvidence | None = None,
    ) -> None:
        """Args: ``cosigned`` gives size → note of checkpoints this node's own witness has cosigned."""
        self._evidence = evidence
        self.network = network
        self.policy = policy
        self.replica = replica
        self._transport = transport
        self._key = key
        self._cosigned = cosigned
        self._clock = clock
        # Held by the one thread that fetches and replays what is new; the others then find it there. The
        # replica guards itself; no other field here ever changes.
        self._extending = threading.Lock()

    @property
    def view(self) -> View:
        """Typed view of the replayed state."""
        return View(self.replica.state)

    def sync(self) -> VerifiedCheckpoint:
        """Fetch the newest head and replay up to it.

        Raises:
            ServiceUnavailableError: the ledger cannot be reached.
            QuorumError, ForkError: the head lacks its quorum, or is another history.
        """
        note = self._transport.head()
        size = Checkpoint.parse(Note.parse(note).text).size
        with self._extending:
            known = self.replica.checkpoint
            if known is not None and note == self.replica.checkpoint_note:
                return known
            have = self.replica.size
            leaves: Iterable[bytes] = self._transport.read(have, size) if size > have else ()
            if size - have <= AT_ONCE:
                leaves = list(islice(leaves, max(size - have, 0) + 1))
            with self._keeping():
                return self.replica.extend(leaves, note)

    def compare(self, note: bytes) -> None:
        """Compare a checkpoint of the log, seen at another member, with this node's own history.

        One larger than the replica is compared with what this node's witness has cosigned, or not at all.

        Raises:
            NoteError: it is not signed by the log: no evidence of anything.
            ForkError: the log has shown two histories; both notes are kept.
        """
        with self._keeping():
            if self.replica.compare(note):
                return
            seen = self.policy.verify_log(note)[1]
            own = self._cosigned().get(seen.size)
            if own is not None and self.policy.verify_log(own)[1] != seen:
                raise ForkError(TWO_HISTORIES, (own, note))

    def compare_own(self) -> None:
        """Compare the newest checkpoint that this node's own witness has cosigned.

        Raises:
            ForkError: the log has shown this node's witness another history than its replica.
        """
        cosigned = self._cosigned()
        if cosigned:
            self.compare(cosigned[max(cosigned)])

    @property
    def evidence(self) -> list[str]:
        """Names of the files that show two histories under the log's key."""
        return [] if self._evidence is None else self._evidence.files()

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Keep the notes of a fork that shows itself inside the block."""
        try:
            yield
        except ForkError as error:
            if self._evidence is not None:
                self._evidence.take(error)
            raise

    def fresh_head(self) -> VerifiedCheckpoint:
        """A head fetched and replayed now that a role may answer under.

        Raises:
            ServiceUnavailableError: ledger out of reach, quorum missing, or its cosignatures too old; with
                a named code.
            ForkError: the head contradicts what this node's witness has cosigned, or two histories were seen
            before.
        """
        if self._evidence is not None:
            self._evidence.require_none()
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while True:
            head = self.sync()
            fresh = fresh_cosignatures(head, self._clock())
            if fresh < self.policy.quorum:
                raise ServiceUnavailableError(
                    f"only {fresh} of {self.policy.quorum} witnesses have cosigned in the last "
                    f"{HEAD_MAX_AGE_SECONDS} s: nothing is answered until they run again",
                    code="stale_head",
                )
            if self._consistent(head):
                return head
            if time.monotonic() > deadline:
                raise ServiceUnavailableError(
                    "the ledger shows an older head than this node has cosigned: ask its operator"
                )

    def _consistent(self, head: VerifiedCheckpoint) -> bool:
        """The head agrees with everything this node's witness has cosigned; False when it is only behind."""
        cosigned = self._cosigned()
        if not cosigned:
            return True
        size = head.checkpoint.size
        if size in cosigned:
            return self._agrees(cosigned[size])
        newest = max(cosigned)
        return newest <= size and self._agrees(cosigned[newest])

    def _agrees(self, note: bytes) -> bool:
        """The replica holds a checkpoint that this node's witness has cosigned.

        Raises:
            ForkError: it has another root: two histories were shown.
        """
        self.compare(note)
        return True

    def now_text(self) -> str:
        """This node's clock as an entry's time."""
        return format_time(self._clock())

    def compose(
        self, kind: str, identifier: str, body: dict[str, Any], further: Sequence[Signature] = ()
    ) -> bytes:
        """A signed leaf of this node: its own signature first, then those over the body."""
        draft = entries.draft(self.network, kind, identifier, self.now_text(), body)
        return entries.signed(draft, self._key, further).leaf()

    def append(self, leaf: bytes) -> Receipt:
        """Append a composed leaf; its receipt once it is final.

        Raises:
            RefusalError: the contract refuses it.
            ServiceUnavailableError: the ledger or its quorum is out of reach; the same leaf may be sent
                again.
        """
        receipt = self._transport.append(leaf)
        receipt.verify(self.policy, leaf)
        return receipt

    def submit(
        self, kind: str, identifier: str, body: dict[str, Any], further: Sequence[Signature] = ()
    ) -> Receipt:
        """Compose and append one entry."""
        return self.append(self.compose(kind, identifier, body, further))

    def submit_once(
        self, kind: str, identifier: str, body: dict[str, Any], further: Sequence[Signature] = ()
    ) -> Receipt:
        """Compose and append one entry; where the very same content is recorded already, that is enough.

        The same content is network, type, id and body, with any submitter and any further signatures.

        Raises:
            RefusalError: the contract refuses it; ``id_used`` where the id is that of something else.
            ServiceUnavailableError: see ``append``.
        """
        try:
            return self.submit(kind, identifier, body, further)
        except (RefusalError, EntryRefusedError) as error:
            if error.code != ID_USED:
                raise
            self.sync()
            index = self.replica.find(identifier)
            if index is None:
                raise
            found = self.replica.entry(index)
            if (found.network, found.type, found.body) != (self.network, kind, body):
                raise RefusalError(
                    ID_USED, "the ledger holds another entry under this id: start again with a new file"
                ) from error
            return self.replica.receipt(index)

    def holds(self, leaf: bytes) -> bool:
        """Whether this entry, or it signed by this node at another time, is on the ledger and counts now."""
        self.sync()
        entry = entries.parse(leaf)
        index = self.replica.find(entry.id)
        if index is None:
            return False
        found = self.replica.entry(index)
        return (found.type, found.body, found.sigs[0].key) == (entry.type, entry.body, entry.sigs[0].key)

    def would_refuse(self, leaf: bytes) -> bool:
        """Whether the contract refuses an entry after all that is replayed here; nothing is changed."""
        entry = entries.parse(leaf)
        try:
            contract.apply(Overlay(self.replica.state), entry, max(self.replica.time, entry.time))
        except EntryRefusedError:
            return True
        return False

    def require_accepted(self, index: int, leaf: bytes) -> None:
        """The entry at ``index`` is this very leaf, and this node's replay accepted it.

        Raises:
            RefusalError: ``not_on_ledger``, ``receipt`` when another entry stands there, or ``void_entry``.
        """
        if index >= self.replica.size:
            raise RefusalError(
                "not_on_ledger", "the entry is not on the ledger as far as it is replayed here"
            )
        if self.replica.leaf(index) != leaf:
            raise RefusalError("receipt", "the receipt is that of another entry")
        if self.replica.is_void(index):
            raise RefusalError("void_entry", "the log holds the entry, but the contract refuses it")

    def replica_receipt(self, identifier: str) -> tuple[bytes, bytes]:
        """Leaf of an accepted entry and its receipt under the newest head this node has replayed.

        Raises:
            RefusalError: ``not_on_ledger``: the entry is not there, or void.
        """
        index = self.replica.find(identifier)
        if index is None:
            raise RefusalError(
                "not_on_ledger", "the entry is not on the ledger as far as it is replayed here"
            )
        return self.replica.leaf(index), self.replica.receipt(index).format()

    def wait_for(self, ready: Callable[[View], bool], seconds: float) -> bool:
        """Replay until a condition on the state holds; False when it does not within ``seconds``."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            self.sync()
            if ready(self.view):
                return True
            if time.monotonic() > deadline:
                return False
            pause.wait(POLL_SECONDS)
