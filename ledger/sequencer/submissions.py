"""Submissions on their way: one record per leaf, however many threads ask, and the rule when a batch closes.

A batch closes at 256 entries, as soon as the log is idle (everything before it is final), and 50 ms after
its first entry at the latest. Identical leaves share one future, so a resubmission joins the first one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ledger.errors import LedgerError
from ledger.formats.receipt import Receipt
from ledger.sequencer.ordering import Candidate

BATCH_ENTRIES = 256
BATCH_SECONDS = 0.05


@dataclass
class Submission:
    """One leaf on its way.

    Attributes:
        candidate: the parsed leaf.
        arrived: monotonic time of the first submission.
        future: the receipt, or why there is none.
        position: its index once it is ordered; written by the ordering thread alone. A finalizing thread that
            does not see it yet leaves the submission to ``Finalizer.settle`` in the ordering thread.
    """

    candidate: Candidate
    arrived: float
    future: Future[Receipt] = field(default_factory=Future)
    position: int | None = None


class Submissions:
    """The queue before ordering and the waiting list behind it; safe for threads."""

    def __init__(self) -> None:
        # Guards all fields below. Futures are resolved outside of it: their callbacks are not ours.
        self._changed = threading.Condition()
        # Every submission that is not answered yet. Who removes one from here answers it, so that a
        # future is resolved once although several threads may try.
        self._by_hash: dict[bytes, Submission] = {}
        # Those of them that the ordering thread has not taken.
        self._queue: deque[Submission] = deque()
        # What new submissions are refused with; None while the log is open.
        self._refusal: LedgerError | None = None

    def add(self, candidate: Candidate) -> Future[Receipt]:
        """Queue a leaf, or join the one under way.

        Raises:
            LedgerError: the log is closed; what it was closed with.
        """
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            known = self._by_hash.get(candidate.leaf_hash)
            if known is None:
                known = Submission(candidate, time.monotonic())
                self._by_hash[candidate.leaf_hash] = known
                self._queue.append(known)
                self._changed.notify_all()
            return known.future

    def take(self, idle: Callable[[], bool], seconds: float) -> list[Submission]:
        """The next batch, once it closes; empty after ``seconds`` without one, or when closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._queue or self._refusal is not None, seconds):
                return []
            while self._queue and len(self._queue) < BATCH_ENTRIES and not idle():
                left = self._queue[0].arrived + BATCH_SECONDS - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return [self._queue.popleft() for _ in range(min(BATCH_ENTRIES, len(self._queue)))]

    def wake(self) -> None:
        """Look again whether the log is idle."""
        with self._changed:
            self._changed.notify_all()

    def ordered_below(self, size: int) -> list[Submission]:
        """The submissions that wait at a position below ``size``."""
        with self._changed:
            return [one for one in self._by_hash.values() if one.position is not None and one.position < size]

    def succeed(self, done: Sequence[Submission], receipts: Iterable[Receipt]) -> None:
        """Hand out receipts to those still waiting."""
        for submission, receipt in zip(done, receipts, strict=True):
            if self._remove(submission):
                submission.future.set_result(receipt)

    def fail(self, submissions: Sequence[Submission], error: LedgerError) -> None:
        """Hand out an error to those still waiting."""
        for submission in submissions:
            if self._remove(submission):
                submission.future.set_exception(error)

    def fail_all(self, error: LedgerError) -> None:
        """Hand an error to every submitter that waits, queued or ordered."""
        with self._changed:
            waiting = list(self._by_hash.values())
            self._queue.clear()
        self.fail(waiting, error)

    def close(self, error: LedgerError) -> None:
        """Refuse everything from now on with ``error``."""
        with self._changed:
            self._refusal = error
            self._changed.notify_all()
        self.fail_all(error)

    def _remove(self, submission: Submission) -> bool:
        """Remove a submission; False if another thread has removed it and answers it."""
        with self._changed:
            waiting = self._by_hash.get(submission.candidate.leaf_hash) is submission
            if waiting:
                del self._by_hash[submission.candidate.leaf_hash]
            return waiting
