"""The offline verifier of a public log: it needs no database and trusts nothing but the policy.

Checks, in this order; the first that fails raises ``VerificationError`` with the check's name and the place:

| check | holds when |
|---|---|
| ``policy`` | the file is the pinned policy; without a pinned one, in canonical form with the rule's quorum |
| ``checkpoint`` | the note is in canonical form and carries signatures of the policy's keys only, each once |
| ``signature`` | the log's signature and every cosignature verify |
| ``quorum`` | enough witnesses cosigned |
| ``files`` | the files are exactly those of a log of the checkpoint's size |
| ``bundle`` | every entry bundle is well formed |
| ``tile`` | every tile of every level holds the hashes recomputed from the entries |
| ``root`` | the recomputed root is the checkpoint's |
| ``genesis`` | the contract accepts entry 0, and it is the pinned one if a digest is given |
| ``trace`` | every side file is named by an intent that counts, and has the root it names |
| ``timestamp`` | every stamped checkpoint is one of this log, and its token is of exactly that checkpoint |

Entries that do not parse or that the contract refuses are *void*. They and missing side files are listed in
the result and are no failure. Entries are read bundle by bundle; memory holds the open tiles and the
contract's state. The checks of files are in ``ledger.audit.verify_files``: partial tiles that the log has
superseded may still exist, and must hold the beginning of what was recomputed. Under a URL the files cannot
be listed, so there ``files`` says only that none is missing.

Bundles are checked ahead of their replay, in other processes if there are any::

    folder ─▶ bundles ─▶ check (hashes, form, signatures; any order, any process) ─▶ replay (in order, here)

Replay is the work of one thread, because each entry needs the state before it. Two thirds of a verification
do not need it: hashing, strict parsing and signatures (``ledger.contract.signature_check``).
``checked_bundles`` sends bundles ahead to an executor and returns them in order with what was found. A
bundle is checked under the keys known when it was sent; an entry that a later key signed comes back
unproven and is then checked by the contract itself. So the result is that of a sequential verification,
entry for entry.

A bundle that cannot be read is reported after those before it. If a worker process dies, its bundles are
checked here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from typing_extensions import override

from ledger import contract
from ledger.audit.source import FolderSource, LogSource
from ledger.audit.stamps import Stamp
from ledger.audit.verify_files import LogFiles, read_files, trace_root
from ledger.contract.replay import Apply, Replay, Step, apply_proven_for
from ledger.contract.signature_check import CheckedLeaves, Keys, check_leaves, keys_of
from ledger.contract.state import PackedState
from ledger.errors import LedgerError, VerificationError
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.tiles import CHECKPOINT, TRACE, TileReader, TileSource, TileWriter, tiles_of
from ledger.formats.timestamp import TimestampAuthority
from ledger.merkle import HASH_BYTES, root_from

__all__ = ["Verification", "failure", "trace_root", "verify_folder", "verify_source"]
FEW = 2048
"""For logs up to this size no workers are used: starting them takes longer."""
KEY_TYPES = ("network.", "member.")
"""Prefixes of the types of entries that change keys."""
OnEntries: TypeAlias = Callable[[int, int], None]
"""Told (entries done, entries in all) after each bundle."""
AHEAD_BUNDLES = 64
AHEAD_BYTES = 1 << 26
"""Limits of what is sent ahead: one bundle may have 15 MB."""


@dataclass(frozen=True)
class Verification:
    """A verified folder.

    Attributes:
        size: number of entries.
        root: of the tree, 32 bytes.
        voids: (index, code) of every void entry, in order.
        checkpoint: the head with the times of its cosignatures.
        policy: what it was verified under.
        time: the contract's time.
        state: the contract's state, for ``ledger.contract.view``.
        absent: side files that intents name and the folder lacks.
        stamps: time-stamped checkpoints, by size.
    """

    size: int
    root: bytes
    voids: tuple[tuple[int, str], ...]
    checkpoint: VerifiedCheckpoint
    policy: Policy
    time: str
    state: PackedState
    absent: tuple[str, ...]
    stamps: tuple[Stamp, ...] = ()


def verify_folder(
    path: Path,
    progress: OnEntries | None = None,
    *,
    policy: bytes | None = None,
    genesis_digest: bytes | None = None,
    authority: TimestampAuthority | None = None,
    apply: Apply = contract.apply,
    workers: Executor | None = None,
) -> Verification:
    """Verify a whole public folder; arguments, result and errors are those of ``verify_source``."""
    return verify_source(
        FolderSource(path),
        progress,
        policy=policy,
        genesis_digest=genesis_digest,
        authority=authority,
        apply=apply,
        workers=workers,
    )


def verify_source(
    source: LogSource,
    progress: OnEntries | None = None,
    *,
    policy: bytes | None = None,
    genesis_digest: bytes | None = None,
    authority: TimestampAuthority | None = None,
    apply: Apply = contract.apply,
    workers: Executor | None = None,
) -> Verification:
    """Verify a whole public log.

    Args:
        source: where the log is read from.
        progress: told how many entries are done.
        policy: the pinned policy's bytes. With None it is the log's own, which proves the log consistent but
            not genuine.
        genesis_digest: SHA-256 of the genesis leaf, if the network is known.
        authority: under whose certificates time-stamps are verified; with None each is only checked to be of
            its note.
        apply: the contract.
        workers: processes that check forms and signatures ahead of the replay; the result is the same with
            and without them.

    Raises:
        VerificationError: the first check that fails, and where.
        LogUnavailableError: the source is out of reach.
    """
    files = read_files(source, policy)
    size = files.head.checkpoint.size
    replayed = _Replayed(apply, genesis_digest)
    writer = TileWriter(0, _NoTiles())
    many = workers if size > FEW else None
    stamped = deque(sorted(files.stamps.sizes - {0}))
    for leaves, found in checked_bundles(_bundles(files, size), replayed.keys, many):
        writer.extend(found.hashes)
        while stamped and stamped[0] <= writer.size:
            reached = stamped.popleft()
            files.stamps.reached(reached, root_from(reached, TileSource(writer)))
        files.compare(writer, is_last=writer.size == size)
        replayed.take(leaves, found.proven)
        if progress is not None:
            progress(writer.size, size)
    root = root_from(size, TileSource(writer))
    if root != files.head.checkpoint.root:
        raise VerificationError(
            "root", CHECKPOINT, "the entries have another root than the checkpoint states"
        )
    absent = files.check_traces(replayed.side_files)
    stamps = files.stamps.check(files.policy, authority)
    return Verification(
        size,
        root,
        tuple(replayed.voids),
        files.head,
        files.policy,
        replayed.time,
        replayed.state,
        absent,
        stamps,
    )


def _bundles(files: LogFiles, size: int) -> Iterator[list[bytes]]:
    for bundle in tiles_of(size):
        if bundle.level >= 0:
            return
        yield files.leaves(bundle)


class _NoTiles(TileReader):
    """The tiles of the empty tree."""

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        del level, index, width
        return b""


class _Replayed:
    """The contract's state after the entries so far, and which entries are void."""

    def __init__(self, apply: Apply, genesis_digest: bytes | None) -> None:
        self.state = PackedState()
        self.voids: list[tuple[int, str]] = []
        self.side_files: set[str] = set()
        self._replay = Replay(self.state, apply, apply_proven=apply_proven_for(apply))
        self._genesis = genesis_digest
        self._size = 0
        self._keys: dict[str, bytes] | None = None

    @property
    def time(self) -> str:
        """The contract's time."""
        return self._replay.time

    def keys(self) -> Keys:
        """The keys that are active now, to check the following entries with."""
        if self._keys is None:
            self._keys = keys_of(self.state)
        return self._keys

    def take(self, leaves: Sequence[bytes], proven: bytes) -> None:
        """Replay the next entries; each byte of ``proven`` says whether form and signatures were checked."""
        for leaf, is_proven in zip(leaves, proven, strict=True):
            self._take(leaf, self._replay.step_proven(leaf) if is_proven else self._replay.step(leaf))

    def _take(self, leaf: bytes, step: Step) -> None:
        if self._size == 0:
            self._check_genesis(leaf, step)
        if step.void is not None:
            self.voids.append((self._size, step.void))
        elif step.entry is not None and step.entry.type == "query.intent":
            trace = step.entry.body["certificate"]["trace"]
            if len(trace) == 1 and len(trace[0]) == 2 * HASH_BYTES:
                self.side_files.add(f"{TRACE}/{trace[0]}")
        elif step.entry is not None and step.entry.type.startswith(KEY_TYPES):
            self._keys = None
        self._size += 1

    def _check_genesis(self, leaf: bytes, step: Step) -> None:
        if self._genesis is not None and hashlib.sha256(leaf).digest() != self._genesis:
            raise VerificationError(
                "genesis", "entry 0", "is not the pinned genesis entry: another network's log"
            )
        if step.void is not None:
            raise VerificationError("genesis", "entry 0", f"is void ({step.void}): no network starts here")


def failure(error: LedgerError) -> tuple[str, str, str]:
    """(check, place, reason) of any error of this package, for reports."""
    if isinstance(error, VerificationError):
        return error.check, error.place, error.reason
    return error.code, "", str(error)


@dataclass(frozen=True)
class _Sent:
    """A bundle that is being checked: its leaves, their total size in bytes, and the result to come."""

    leaves: Sequence[bytes]
    size: int
    found: Future[CheckedLeaves]

    @classmethod
    def to(cls, workers: Executor, leaves: Sequence[bytes], keys: Keys) -> _Sent:
        try:
            found = workers.submit(check_leaves, leaves, keys)
        except BrokenExecutor as error:
            found = Future()
            found.set_exception(error)
        return cls(leaves, sum(map(len, leaves)), found)

    def result(self, keys: Callable[[], Keys]) -> CheckedLeaves:
        try:
            return self.found.result()
        except BrokenExecutor:
            return check_leaves(self.leaves, keys())


def checked_bundles(
    bundles: Iterable[Sequence[bytes]], keys: Callable[[], Keys], workers: Executor | None
) -> Iterator[tuple[Sequence[bytes], CheckedLeaves]]:
    """Each bundle of leaves with the result of its check, in order.

    Args:
        bundles: the leaves, bundle by bundle.
        keys: returns the keys known now; called for every bundle that is sent.
        workers: where bundles are checked; with None here, one after the other.
    """
    waiting = iter(bundles)
    for leaves in waiting:
        yield leaves, check_leaves(leaves, keys())
        if workers is not None:
            break
    if workers is not None:
        yield from _by_workers(waiting, keys, workers)


def _by_workers(
    waiting: Iterator[Sequence[bytes]], keys: Callable[[], Keys], workers: Executor
) -> Iterator[tuple[Sequence[bytes], CheckedLeaves]]:
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
