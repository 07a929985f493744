"""The embedded log: a sequencer on one SQL database.

    submit ─▶ batch ─▶ stage ─▶ re-read, hash, sign ─▶ swap head ─▶ witnesses ─▶ tiles ─▶ publish ─▶ receipts
              └─────────── ordering thread ──────────────────┘     └──────── finishing thread ──────────┘

Rules
- Group commit (``ledger.sequencer.submissions``): one batch is made final while the next is ordered.
- An entry is *final* when a checkpoint that holds it carries a quorum's cosignatures; only then does its
  submitter get the receipt. The same bytes again give the receipt of the first time, at any time later.
- What the contract refuses is not ordered; the submitter gets ``EntryRefusedError``. So does an entry whose
time is
  more than 120 s off this log's clock. A refused ``query.intent`` leaves a ``query.refused`` entry, one
  every 10 s at most.
- Quorum missing: submitters get ``QuorumError`` with the silent witnesses' names. What was ordered stays so
  and becomes final later; nothing new is ordered meanwhile.
- An idle head gets fresh cosignatures every 20 s, over the same text.
- Start gate: nothing is signed after a start before n − k + 1 witnesses have told what they saw last. A
  larger or different tree under this log's own signature, then or later, puts the log in quarantine.

Never two texts for a size: a head is kept before anybody sees it. Never a cosignature time that goes back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger import contract
from ledger.contract.replay import Apply
from ledger.entries.times import parse_time
from ledger.errors import EntryRefusedError, LedgerError, LogError, LogUnavailableError
from ledger.fault_points import Point
from ledger.formats.note import NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.sequencer.final_log import FinalLog
from ledger.sequencer.finalizer import Finalizer, FinalizerSettings
from ledger.sequencer.ordering import Candidate, OrderedLog, RefusedCandidate
from ledger.sequencer.submissions import Submission, Submissions
from ledger.sequencer.witness_rounds import WitnessClient

REMEDY = (
    "The log is in quarantine and signs nothing. Another sequencer may be running with this key, or this "
    "database is an old copy: stop the other one, or recover the log from an auditor's mirror"
)


class Sequencer(FinalLog[OrderedLog]):
    """The one writer of an embedded log. ``start`` it, ``submit`` from any number of threads, ``stop`` it."""

    def __init__(
        self,
        database: Engine,
        signer: NoteSigner,
        policy: Policy,
        witnesses: Mapping[str, WitnessClient],
        public: Path,
        now: Callable[[], int],
        *,
        admit: Apply = contract.apply,
        settings: FinalizerSettings | None = None,
    ) -> None:
        """Prepare a log; nothing is signed or sent before ``start``.

        Args:
            database: with the tables of ``ledger.storage.tables``.
            signer: the log key; its name is the policy's origin.
            policy: log key, witnesses and quorum.
            witnesses: clients by the policy's witness names.
            public: the public folder.
            now: POSIX seconds.
            admit: the contract, which says what may be ordered.
            settings: times and hooks; the defaults when not given.

        Raises:
            LogError: the signer's key is not the policy's log key.
            WitnessError: a client for a witness the policy does not list.
            QuarantineError: the database is damaged beyond what can be rebuilt from it.
        """
        if signer.verifier != policy.log:
            raise LogError("the log key is not the one the policy names: give the key of this network's log")
        self._now = now
        chosen = FinalizerSettings() if settings is None else settings
        log = OrderedLog(database, signer, admit, chosen.observe)
        self._submissions = Submissions()
        finisher = Finalizer(log, policy, witnesses, public, self._submissions, chosen)
        super().__init__(log, finisher, chosen, REMEDY)
        self._last_refusal = float("-inf")
        self._threads = [
            threading.Thread(target=self._order_loop, name="sequencer-order", daemon=True),
            threading.Thread(target=self._finish_loop, name="sequencer-finish", daemon=True),
        ]

    def start(self) -> None:
        """Start the threads; the start gate comes first."""
        self._finisher.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Refuse new entries, let the threads end what they are at, and wait for them."""
        self._submissions.close(
            LogUnavailableError("the log is stopping: submit the same bytes again after its start")
        )
        self._stopping.set()
        self._finisher.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._finisher.close()

    def wait_ready(self, seconds: float) -> None:
        """Wait until the start gate is passed.

        Raises:
            QuarantineError: it showed another tree.
            LogUnavailableError: too few witnesses have answered.
        """
        self._ready.wait(seconds)
        if self._fatal is not None:
            raise self._fatal
        if not self._ready.is_set():
            raise LogUnavailableError("too few witnesses have answered after the start: start their nodes")

    def submit(self, leaf: bytes) -> Receipt:
        """Append an entry and wait until it is final.

        Raises:
            EntryError: the leaf is no entry.
            EntryRefusedError: the contract, or this log's clock, does not allow it; it is not ordered.
            QuorumError: too few witnesses; the entry may become final later. The same bytes again are safe.
            LogUnavailableError: not final in time, or the log is stopping. The same bytes again are safe.
            QuarantineError: the log may not sign.
        """
        future = self._submissions.add(Candidate.parse(leaf))
        try:
            return future.result(self._settings.submit)
        except FutureTimeout:
            raise LogUnavailableError(
                "the entry is not final yet: submit the same bytes again later"
            ) from None

    # Finishing thread.

    def _finish_loop(self) -> None:
        try:
            if self._finisher.gate():
                self._ready.set()
            while self._is_running():
                self._finisher.work()
        except LedgerError as error:
            self._quarantine(error)
        finally:
            self._close_after_a_crash()

    # Ordering thread.

    def _order_loop(self) -> None:
        while not self._ready.wait(0.1):
            if self._stopping.is_set():
                return
        try:
            self._order_batches()
        finally:
            self._close_after_a_crash()

    def _order_batches(self) -> None:
        while self._is_running():
            batch = [] if self._log.pending else self._submissions.take(lambda: self._finisher.idle, 0.5)
            try:
                self._order(batch)
            except (SQLAlchemyError, OSError) as error:
                self._lost(batch, error)
            except LedgerError as error:
                self._quarantine(error)

    def _order(self, batch: Sequence[Submission]) -> None:
        """Stage a batch and bring whatever is staged under a signed head."""
        if batch:
            self._settings.observe(Point.BATCH_TAKEN)
            self._stage(batch)
            self._settings.observe(Point.STAGED)
        if self._log.pending:
            self._log.order()
            self._settings.observe(Point.ORDERED)
            self._finisher.wake()
        if batch:
            self._finisher.settle()

    def _stage(self, batch: Sequence[Submission]) -> None:
        new = self._timely(self._unknown(batch))
        outcomes = self._log.stage([one.candidate for one in new], self._record)
        for submission, outcome in zip(new, outcomes, strict=True):
            if isinstance(outcome, int):
                submission.position = outcome
            else:
                self._submissions.fail([submission], outcome)

    def _unknown(self, batch: Sequence[Submission]) -> list[Submission]:
        """Those never stored before; the others get their position. Nobody waits for a missing quorum."""
        known = self._log.known([one.candidate.hashed for one in batch])
        short = self._finisher.short
        new: list[Submission] = []
        for submission in batch:
            submission.position = known.get(submission.candidate.hashed)
            is_final = submission.position is not None and submission.position < self.size
            if short is not None and not is_final:
                self._submissions.fail([submission], short)
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

    def _lost(self, batch: Sequence[Submission], error: Exception) -> None:
        """The database failed: nobody knows what was kept, so take up what is there."""
        remedy = f"the log's database failed ({type(error).__name__}): submit the same bytes again later"
        self._submissions.fail(batch, LogUnavailableError(remedy))
        self._stopping.wait(self._settings.retry)
        try:
            self._log.load()
        except SQLAlchemyError:
            return

    def _close_after_a_crash(self) -> None:
        """A thread that ends without being told to has met a fault of the program: let nobody wait."""
        if self._is_running():
            self._quarantine(LogError("a thread of the log has failed; its trace is in this node's output"))

    def _release(self, fatal: LogError) -> None:
        self._submissions.close(fatal)
