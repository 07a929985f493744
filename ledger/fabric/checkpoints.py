"""Compares checkpoints on Fabric with the own derived log before they are taken or cosigned.

``Heads`` takes the assembler's checkpoints. The assembler is not trusted here: a checkpoint counts when it
carries the policy's quorum and its root is that of the own derived log at its size. Threads that wait for a
checkpoint share one request at a time, and none waits longer for the other threads than for the answer.

``DerivedWitness`` cosigns. On the embedded log a witness checks consistency only: one tree that only grows.
On Fabric it can check more, since its own peer has every block. It waits up to ``WAIT_SECONDS`` until its own
derived log has as many leaves as the checkpoint, and compares the roots:

    200 and the others   as tlog-witness says, after the roots are found equal
    503                  the own peer shows fewer entries, or is not followed any more, or the own disk has
                         changed what is compared; asked again
    422                  the own peer shows another tree of this size: the peers disagree about a block

So a quorum of cosignatures says that the own peers of as many members show exactly these entries as valid
(members of one organisation may share a peer). A request without the log's signature is answered at once,
without waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from ledger.errors import ForkError, LedgerError, LogError, LogUnavailableError, NoteError, WitnessError
from ledger.fabric.derived import DerivedLog
from ledger.fault_points import Observe, unobserved
from ledger.formats.checkpoint import Checkpoint, Cosigner, verify_signed
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy
from ledger.witness import TEXT, AddCheckpoint, Witness, WitnessStore

POLL_SECONDS = 0.01
WAIT_SECONDS = 2.0
"""How long the own peer may lag behind a checkpoint; below the time-out of a round."""
log = logging.getLogger("hedui.fabric")


class Heads:
    """The newest agreed checkpoint; safe for threads."""

    def __init__(
        self,
        fetch: Callable[[], bytes | None],
        policy: Policy,
        derived: DerivedLog,
        stopping: threading.Event,
    ) -> None:
        """Args: ``fetch`` returns the assembler's newest note; ``stopping`` ends all waiting."""
        self._fetch = fetch
        self._policy = policy
        self._derived = derived
        self._stopping = stopping
        # Held by the one thread that asks and compares; guards all fields below. `final` alone is read
        # without it: it only grows.
        self._lock = threading.Lock()
        self._note: bytes | None = None
        self._asked = float("-inf")
        self.final = 0

    def newest(self, seconds: float) -> bytes | None:
        """Ask for the newest checkpoint; None where there is none.

        Raises:
            NoteError, QuorumError: it is not under the policy's quorum.
            LogUnavailableError: the own peer does not show its entries within ``seconds``.
            ForkError: the own log has another root at its size.
        """
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=max(seconds, 0.0)):
            raise LogUnavailableError(
                "the newest checkpoint is not compared with the own peer's entries yet: see that the peer "
                "runs and catches up"
            )
        try:
            if time.monotonic() - self._asked < POLL_SECONDS:
                return self._note
            note = self._fetch()
            if note is not None and note != self._note:
                self._agree(note, max(deadline - time.monotonic(), 0.0))
            self._asked = time.monotonic()
            return self._note
        finally:
            self._lock.release()

    def covering(self, position: int, deadline: float) -> bytes:
        """The newest checkpoint, as soon as it holds the leaf at ``position``.

        Raises:
            LogUnavailableError: not before ``deadline``; and as ``newest`` says.
        """
        while True:
            note = self.newest(max(deadline - time.monotonic(), 0.0))
            if note is not None and size_of(note) > position:
                return note
            if time.monotonic() > deadline or self._stopping.wait(POLL_SECONDS):
                raise LogUnavailableError(
                    "the entry is ordered, but no cosigned checkpoint covers it yet: see that the "
                    "assembler and a quorum of witnesses run; submit the same bytes again later"
                )

    def _agree(self, note: bytes, seconds: float) -> None:
        head = self._policy.verify_checkpoint(note).checkpoint
        if not self._derived.wait_for_size(head.size, seconds):
            raise LogUnavailableError(
                f"the own peer shows {self._derived.size} of {head.size} entries: see that it runs and "
                "catches up"
            )
        if self._derived.root_at(head.size) != head.root:
            raise ForkError(
                f"the own peer shows another log than the cosigned checkpoint of size {head.size}: keep "
                "both and call the auditor"
            )
        if head.size >= self.final:
            self._note, self.final = note, head.size


def size_of(note: bytes) -> int:
    """Size of a checkpoint in a note that ``Heads`` returned."""
    return Checkpoint.parse(Note.parse(note).text).size


class DerivedWitness(Witness):
    """A witness that looks at its own derived log before it cosigns this network's; safe for threads."""

    def __init__(
        self,
        cosigner: Cosigner,
        logs: Iterable[VerifierKey],
        store: WitnessStore,
        observe: Observe = unobserved,
        *,
        own: VerifierKey,
        derived: DerivedLog,
        fault: Callable[[], LedgerError | None],
        wait: float = WAIT_SECONDS,
    ) -> None:
        """A witness of the given logs.

        Args:
            cosigner, logs, store, observe: as ``Witness`` takes them.
            own: key of this network's log; the other logs are no concern of the derived one.
            derived: what the own peer shows.
            fault: why the own peer is not followed any more, or None.
            wait: seconds the own peer may lag.
        """
        super().__init__(cosigner, logs, store, observe)
        self._own = own
        self._derived = derived
        self._fault = fault
        self._wait = wait

    def add_checkpoint(self, body: bytes, now: int) -> tuple[int, bytes, str]:
        """Answer one request as ``Witness`` does, with 503 and 422 as the module describes."""
        head = self._signed(body)
        refusal = None if head is None else self._compare(head)
        if refusal is not None:
            status, text = refusal
            log.warning("not cosigned: %s", text)
            return status, f"{text}\n".encode(), TEXT
        return super().add_checkpoint(body, now)

    def _signed(self, body: bytes) -> Checkpoint | None:
        """The checkpoint in the request if this network's log signed it, else None."""
        try:
            note = Note.parse(AddCheckpoint.parse(body).note)
            head = Checkpoint.parse(note.text)
            if head.origin != self._own.name:
                return None
            verify_signed(note, self._own)
        except (WitnessError, NoteError):
            return None
        return head

    def _compare(self, head: Checkpoint) -> tuple[int, str] | None:
        fault = self._fault()
        if fault is not None:
            return 503, f"the own peer's blocks are not followed any more: {fault}"
        if not self._derived.wait_for_size(head.size, self._wait):
            shown = self._derived.size
            return 503, f"the own peer shows {shown} entries, the checkpoint has {head.size}: ask again later"
        try:
            root = self._derived.root_at(head.size)
        except LogError as error:
            return 503, str(error)
        if root != head.root:
            return 422, (
                f"the own peer shows something else than the checkpoint of size {head.size}: keep the "
                "checkpoint, compare the validation flags of the members' peers and call the auditor"
            )
        return None
