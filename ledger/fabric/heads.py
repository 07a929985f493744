"""Cosigned checkpoints of the assembler, each taken only when the own derived log agrees with it.

The assembler is not trusted here: a checkpoint counts when it carries the policy's quorum and its root is
that of the own log at its size. Those who wait for one share one request at a time, and nobody waits longer
for the others than for the answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ledger.checkpoint import Checkpoint
from ledger.errors import ForkError, Unavailable
from ledger.fabric.derived import DerivedLog
from ledger.note import Note
from ledger.policy import Policy

POLL_SECONDS = 0.01


class Heads:
    """The newest agreed checkpoint; safe for threads."""

    def __init__(
        self,
        fetch: Callable[[], bytes | None],
        policy: Policy,
        derived: DerivedLog,
        stopping: threading.Event,
    ) -> None:
        """Args: ``fetch`` gives the assembler's newest note; ``stopping`` ends all waiting."""
        self._fetch = fetch
        self._policy = policy
        self._derived = derived
        self._stopping = stopping
        self._lock = threading.Lock()
        self._note: bytes | None = None
        self._asked = float("-inf")
        self.final = 0

    def newest(self, seconds: float) -> bytes | None:
        """Ask for the newest checkpoint; None where there is none.

        Raises:
            NoteError, QuorumError: it is not under the policy's quorum.
            Unavailable: the own peer does not show its entries within ``seconds``.
            ForkError: the own log has another root at its size.
        """
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=max(seconds, 0.0)):
            raise Unavailable(
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
            Unavailable: not before ``deadline``; and as ``newest`` says.
        """
        while True:
            note = self.newest(max(deadline - time.monotonic(), 0.0))
            if note is not None and size_of(note) > position:
                return note
            if time.monotonic() > deadline or self._stopping.wait(POLL_SECONDS):
                raise Unavailable(
                    "the entry is ordered, but no cosigned checkpoint covers it yet: see that the "
                    "assembler and a quorum of witnesses run; submit the same bytes again later"
                )

    def _agree(self, note: bytes, seconds: float) -> None:
        head = self._policy.verify_checkpoint(note).checkpoint
        if not self._derived.wait_for_size(head.size, seconds):
            raise Unavailable(
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
    """Size of a checkpoint that was agreed with."""
    return Checkpoint.parse(Note.parse(note).text).size
