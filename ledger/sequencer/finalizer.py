"""Finalizing: from a signed head to a final one, and receipts for those who wait.

    gate      after a start: ask the witnesses what they saw last, until n − k + 1 have answered
    round     ask every witness for a cosignature over the last signed head, until a quorum or the time-out
    publish   tiles, then the checkpoint with the cosignatures, then the receipts

An entry is final when a checkpoint that holds it carries a quorum's cosignatures. An idle head gets fresh
ones over the same text; lines of witnesses that were late or silent this time are kept from before, or taken
from where they came in late, as long as the text is the same. Where the quorum is missing, every submitter
that waits is told which witnesses did not answer, and the round is tried again until it succeeds: what was
ordered becomes final then. A cosignature whose time is before the one already published over the same text
is not put in its place.

A witness that shows another tree under this log's signature ends the work, however late its answer comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LogUnavailableError, NoteError, QuorumError
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.checkpoint import cosignature_time
from ledger.formats.note import Note, NoteSignature
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import Tile
from ledger.sequencer.public_folder import PublicFolder
from ledger.sequencer.submissions import Submissions
from ledger.sequencer.witness_rounds import Cosigners, Round, WitnessClient, gate
from ledger.storage.tree_store import EMPTY_TREE_HEAD, TreeHead

RefusalEntry: TypeAlias = Callable[[bytes, str], bytes]
"""Salted digest (32 bytes) and code → leaf of a ``query.refused`` entry signed by the sequencer's node."""

KeepEvidence: TypeAlias = Callable[[bytes, bytes], None]
"""Takes two checkpoints, both signed by this log, that cannot belong to one history."""


def keep_no_evidence(first: bytes, second: bytes) -> None:
    """Keep nothing."""
    del first, second


@dataclass(frozen=True)
class FinalizerSettings:
    """How a sequencer goes about its work. Times are in seconds.

    Attributes:
        round: how long witnesses may take before the quorum counts as missing.
        retry: pause before asking them again.
        refresh: age at which an idle head gets fresh cosignatures.
        submit: how long a submitter waits at most.
        clock: how far an entry's time may be off the log's clock.
        refusals: least time between two records of refusals.
        refusal_entry: writes the record of a refused intent; None: none is written.
        observe: told each point (``ledger.fault_points``), for tests that stop the process there.
        evidence: keeps the notes that show a second history under this log's key.
    """

    round: float = 5.0
    retry: float = 1.0
    refresh: float = 20.0
    submit: float = 60.0
    clock: int = 120
    refusals: float = 10.0
    refusal_entry: RefusalEntry | None = None
    observe: Observe = unobserved
    evidence: KeepEvidence = keep_no_evidence


class SignedTree(Protocol):
    """A tree with a signed head that is not final yet: ``ledger.sequencer.ordering.OrderedLog``."""

    @property
    def head(self) -> TreeHead:
        """The last signed head; size 0 and no note before the first."""
        ...

    def content(self, tile: Tile) -> bytes:
        """Bytes of a public tile or bundle."""
        ...

    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        """Inclusion proofs of several entries in one tree."""
        ...

    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        """Consistency proof between two sizes."""
        ...

    def judge(self, policy: Policy, note: bytes) -> None:
        """Compare a witness's checkpoint with this tree; ``ForkError`` where it is another one."""
        ...


class Finalizer:
    """Makes signed heads final. ``gate`` and ``work`` belong to the finalizing thread, the rest to any."""

    def __init__(
        self,
        log: SignedTree,
        policy: Policy,
        clients: Mapping[str, WitnessClient],
        public: Path,
        submissions: Submissions,
        settings: FinalizerSettings,
    ) -> None:
        self._log = log
        self._policy = policy
        self._submissions = submissions
        self._settings = settings
        # Events, safe for any thread. `_wake` is set for a new head, evidence of a fork or a stop, and
        # cleared by the finalizing thread, which then looks at all three again. `_stopping` is never cleared.
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # The finalizing thread begins rounds; the witnesses' threads answer them and set its `fork`.
        self._cosigners = Cosigners(policy, clients, self._judge, self._wake.set)
        # The finalizing thread's alone; `close` comes after that thread has ended.
        self._public = PublicFolder(public)
        # Cosignatures under `final` by witness name, the last round, and when it was asked (monotonic):
        # the finalizing thread's alone.
        self._lines: dict[str, NoteSignature] = {}
        self._last: Round | None = None
        self._asked = 0.0
        # Each replaced as a whole by the finalizing thread; read by any thread.
        self.final = EMPTY_TREE_HEAD
        self.quorum_error: QuorumError | None = None
        """Why the last round made nothing final; None after one that did."""
        self.gate_error: QuorumError | None = None
        """Names the witnesses that the start gate waits for, while it is shut."""

    @property
    def idle(self) -> bool:
        """Whether everything ordered is final, or cannot become so now."""
        return self.final.size == self._log.head.size or self.quorum_error is not None

    def start(self) -> None:
        """Start the witnesses' threads."""
        self._cosigners.start()

    def wake(self) -> None:
        """A new head is signed."""
        self._wake.set()

    def stop(self) -> None:
        """Make ``gate`` and ``work`` return soon."""
        self._stopping.set()
        self._wake.set()

    def close(self) -> None:
        """End the witnesses' threads and remove unfinished files, after the finalizing thread has ended."""
        self._cosigners.stop()
        self._public.close()

    def gate(self) -> bool:
        """Wait until the start gate is passed and the public folder is in order; False when stopped before.

        Raises:
            ForkError: a witness has seen a larger or different tree under this log's signature.
        """
        while not self._stopping.is_set():
            try:
                waiting = gate(self._cosigners, self._policy, self._judge, self._settings.round)
                text = "the start gate waits for witnesses"
                self.gate_error = QuorumError(text, waiting) if waiting else None
                if not waiting:
                    self._load_published()
                    self._public.open(self._policy.format(), self.final.size, self._log.content)
                    return True
            except (SQLAlchemyError, OSError, LogUnavailableError):
                pass  # the database or the disk may come back; until then the gate stays shut
            self._stopping.wait(self._settings.retry)
        return False

    def work(self) -> None:
        """Wait for a new head, a retry or a refresh, and make one round; return early when stopped.

        Raises:
            ForkError: a witness has seen a larger or different tree under this log's signature.
        """
        if self._cosigners.fork is not None:
            raise self._cosigners.fork
        head = self._log.head
        if self.quorum_error is not None:
            self._stopping.wait(self._asked + self._settings.retry - time.monotonic())
        elif head.size == self.final.size:
            due = self._asked + self._settings.refresh - time.monotonic()
            if due > 0 or not head.size:
                self._wake.wait(due if head.size else None)
                self._wake.clear()
                if head.size == self._log.head.size and (not head.size or due - time.monotonic() > 0):
                    return
        head = self._log.head
        if head.size and not self._stopping.is_set():
            self._round(head)
            self._submissions.wake()

    def settle(self) -> None:
        """Hand receipts to those whose entries are final."""
        final = self.final
        done = self._submissions.ordered_below(final.size)
        if done:
            self._submissions.succeed(done, self.receipts([one.position or 0 for one in done], final))

    def receipts(self, positions: Sequence[int], head: TreeHead) -> list[Receipt]:
        """Receipts of entries under a final head.

        Raises:
            MerkleError: a position beyond it.
        """
        paths = self._log.inclusion_paths(positions, head.size)
        return [Receipt(position, path, head.note) for position, path in zip(positions, paths, strict=True)]

    def _judge(self, note: bytes) -> None:
        """Compare a witness's checkpoint with this log; called in the witnesses' threads as well."""
        try:
            self._log.judge(self._policy, note)
        except SQLAlchemyError as error:
            raise _lost_database(error) from error

    def _path(self, old: int, new: int) -> tuple[bytes, ...]:
        """A consistency proof; asked for in the witnesses' threads."""
        try:
            return self._log.consistency_path(old, new)
        except SQLAlchemyError as error:
            raise _lost_database(error) from error

    def _load_published(self) -> None:
        """Load the published checkpoint; one that is damaged or of another policy is written again."""
        note = self._public.checkpoint()
        if note is None:
            return
        try:
            head = self._policy.verify_checkpoint(note).checkpoint
            self._judge(note)
        except (NoteError, QuorumError):
            return
        parsed = Note.parse(note)
        self._lines = {w.name: line for w in self._policy.listed for line in parsed.signed_by(w.key)}
        self.final = TreeHead(head.size, head.root, note, "")

    def _round(self, head: TreeHead) -> None:
        checkpoint = self._policy.verify_log(head.note)[1]
        self._settings.observe(Point.ASKING)
        asked = self._cosigners.begin(checkpoint, head.note, lambda old: self._path(old, head.size))
        lines = asked.wait(self._policy.quorum, self._settings.round)
        self._asked = time.monotonic()
        if self._cosigners.fork is not None:
            raise self._cosigners.fork
        cosigned = sum(witness.name in lines for witness in self._policy.witnesses)
        if cosigned < self._policy.quorum:
            self._fall_short(asked, cosigned)
            return
        self._settings.observe(Point.COSIGNED)
        try:
            self._publish(head, _latest(self._known(head), lines))
            self._last = asked
        except (SQLAlchemyError, OSError) as error:
            self.quorum_error = QuorumError(
                f"the log's disk or database failed ({type(error).__name__}): free space there"
            )
            self._submissions.fail_all(self.quorum_error)

    def _known(self, head: TreeHead) -> dict[str, NoteSignature]:
        """Cosignatures over this very text from before, where it was published already."""
        if head.size != self.final.size:
            return {}
        late = {} if self._last is None or self._last.checkpoint.size != head.size else self._last.so_far()
        return _latest(self._lines, late)

    def _publish(self, head: TreeHead, lines: Mapping[str, NoteSignature]) -> None:
        note = Note.parse(head.note)
        ordered = tuple(lines[w.name] for w in self._policy.listed if w.name in lines)
        data = Note(note.text, note.signatures + ordered).format()
        self._public.write(head.size, self._log.content)
        self._settings.observe(Point.TILES)
        self._public.publish(data, head.size)
        self._settings.observe(Point.PUBLISHED)
        self._lines = dict(lines)
        self.final = TreeHead(head.size, head.root, data, head.time)
        self.quorum_error = None
        self.settle()
        self._settings.observe(Point.FINAL)

    def _fall_short(self, asked: Round, cosigned: int) -> None:
        missing = asked.missing()
        self.quorum_error = QuorumError(
            f"{cosigned} of {self._policy.quorum} needed witnesses cosigned; no answer from "
            f"{', '.join(missing)}. Start these nodes; submitting the same bytes again is safe",
            missing,
        )
        self._submissions.fail_all(self.quorum_error)


def _latest(
    before: Mapping[str, NoteSignature], now: Mapping[str, NoteSignature]
) -> dict[str, NoteSignature]:
    """Cosignatures over one text, of each witness the one with the later time."""
    kept = dict(before)
    for name, line in now.items():
        old = kept.get(name)
        if old is None or cosignature_time(line) >= cosignature_time(old):
            kept[name] = line
    return kept


def _lost_database(error: SQLAlchemyError) -> LogUnavailableError:
    return LogUnavailableError(f"the log's database failed ({type(error).__name__}): it is asked again")
