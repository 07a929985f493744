"""Checks bundles of a log ahead of their replay, in other processes if there are any.

    folder ─▶ bundles ─▶ check (hashes, form, signatures; any order, any process) ─▶ replay (in order, here)

Replay is the work of one thread, because each entry needs the state before it. Two thirds of a verification
do not need it: hashing, strict parsing and signatures (``ledger.contract.signature_check``).
``checked_leaves`` sends bundles ahead to an executor and returns them in order with what was found. A
bundle is checked under the keys known when it was sent; an entry that a later key signed comes back
unproven and is then checked by the contract itself. So the result is that of a sequential verification,
entry for entry.

A bundle that cannot be read is reported after those before it. If a worker process dies, its bundles are
checked here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass

from ledger.contract.signature_check import CheckedLeaf, Keys, check_leaf
from ledger.errors import LedgerError

AHEAD_BUNDLES = 64
AHEAD_BYTES = 1 << 26
"""Limits of what is sent ahead: one bundle may have 15 MB."""


@dataclass(frozen=True)
class _Sent:
    """A bundle that is being checked: its leaves, their total size in bytes, and the result to come."""

    leaves: Sequence[bytes]
    size: int
    found: Future[CheckedLeaf]

    @classmethod
    def to(cls, workers: Executor, leaves: Sequence[bytes], keys: Keys) -> _Sent:
        try:
            found = workers.submit(check_leaf, leaves, keys)
        except BrokenExecutor as error:
            found = Future()
            found.set_exception(error)
        return cls(leaves, sum(map(len, leaves)), found)

    def result(self, keys: Callable[[], Keys]) -> CheckedLeaf:
        try:
            return self.found.result()
        except BrokenExecutor:
            return check_leaf(self.leaves, keys())


def checked_leaves(
    bundles: Iterable[Sequence[bytes]], keys: Callable[[], Keys], workers: Executor | None
) -> Iterator[tuple[Sequence[bytes], CheckedLeaf]]:
    """Each bundle of leaves with the result of its check, in order.

    Args:
        bundles: the leaves, bundle by bundle.
        keys: returns the keys known now; called for every bundle that is sent.
        workers: where bundles are checked; with None here, one after the other.
    """
    waiting = iter(bundles)
    for leaves in waiting:
        yield leaves, check_leaf(leaves, keys())
        if workers is not None:
            break
    if workers is not None:
        yield from _by_workers(waiting, keys, workers)


def _by_workers(
    waiting: Iterator[Sequence[bytes]], keys: Callable[[], Keys], workers: Executor
) -> Iterator[tuple[Sequence[bytes], CheckedLeaf]]:
    errors: list[LedgerError] = []
    readable = _readable(waiting, errors)
    sent: deque[_Sent] = deque()
    held = 0
    try:
        while True:
            while len(sent) < AHEAD_BUNDLES and held < AHEAD_BYTES:
                leaves = next(readable, None)
                if leaves is None:
                    break
                sent.append(_Sent.to(workers, leaves, keys()))
                held += sent[-1].size
            if not sent:
                break
            first = sent.popleft()
            held -= first.size
            yield first.leaves, first.result(keys)
    finally:
        for left in sent:
            left.found.cancel()
    if errors:
        raise errors[0]


def _readable(waiting: Iterator[Sequence[bytes]], errors: list[LedgerError]) -> Iterator[Sequence[bytes]]:
    """The bundles up to the first that cannot be read, whose error is appended to ``errors``."""
    try:
        yield from waiting
    except LedgerError as error:
        errors.append(error)
