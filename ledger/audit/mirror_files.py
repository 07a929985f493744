"""The files of a mirror: tiles checked before use, what is in place, what is pending, and evidence.

``ledger.audit.mirror`` describes the two folders. Files are written below ``pending`` and moved into place at
the end of a run, in an order in which a run that is killed at any moment leaves a whole log.

``CheckedTiles`` checks each tile of a source against one verified checkpoint before it is used. The root of
a tree covers every hash of the last, partial tile of each level. A full tile is checked by the
hash above it: the root over its 256 hashes is hash N mod 256 of tile ⌊N / 256⌋ one level up. A bundle of
entries is therefore authentic once the tiles between it and the last ones are: one hash tile for 256 bundles,
and nothing is trusted before that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from typing_extensions import override

from ledger.audit.source import (
    MAX_POLICY_BYTES,
    MAX_TRACE_BYTES,
    NOTE_LIMIT,
    FolderSource,
    LogSource,
    read_tile,
)
from ledger.errors import LogError, MerkleError, MirrorMissingError, TileError, TileMissingError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.policy import Policy
from ledger.formats.split_view import SplitView, holds_evidence
from ledger.formats.tiles import (
    BUNDLE_BYTES,
    CHECKPOINT,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileReader,
    TileSource,
    fold,
    partial_tiles,
)
from ledger.merkle import HASH_BYTES, leaf_hash, root_from

OTHER_SOURCE = "give another source of the same log, such as a member's folder or another mirror"
"""What to do about a source whose files do not fit."""
_KEPT = 64
"""Checked tiles kept in memory, 8 KiB each."""


class MirrorFiles:
    """A mirror's folder and the folder beside it."""

    def __init__(self, root: Path) -> None:
        """Args: ``root`` is the mirror's folder.

        Raises:
            MirrorMissingError: the folder has no parent.
        """
        self.root = root
        named = root.resolve()
        if not named.name:
            raise MirrorMissingError(
                f"{root} has no folder above it, where a mirror keeps its work: give another"
            )
        self._beside = named.with_name(f"{named.name}.mirror")
        self._pending = self._beside / "pending"
        self._ready = self._beside / "ready"
        self._absent = self._beside / "absent"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the mirror for one run; finish what an earlier run had ready, and clean up at the end.

        Raises:
            LogError: another run is in progress.
            MirrorMissingError: the folder holds something else.
        """
        is_used = self.root.is_dir() and any(self.root.iterdir())
        if is_used and self.checkpoint() is None and not self._beside.is_dir():
            raise MirrorMissingError(f"{self.root} is no mirror and not empty: give a new or an empty folder")
        self._beside.mkdir(parents=True, exist_ok=True)
        lock = self._beside / "lock"
        with lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LogError(f"another run mirrors into {self.root}: wait until it has ended") from error
            self.finish()
            yield
            lock.unlink()
        with contextlib.suppress(OSError):
            self._beside.rmdir()

    def checkpoint(self) -> bytes | None:
        """Note of the checkpoint in place."""
        return self._read(self.root / CHECKPOINT, NOTE_LIMIT)

    def policy(self) -> bytes | None:
        """The policy in place."""
        return self._read(self.root / "policy", MAX_POLICY_BYTES)

    def pending(self) -> bytes | None:
        """Note of the checkpoint that an earlier run was working on."""
        return self._read(self._pending / CHECKPOINT, NOTE_LIMIT)

    def begin(self, note: bytes) -> None:
        """Start on a checkpoint; partial tiles of an earlier one that never got into place are removed."""
        for file in list(self._pending.rglob("*.p/*")):
            file.unlink()
        self.put(CHECKPOINT, note)

    def is_pending(self) -> bool:
        """Whether anything waits to be put in place."""
        return self._pending.is_dir()

    def find(self, name: str) -> bytes | None:
        """A bundle that is pending or in place already, not checked."""
        found = self._read(self._pending / name, BUNDLE_BYTES)
        return self._read(self.root / name, BUNDLE_BYTES) if found is None else found

    def put(self, name: str, data: bytes) -> None:
        """Store a file, to be moved into place at the end of the run."""
        _write(self._pending / name, data)

    def has(self, name: str) -> bool:
        """Whether a file is in place."""
        return (self.root / name).is_file()

    def absent(self) -> list[str]:
        """Side files that the source lacked when it was last asked."""
        data = self._read(self._absent, MAX_TRACE_BYTES)
        return [] if data is None else data.decode("ascii").split()

    def note_absent(self, names: list[str]) -> None:
        """Remember side files to ask for again."""
        if names:
            _write(self._absent, "".join(f"{name}\n" for name in names).encode())
        else:
            self._absent.unlink(missing_ok=True)

    def commit(self, note: bytes) -> None:
        """Put everything pending in place, ``note`` last; the next run finishes what is interrupted."""
        _write(self._pending / CHECKPOINT, note)
        os.sync()
        self._replace(self._ready, note)
        self.finish()

    def finish(self) -> None:
        """Move what is ready into place, if anything is."""
        note = self._read(self._ready, NOTE_LIMIT)
        if note is None:
            return
        before = self.checkpoint()
        for folder, _, names in os.walk(self._pending):
            for name in names:
                file = Path(folder, name)
                if file != self._pending / CHECKPOINT:
                    target = self.root / file.relative_to(self._pending)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(target)
        self.root.mkdir(parents=True, exist_ok=True)
        os.sync()
        self._replace(self.root / CHECKPOINT, note)
        self._drop_superseded(before, note)
        self._ready.unlink()
        self.forget()

    def _replace(self, target: Path, note: bytes) -> None:
        part = self._beside / "part"
        with part.open("wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)

    def forget(self) -> None:
        """Delete what is pending."""
        shutil.rmtree(self._pending, ignore_errors=True)

    def keep_evidence(self, view: SplitView, trusted: Policy) -> Path:
        """Keep two signed checkpoints that do not fit, each pair once; returns their file."""
        path = self._beside / "evidence" / view.file_name
        if not holds_evidence(path, trusted):
            _write(path, view.to_json())
            os.sync()
        return path

    def _drop_superseded(self, before: bytes | None, note: bytes) -> None:
        if before is None:
            return
        current = set(partial_tiles(_size(note)))
        for tile in partial_tiles(_size(before)):
            if tile not in current:
                file = self.root / tile.path
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
                    file.parent.rmdir()

    def _read(self, file: Path, limit: int) -> bytes | None:
        try:
            return FolderSource(file.parent).fetch(file.name, limit)
        except TileMissingError:
            return None


class OwnTiles(TileReader):
    """The tiles that a mirror has in place, of its checkpoint's size."""

    def __init__(self, root: Path, size: int) -> None:
        self._source = FolderSource(root)
        self._size = size

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        del width
        return read_tile(self._source, Tile.at(self._size, level, index))


def _size(note: bytes) -> int:
    return Checkpoint.parse(Note.parse(note).text).size


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


class CheckedTiles(TileReader):
    """A ``TileReader`` over a source's tiles at one checkpoint."""

    def __init__(self, source: LogSource, head: Checkpoint) -> None:
        """Read the last tile of every level and check them by the root.

        Raises:
            TileError: the source's tiles do not have the checkpoint's root.
            TileMissingError: one no longer exists: use the newer checkpoint.
            LogUnavailableError: the source is out of reach.
        """
        self._source = source
        self._head = head
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._last = {
            (level, count // TILE_WIDTH): read_tile(
                source, Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)
            )
            for level, count in _levels(head.size)
            if count % TILE_WIDTH
        }
        if root_from(head.size, TileSource(_LastTiles(self._last))) != head.root:
            raise TileError(
                f"the tiles of {source.place} do not have the root that its checkpoint says: "
                f"none of them was used; {OTHER_SOURCE}"
            )

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        """A tile, checked.

        Raises:
            TileError: the source's tile is not the one under the checkpoint.
        """
        del width
        last = self._last.get((level, index))
        if last is not None:
            return last
        kept = self._kept.get((level, index))
        if kept is None:
            kept = read_tile(self._source, Tile(level, index, TILE_WIDTH))
            self.check_full(level, index, fold(kept))
            self._kept[level, index] = kept
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return kept

    def check_full(self, level: int, index: int, root: bytes) -> None:
        """Check the root over the 256 hashes of a full tile, as they were read or computed.

        Raises:
            TileError: it differs.
        """
        upper, place = divmod(index, TILE_WIDTH)
        above = self.tile(level + 1, upper, place + 1)
        if above[place * HASH_BYTES : (place + 1) * HASH_BYTES] != root:
            name = Tile(level, index, TILE_WIDTH).path
            raise TileError(
                f"{self._source.place} has another {name} than its checkpoint covers: not used; "
                f"{OTHER_SOURCE}"
            )

    def check_bundle(self, bundle: Tile, leaves: list[bytes]) -> list[bytes]:
        """Check the leaves of a bundle; returns their hashes.

        Raises:
            TileError: they are not those under the checkpoint.
        """
        hashes = [leaf_hash(leaf) for leaf in leaves]
        if bundle.width == TILE_WIDTH:
            self.check_full(0, bundle.index, fold(b"".join(hashes)))
        elif self._last.get((0, bundle.index)) != b"".join(hashes):
            raise TileError(
                f"{self._source.place} has another {bundle.path} than its checkpoint covers: not "
                f"used; {OTHER_SOURCE}"
            )
        return hashes

    def root(self, size: int) -> bytes:
        """Root of the first ``size`` entries of this tree."""
        return root_from(size, TileSource(self))


class _LastTiles(TileReader):
    """The last tile of each level, which is all that the root of a tree needs."""

    def __init__(self, tiles: dict[tuple[int, int], bytes]) -> None:
        self._tiles = tiles

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        try:
            return self._tiles[level, index]
        except KeyError as error:  # not reached: each peak lies in a last tile
            raise MerkleError(f"no tile {index} of level {level} with {width} hashes") from error


def _levels(size: int) -> list[tuple[int, int]]:
    """(level, number of hashes) of every level of a tree."""
    found: list[tuple[int, int]] = []
    while size:
        found.append((len(found), size))
        size >>= TILE_HEIGHT
    return found
