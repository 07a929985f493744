"""A witness on Fabric: it cosigns only a checkpoint that its own peer shows too.

On the embedded log a witness judges consistency alone: one tree that only grows. On Fabric it can do
more, since its own peer has every block. It waits a little until its own derivation has as many leaves as
the checkpoint, and compares the roots:

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
from collections.abc import Callable, Iterable

from ledger.checkpoint import Checkpoint, verify_signed
from ledger.cosignature import Cosigner
from ledger.errors import LedgerError, LogError, NoteError, WitnessError
from ledger.fabric.derived import DerivedLog
from ledger.note import Note, VerifierKey
from ledger.points import Observe, unobserved
from ledger.witness import TEXT, AddCheckpoint, Witness, WitnessStore

WAIT_SECONDS = 2.0
"""How long the own peer may lag behind a checkpoint; below the time-out of a round."""

log = logging.getLogger("hedui.fabric")


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
        """See ``Witness``; 503 and 422 as the module says."""
        head = self._signed(body)
        refusal = None if head is None else self._compare(head)
        if refusal is not None:
            status, text = refusal
            log.warning("not cosigned: %s", text)
            return status, f"{text}\n".encode(), TEXT
        return super().add_checkpoint(body, now)

    def _signed(self, body: bytes) -> Checkpoint | None:
        """The checkpoint asked about, where it is one of this network's log, signed by it."""
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
