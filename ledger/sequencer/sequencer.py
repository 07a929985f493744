"""The embedded log: a sequencer on one SQL database.

    submit ─▶ batch ─▶ stage ─▶ re-read, hash, sign ─▶ swap head ─▶ witnesses ─▶ tiles ─▶ publish ─▶ receipts
              └─────────── ordering thread ──────────────────┘     └──────── finalizing thread ─────────┘

Rules
- Group commit (``ledger.sequencer.submissions``): one batch is made final while the next is ordered.
- An entry is *final* when a checkpoint that holds it carries a quorum's cosignatures; only then does its
  submitter get the receipt. The same bytes again give the receipt of the first time, at any time later.
- What the contract refuses is not ordered; the submitter gets ``EntryRefusedError``. So does the submitter
  of an entry whose time is more than 120 s off this log's clock. A refused ``query.intent`` leaves a
  ``query.refused`` entry, one every 10 s at most.
- Quorum missing: submitters get ``QuorumError`` with the silent witnesses' names. What was ordered stays so
  and becomes final later; nothing new is ordered meanwhile.
- An idle head gets fresh cosignatures every 20 s, over the same text.
- Start gate: nothing is signed after a start before n − k + 1 witnesses have told what they saw last. A
  larger or different tree under this log's own signature, then or later, puts the log in quarantine.

Never two texts for a size: a head is stored before it is shown. Never a cosignature time that goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from ledger import contract
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.entries.times import parse_time
from ledger.errors import EntryRefusedError, LogError, LogUnavailableError, QuorumError
from ledger.fault_points import Point
from ledger.formats.receipt import Receipt
from ledger.sequencer.final_log import FinalLog, LocalLog, LogParts
from ledger.sequencer.ordering import Candidate, OrderedLog, RefusedCandidate
from ledger.sequencer.submissions import Submission, Submissions

REMEDY = (
    "The log is in quarantine and signs nothing. Another sequencer may be running with this key, or this "
    "database is an old copy: stop the other one, or recover the log from an auditor's mirror"
)


class Sequencer(LocalLog):
    """The one writer of an embedded log. ``start`` it, ``submit`` from any number of threads, ``stop`` it."""

    def __init__(
        self, database: Engine, parts: LogParts, now: Callable[[], int], *, admit: Apply = contract.apply
    ) -> None:
        """Prepare a log; nothing is signed or sent before ``start``.

        Args:
            database: with the tables of ``ledger.storage.database``.
            parts: log key, policy, witnesses, public folder and settings.
            now: POSIX seconds.
            admit: the contract, which says what may be ordered.

        Raises:
            WitnessError: a client for a witness the policy does not list.
            QuarantineError: the database is damaged beyond what can be rebuilt from it.
        """
        self._now = now
        self._settings = parts.settings
        # Written by the ordering thread alone; the finalizing thread and those of readers read it.
        self._log = OrderedLog(database, parts.signer, admit, parts.settings.observe)
        # Safe for any thread; see `Submissions`.
        self._submissions = Submissions()
        self._final = FinalLog(
            self._log, parts, self._submissions, remedy=REMEDY, on_quarantine=self._submissions.close
        )
        self._finalizer = self._final.finalizer
        # Monotonic time of the last record of a refusal; the ordering thread's alone.
        self._last_refusal = float("-inf")

    @override
    def start(self) -> None:
        self._final.start({"sequencer-order": self._order_loop, "sequencer-finalize": self._final.finalize})

    @override
    def stop(self) -> None:
        self._submissions.close(
            LogUnavailableError("the log is stopping: submit the same bytes again after its start")
        )
        self._final.end()
        self._final.join()

    @override
    def wait_ready(self, seconds: float) -> None:
        if not self._final.wait_ready(seconds):
            raise LogUnavailableError("too few witnesses have answered after the start: start their nodes")

    @property
    @override
    def head(self) -> bytes | None:
        return self._final.head

    @property
    @override
    def size(self) -> int:
        return self._final.size

    @property
    @override
    def ordered(self) -> int:
        return self._final.ordered

    @property
    @override
    def state(self) -> State:
        return self._final.state

    @property
    @override
    def quorum_error(self) -> QuorumError | None:
        return self._final.quorum_error

    @property
    @override
    def quarantined(self) -> LogError | None:
        return self._final.quarantined

    @override
    def read(self, begin: int, end: int) -> list[bytes]:
        return self._final.read(begin, end)

    @override
    def receipt(self, index: int) -> Receipt:
        return self._final.receipt(index)

    @override
    def submit(self, leaf: bytes) -> Receipt:
        future = self._submissions.add(Candidate.parse(leaf))
        try:
            return future.result(self._settings.submit)
        except FutureTimeout:
            raise LogUnavailableError(
                "the entry is not final yet: submit the same bytes again later"
            ) from None

    # Everything below runs in the ordering thread.

    def _order_loop(self) -> None:
        if self._final.wait_gate():
            self._order_batches()

    def _order_batches(self) -> None:
        while self._final.is_running:
            batch = [] if self._log.pending else self._submissions.take(lambda: self._finalizer.idle, 0.5)
            try:
                self._order(batch)
            except (SQLAlchemyError, OSError) as error:
                self._load_again(batch, error)

    def _order(self, batch: Sequence[Submission]) -> None:
        """Stage a batch and bring whatever is staged under a signed head."""
        if batch:
            self._settings.observe(Point.BATCH_TAKEN)
            self._stage(batch)
            self._settings.observe(Point.STAGED)
        if self._log.pending:
            self._log.order()
            self._settings.observe(Point.ORDERED)
            self._finalizer.wake()
        if batch:
            self._finalizer.settle()

    def _stage(self, batch: Sequence[Submission]) -> None:
        new = self._timely(self._unknown(batch))
        outcomes = self._log.stage([one.candidate for one in new], self._record)
        for submission, outcome in zip(new, outcomes, strict=True):
            if isinstance(outcome, int):
                submission.position = outcome
            else:
                self._submissions.fail([submission], outcome)

    def _unknown(self, batch: Sequence[Submission]) -> list[Submission]:
        """The submissions not stored before; the others get their position."""
        known = self._log.known([one.candidate.leaf_hash for one in batch])
        quorum_error = self._finalizer.quorum_error
        new: list[Submission] = []
        for submission in batch:
            submission.position = known.get(submission.candidate.leaf_hash)
            is_final = submission.position is not None and submission.position < self.size
            if quorum_error is not None and not is_final:
                self._submissions.fail([submission], quorum_error)
            elif submission.position is None:
                new.append(submission)
        return new

    def _timely(self, batch: Sequence[Submission]) -> list[Submission]:
        now = self._now()
        kept: list[Submission] = []
        for submission in batch:
            seconds = parse_time(submission.candidate.entry.time)
            if abs(seconds - now) > self._settings.clock:
                remedy = (
                    f"the entry's time is more than {self._settings.clock} s off: set the clock, sign again"
                )
                self._submissions.fail([submission], EntryRefusedError("clock", remedy))
            else:
                kept.append(submission)
        return kept

    def _record(self, refusal: RefusedCandidate) -> bytes | None:
        """Leaf of a refusal's record, unless one was written shortly before."""
        make, moment = self._settings.refusal_entry, time.monotonic()
        if make is None or moment - self._last_refusal < self._settings.refusals:
            return None
        self._last_refusal = moment
        return make(refusal.digest, refusal.code)

    def _load_again(self, batch: Sequence[Submission], error: Exception) -> None:
        """Load the log after a failure of the database, when it is not known what was stored."""
        remedy = f"the log's database failed ({type(error).__name__}): submit the same bytes again later"
        self._submissions.fail(batch, LogUnavailableError(remedy))
        self._final.stopping.wait(self._settings.retry)
        try:
            self._log.load()
        except SQLAlchemyError:
            return
