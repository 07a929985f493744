"""The files of a mirror: what is in place, what is pending, and evidence; see ``ledger.mirror``."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ledger.checkpoint import Checkpoint
from ledger.errors import LogError, Missing, NoMirror
from ledger.note import Note
from ledger.public import CHECKPOINT
from ledger.reading import read_tile
from ledger.source import MAX_POLICY_BYTES, MAX_TRACE_BYTES, NOTE_LIMIT, FolderSource
from ledger.tiles import BUNDLE_BYTES, Tile, partial_tiles

_EVIDENCE = """{what}

kept.note      the checkpoint this mirror had
offered.note   the checkpoint that {place} gave

Both are signed by the log and cosigned by the quorum of the policy beside them. Keep this folder and show it
to the other members.
"""


class MirrorFiles:
    """A mirror's folder and the folder beside it."""

    def __init__(self, root: Path) -> None:
        """Args: ``root`` is the mirror's folder.

        Raises:
            NoMirror: nothing can lie beside it.
        """
        self.root = root
        named = root.resolve()
        if not named.name:
            raise NoMirror(f"{root} has no folder above it, where a mirror keeps its work: give another")
        self._beside = named.with_name(f"{named.name}.mirror")
        self._pending = self._beside / "pending"
        self._ready = self._beside / "ready"
        self._absent = self._beside / "absent"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other run out; finish what an earlier one had ready; leave nothing that is not needed.

        Raises:
            LogError: another run is at work.
            NoMirror: the folder holds something else.
        """
        is_used = self.root.is_dir() and any(self.root.iterdir())
        if is_used and self.checkpoint() is None and not self._beside.is_dir():
            raise NoMirror(f"{self.root} is no mirror and not empty: give a new or an empty folder")
        self._beside.mkdir(parents=True, exist_ok=True)
        lock = self._beside / "lock"
        with lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LogError(f"another run mirrors into {self.root}: wait for its end") from error
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
        """Note of the checkpoint that an earlier run was at."""
        return self._read(self._pending / CHECKPOINT, NOTE_LIMIT)

    def begin(self, note: bytes) -> None:
        """Take up a checkpoint; the partial tiles of an earlier one that never got into place go."""
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
        """Keep a file for the end of the run."""
        _write(self._pending / name, data)

    def has(self, name: str) -> bool:
        """Whether a file is in place."""
        return (self.root / name).is_file()

    def absent(self) -> list[str]:
        """Side files that the source had not when it was last asked."""
        data = self._read(self._absent, MAX_TRACE_BYTES)
        return [] if data is None else data.decode("ascii").split()

    def note_absent(self, names: list[str]) -> None:
        """Remember side files to ask for again."""
        if names:
            _write(self._absent, "".join(f"{name}\n" for name in names).encode())
        else:
            self._absent.unlink(missing_ok=True)

    def commit(self, note: bytes) -> None:
        """Put everything pending in place, and ``note`` last; a stop in between is made up for later."""
        _write(self._pending / CHECKPOINT, note)
        os.sync()
        self._replace(self._ready, note)
        self.finish()

    def finish(self) -> None:
        """Move what is ready into place; nothing where nothing is."""
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
        """Drop what is pending."""
        shutil.rmtree(self._pending, ignore_errors=True)

    def keep_evidence(self, what: str, place: str, policy: bytes, kept: bytes, offered: bytes) -> Path:
        """Keep two signed checkpoints that do not fit; one folder a pair, whose path is returned."""
        name = hashlib.sha256(kept + offered).hexdigest()[:16]
        folder = self._beside / "evidence" / name
        _write(folder / "kept.note", kept)
        _write(folder / "offered.note", offered)
        _write(folder / "policy", policy)
        _write(folder / "README", _EVIDENCE.format(what=what, place=place).encode())
        os.sync()
        return folder

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
        except Missing:
            return None


class OwnTiles:
    """A ``TileReader`` over the tiles a mirror has in place, of its checkpoint's size."""

    def __init__(self, root: Path, size: int) -> None:
        self._source = FolderSource(root)
        self._size = size

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See ``TileReader``."""
        del width
        return read_tile(self._source, Tile.at(self._size, level, index))


def _size(note: bytes) -> int:
    return Checkpoint.parse(Note.parse(note).text).size


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
