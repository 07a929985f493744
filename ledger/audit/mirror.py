"""A verified offline copy of a public log, updated by reading only what is new.

    DIR                       a public folder that ``ledger.audit.verify`` checks like the log's own
    DIR.mirror/pending/       what this run has fetched and checked, moved into DIR at its end
    DIR.mirror/ready          the checkpoint under which everything pending is whole
    DIR.mirror/evidence/      pairs of signed checkpoints that do not fit one another
    DIR.mirror/absent         names of side files that the source did not have yet

A mirror pulls and has no key of its own; otherwise it follows c2sp.org/tlog-mirror. First comes a
checkpoint that is verified under the policy's quorum and consistent with the last one (there: the *pending
checkpoint*). Each bundle is authenticated under it before it is stored (``ledger.audit.mirror_files``).
The checkpoint in DIR is replaced last, when everything it covers is on the disk.

- *Resumable*: a run that is killed loses at most the bundle it is working on. The next run checks again
  what is pending; if that was whole already, it moves it into place before it asks the source.
- A checkpoint that is older than the mirror's is a *rollback*; one that is not consistent with it is a
  *fork*. In both cases the mirror stays as it is, both signed notes are kept in ``evidence``, and
  ``RollbackError`` or ``ForkError`` names their file.
- Time-stamped checkpoints are copied from a source that is a folder; over HTTP they cannot be listed. A
  note is copied if the policy's log signed it and its name states its size and root, and a token if it is
  of exactly that note. A stamped checkpoint that the source's log does not extend is a fork. Whether an
  authority is trusted is for ``ledger.audit.verify`` to say.
- The mirror's own last tiles and last bundle are checked at the start of a run. ``hedui ledger verify DIR``
  finds damage elsewhere.
- Memory holds some bundles and open tiles, however long the log.
- One run at a time: a lock on ``DIR.mirror/lock``.

The entries are not replayed here; ``hedui ledger verify DIR`` does that, offline and as often as required.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ledger.audit.mirror_files import CheckedTiles, MirrorFiles, OwnTiles
from ledger.audit.source import (
    ATTEMPTS,
    MAX_POLICY_BYTES,
    MAX_TRACE_BYTES,
    NOTE_LIMIT,
    FolderSource,
    LogSource,
    read_bundle,
)
from ledger.audit.stamps import new_stamps, read_stamp
from ledger.audit.verify import OnEntries
from ledger.audit.verify_files import check_checkpoint, check_policy, check_trace
from ledger.entries.entry import parse
from ledger.entries.times import format_time
from ledger.errors import (
    EntryError,
    ForkError,
    LogError,
    MirrorMissingError,
    QuorumError,
    RollbackError,
    TileError,
    TileMissingError,
    VerificationError,
)
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.split_view import ROLLBACK, SPLIT, SplitView
from ledger.formats.tiles import (
    CHECKPOINT,
    POLICY,
    TILE_WIDTH,
    TRACE,
    Tile,
    TileSource,
    TileWriter,
    decode_bundle,
    encode_bundle,
)
from ledger.merkle import HASH_BYTES, leaf_hash, root_from

_ROOT = re.compile("[0-9a-f]{64}")
_WINDOW = 8
"""Bundles requested ahead."""
_THREADS = 4


@dataclass(frozen=True)
class Mirrored:
    """The result of a run.

    Attributes:
        head: the checkpoint in place now.
        before: entries the mirror had.
        policy: what it was verified under.
        is_pinned: whether the policy was given or pinned by an earlier run; else it is the source's own.
        absent: side files that the source lacks or has incomplete, and incomplete time-stamps.
    """

    head: VerifiedCheckpoint
    before: int
    policy: Policy
    is_pinned: bool
    absent: tuple[str, ...]


def update_mirror(
    source: LogSource, root: Path, *, policy: bytes | None = None, progress: OnEntries | None = None
) -> Mirrored:
    """Update the mirror in ``root`` to the source's checkpoint; create it if there is none.

    Args:
        source: the log, or another mirror of it.
        root: the folder.
        policy: the pinned policy's bytes. With None it is that of the mirror's earlier runs, in the first run
            the source's own.
        progress: told how far the run is.

    Raises:
        VerificationError: policy, checkpoint, signature or quorum of the source do not hold.
        RollbackError, ForkError: as described in this module; both notes are kept.
        TileError: the source's files do not fit its checkpoint, or the mirror's own are damaged.
        MirrorMissingError: the folder is something else, or a mirror of another log.
        LogError: another run is in progress.
        LogUnavailableError: the source is out of reach; what has been fetched is kept for the next run.
    """
    files = MirrorFiles(root)
    try:
        with files.locked():
            return _Run(source, files, policy, progress).run()
    except OSError as error:
        raise LogError(
            f"{root} cannot be written ({error.strerror}): free space or permissions there, then run again"
        ) from error


class _Run:
    """One run, under the lock."""

    def __init__(
        self, source: LogSource, files: MirrorFiles, policy: bytes | None, progress: OnEntries | None
    ) -> None:
        kept = files.policy()
        pinned = kept if policy is None else policy
        self._source = source
        self._files = files
        self._progress = progress
        self._is_pinned = pinned is not None
        self._raw = source.fetch(POLICY, MAX_POLICY_BYTES)
        self._policy = check_policy(self._raw, pinned)
        self._note = files.checkpoint()
        if self._note is None:
            self._own, self._size = OwnTiles(files.root, 0), 0
            return
        origin = Checkpoint.parse(Note.parse(self._note).text).origin
        if origin != self._policy.origin:
            raise MirrorMissingError(
                f"{files.root} is a mirror of the log {origin}: mirror another log into another folder"
            )
        last = self._policy.verify_log(self._note)[1]
        self._own, self._size = OwnTiles(files.root, last.size), last.size
        if self._own_root(last.size) != last.root or not self._has_last_bundle():
            raise TileError(f"{files.root} is damaged: verify it, and mirror into a new folder")

    def _has_last_bundle(self) -> bool:
        """Whether the last bundle holds the entries of the last tile: the next run builds on both."""
        if self._size == 0:
            return True
        index = (self._size - 1) // TILE_WIDTH
        width = self._size - index * TILE_WIDTH
        try:
            leaves = read_bundle(FolderSource(self._files.root), Tile(-1, index, width))
        except TileError:
            return False
        return b"".join(leaf_hash(leaf) for leaf in leaves) == self._own.tile(0, index, width)

    def run(self) -> Mirrored:
        """Copy up to the source's checkpoint, or to a newer one if the tiles of the first are gone."""
        attempts = ATTEMPTS
        while True:
            note = self._source.fetch(CHECKPOINT, NOTE_LIMIT)
            try:
                return self._take(note)
            except TileMissingError:
                attempts -= 1
                if not attempts or self._source.fetch(CHECKPOINT, NOTE_LIMIT) == note:
                    raise

    def _take(self, note: bytes) -> Mirrored:
        head = check_checkpoint(note, self._policy)
        size = head.checkpoint.size
        seen = [kept for kept in (self._note, self._files.pending()) if kept is not None]
        for kept in seen:
            self._compare(kept, note, head.checkpoint)
        checked = CheckedTiles(self._source, head.checkpoint)
        for kept in seen:
            last = self._policy.verify_log(kept)[1]
            if checked.root(last.size) != last.root:
                self._refuse(SPLIT, kept, note)
        names = self._files.absent()
        if size > self._size:
            self._files.begin(note)
            names += self._copy(checked, size)
        absent = self._copy_traces(names) + self._copy_stamps(checked, note, size)
        self._place(head, note)
        return Mirrored(head, self._size, self._policy, self._is_pinned, absent)

    def _compare(self, kept: bytes, note: bytes, offered: Checkpoint) -> None:
        """Refuse a checkpoint that is older than one seen before, or has its size and another root."""
        last = self._policy.verify_log(kept)[1]
        if last.size > offered.size:
            is_prefix = offered.size > self._size or self._own_root(offered.size) == offered.root
            self._refuse(ROLLBACK if is_prefix else SPLIT, kept, note)
        if last.size == offered.size and last.root != offered.root:
            self._refuse(SPLIT, kept, note)

    def _refuse(self, kind: str, kept: bytes, offered: bytes) -> NoReturn:
        """Keep both notes and end the run.

        Raises:
            RollbackError, ForkError: always one of them.
        """
        view = SplitView.of(
            self._policy,
            (kept, offered),
            format_time(int(time.time())),
            kind=kind,
            sources=("the checkpoint that this mirror had", f"the checkpoint of {self._source.place}"),
            policy=self._raw,
        )
        path = self._files.keep_evidence(view, self._policy)
        before, after = (checkpoint.size for checkpoint in view.checkpoints)
        place = self._source.place
        if kind == ROLLBACK:
            raise RollbackError(
                f"rollback: {place} offers a checkpoint of {after} entries, fewer than the one of {before} "
                f"seen before. The mirror stays as it is; both signed notes are in {path}: an old copy or a "
                "replica that lags: ask the source itself first; if it persists, both notes are evidence"
            )
        raise ForkError(
            f"fork: {place} offers a checkpoint of {after} entries, which does not extend the one of "
            f"{before} seen before. The mirror stays as it is; both signed notes are in {path}: the log has "
            "shown two histories, show both notes to the other members"
        )

    def _copy(self, checked: CheckedTiles, size: int) -> list[str]:
        """Fetch and check the new bundles, compute the new tiles; returns the names of new side files."""
        writer = TileWriter(self._size - self._size % TILE_WIDTH, self._own)
        names: list[str] = []
        for bundle, leaves in self._bundles(checked, size):
            for digest in checked.check_bundle(bundle, leaves):
                writer.append(digest)
            self._files.put(bundle.path, encode_bundle(leaves))
            self._put_tiles(writer, is_last=writer.size == size)
            names += side_files(leaves)
            if self._progress is not None:
                self._progress(writer.size, size)
        return names

    def _put_tiles(self, writer: TileWriter, *, is_last: bool) -> None:
        for (level, index), hashes in writer.take_changed().items():
            tile = Tile(level, index, len(hashes) // HASH_BYTES)
            if tile.width == TILE_WIDTH or is_last:
                self._files.put(tile.path, hashes)

    def _bundles(self, checked: CheckedTiles, size: int) -> Iterator[tuple[Tile, list[bytes]]]:
        """The bundles that are new or have grown, from an earlier run or from the source, read ahead."""
        todo = iter(
            Tile(-1, index, min(TILE_WIDTH, size - index * TILE_WIDTH))
            for index in range(self._size // TILE_WIDTH, -(-size // TILE_WIDTH))
        )
        with ThreadPoolExecutor(_THREADS, "mirror") as pool:
            ahead: deque[tuple[Tile, list[bytes] | Future[list[bytes]]]] = deque()
            try:
                while True:
                    for bundle in itertools.islice(todo, _WINDOW - len(ahead)):
                        kept = self._kept(checked, bundle)
                        asked = pool.submit(read_bundle, self._source, bundle) if kept is None else kept
                        ahead.append((bundle, asked))
                    if not ahead:
                        return
                    bundle, asked = ahead.popleft()
                    yield bundle, asked if isinstance(asked, list) else asked.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _kept(self, checked: CheckedTiles, bundle: Tile) -> list[bytes] | None:
        """A bundle that an earlier run has stored whole."""
        data = self._files.find(bundle.path)
        if data is None:
            return None
        try:
            leaves = decode_bundle(data, bundle.width)
            checked.check_bundle(bundle, leaves)
        except TileError:
            return None
        return leaves

    def _copy_traces(self, names: list[str]) -> tuple[str, ...]:
        """Fetch side files; those missing or incomplete at the source are requested again by the next run."""
        absent: list[str] = []
        for name in sorted(set(names)):
            if self._files.has(name):
                continue
            try:
                data = self._source.fetch(name, MAX_TRACE_BYTES)
                check_trace(name, data)
            except (TileError, VerificationError):
                absent.append(name)
                continue
            self._files.put(name, data)
        self._files.note_absent(absent)
        return tuple(absent)

    def _copy_stamps(self, checked: CheckedTiles, note: bytes, size: int) -> tuple[str, ...]:
        """Copy the time-stamps of this tree that a folder has; returns the names of those not whole."""
        absent: list[str] = []
        for stem in new_stamps(self._source, self._files.has):
            offered = read_stamp(self._source, self._policy, stem)
            if offered is None:
                absent.append(stem)
            elif offered.size <= size:
                if checked.root(offered.size) != offered.root:
                    self._refuse(SPLIT, offered.note, note)
                for name, data in offered.files():
                    self._files.put(name, data)
        return tuple(absent)

    def _place(self, head: VerifiedCheckpoint, note: bytes) -> None:
        """Put everything in place; newer cosignatures are never replaced by older ones."""
        if self._files.policy() != self._raw:
            self._files.put(POLICY, self._raw)
        quorum = self._policy.quorum
        if self._note is not None and head.checkpoint.size == self._size:
            with contextlib.suppress(QuorumError):
                last = self._policy.verify_checkpoint(self._note)
                if last.quorum_time(quorum) > head.quorum_time(quorum):
                    note = self._note
        if note != self._note or self._files.is_pending():
            self._files.commit(note)

    def _own_root(self, size: int) -> bytes:
        return root_from(size, TileSource(self._own))


def side_files(leaves: Sequence[bytes]) -> list[str]:
    """Names of the side files that the intents among some leaves name."""
    found: list[str] = []
    for leaf in leaves:
        if b'"query.intent"' in leaf:
            with contextlib.suppress(EntryError, KeyError, TypeError):
                trace = parse(leaf).body["certificate"]["trace"]
                if len(trace) == 1 and _ROOT.fullmatch(trace[0]):
                    found.append(f"{TRACE}/{trace[0]}")
    return found
