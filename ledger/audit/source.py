"""Reads a public log from a folder, or from another source of its files such as an http(s) URL.

A ``LogSource`` returns the bytes of one file by its name below the log's prefix (``checkpoint``,
``tile/0/x001/234.p/5`` …), and never more of them than the caller allows. What it returns is not trusted: the
caller checks it. A file that does not exist is ``TileMissingError``, which is no fault while a log grows: a
partial tile is removed once a larger one has replaced it. ``ledger.audit.http_source`` reads from a URL.

The ``read_*`` functions read a log that may grow meanwhile; ``ledger.audit.verify`` says whether it is
genuine. A log removes a partial tile once a larger one has replaced it. A reader that has just read an older
checkpoint then does not find the tile. It falls back to the full tile, cut to the width it needs, if the
log has that by now; else to the newer checkpoint, from the entry where it stopped, a bounded number of
times.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from ledger.entries.entry import Entry, parse
from ledger.errors import EntryError, NoteError, TileError, TileMissingError, VerificationError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import MAX_NOTE_BYTES, Note
from ledger.formats.tiles import CHECKPOINT, MAX_ENTRY_BYTES, TILE_WIDTH, Tile, decode_bundle
from ledger.merkle import HASH_BYTES

MAX_POLICY_BYTES = 1 << 20
MAX_FOLDERS = 16
"""Folders below one another; a log of 2^63 entries has ten."""
MAX_TRACE_BYTES = 1 << 26
"""Four million tags; a question has some thousand."""
NOTE_LIMIT = MAX_NOTE_BYTES
"""Most bytes of a checkpoint that are read."""
ATTEMPTS = 8
"""Checkpoints that a reader tries one after the other if the tiles of the last one are gone."""


class LogSource(Protocol):
    """The files of one public log."""

    @property
    def place(self) -> str:
        """The folder or URL, for messages."""

    def fetch(self, name: str, limit: int) -> bytes:
        """The bytes of a file.

        Raises:
            TileMissingError: there is no such file.
            TileError: it has more than ``limit`` bytes, or cannot be read.
            LogUnavailableError: the place is out of reach.
        """

    def names(self) -> Iterator[str] | None:
        """Every file's name, for places that can list them; None for those that cannot."""

    def close(self) -> None:
        """Close connections, where there are any."""


class FolderSource(LogSource):
    """A public folder, or a copy of one; links, pipes and devices in it are refused, not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    @override
    def place(self) -> str:
        return str(self._root)

    @override
    def fetch(self, name: str, limit: int) -> bytes:
        try:
            with open(self._root / name, "rb", opener=_regular) as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise TileMissingError(f"{self._root} has no {name}: copy or mirror the log again") from None
        except OSError as error:
            raise TileError(f"{name} in {self._root} cannot be read: {error.strerror}") from error
        if len(data) > limit:
            raise TileError(f"{name} in {self._root} has more than {limit} bytes: copy the log again")
        return data

    @override
    def names(self) -> Iterator[str]:
        """Every file's name below the folder.

        Raises:
            VerificationError: a symbolic link, or folders below one another as no log has them.
        """
        for folder, folders, files in os.walk(self._root, onerror=_unless_gone):
            below = Path(folder).relative_to(self._root)
            if len(below.parts) > MAX_FOLDERS:
                raise VerificationError("files", below.as_posix(), "is nested too deeply: remove it")
            for one in (*folders, *files):
                if Path(folder, one).is_symlink():
                    name = (below / one).as_posix()
                    raise VerificationError("files", name, "is a symbolic link: copy the file itself")
            for one in files:
                yield (below / one).as_posix()

    @override
    def close(self) -> None:
        """Do nothing: there are no connections."""


def _regular(path: str, flags: int) -> int:
    """Open a regular file; never a symbolic link, and nothing whose opening or reading may block."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return descriptor


def _unless_gone(error: OSError) -> None:
    """Ignore a folder that the log has removed meanwhile, raise any other error."""
    if not isinstance(error, FileNotFoundError):
        raise TileError(f"{error.filename} cannot be listed: {error.strerror}") from error


def tile_limit(tile: Tile) -> int:
    """Most bytes that a tile or bundle can have."""
    return tile.width * (32 if tile.level >= 0 else MAX_ENTRY_BYTES + 2)


def read_checkpoint(source: LogSource) -> Checkpoint:
    """The checkpoint that a source has now; its signatures are not verified.

    Raises:
        TileError: it does not exist, or is malformed.
        LogUnavailableError: the source is out of reach.
    """
    try:
        return Checkpoint.parse(Note.parse(source.fetch(CHECKPOINT, NOTE_LIMIT)).text)
    except TileMissingError as error:
        raise TileError(f"{source.place} is no whole public log: it has no checkpoint") from error
    except NoteError as error:
        raise TileError(f"the checkpoint of {source.place} is malformed: {error}") from error


def read_tile(source: LogSource, tile: Tile) -> bytes:
    """Hashes of a tile, from the full one if the partial one is gone.

    Raises:
        TileMissingError: neither exists.
        TileError: it does not hold as many hashes.
        LogUnavailableError: the source is out of reach.
    """
    found = _tile_or_full(source, tile)
    if len(found[0]) != found[1] * HASH_BYTES:
        raise TileError(
            f"{tile.path} of {source.place} does not have the length of a tile: copy the log again"
        )
    return found[0][: tile.width * HASH_BYTES]


def read_bundle(source: LogSource, tile: Tile) -> list[bytes]:
    """Leaves of an entry bundle, from the full one if the partial one is gone.

    Raises:
        TileMissingError: neither exists.
        TileError: it is malformed.
        LogUnavailableError: the source is out of reach.
    """
    data, width = _tile_or_full(source, tile)
    return decode_bundle(data, width)[: tile.width]


def _tile_or_full(source: LogSource, tile: Tile) -> tuple[bytes, int]:
    """Bytes and width of a tile, or of the full one of its place."""
    try:
        return source.fetch(tile.path, tile_limit(tile)), tile.width
    except TileMissingError:
        if tile.width == TILE_WIDTH:
            raise
    full = replace(tile, width=TILE_WIDTH)
    return source.fetch(full.path, tile_limit(full)), TILE_WIDTH


def read_leaves(source: LogSource, begin: int = 0) -> Iterator[bytes]:
    """Leaves from ``begin`` up to the checkpoint, or to a newer one if its tiles are gone.

    Raises:
        TileError: no checkpoint, a bundle is malformed, or is missing under a checkpoint that stays.
        LogUnavailableError: the source is out of reach.
    """
    size, place, attempts = read_checkpoint(source).size, begin, ATTEMPTS
    while place < size:
        index, skip = divmod(place, TILE_WIDTH)
        try:
            leaves = read_bundle(source, Tile(-1, index, min(TILE_WIDTH, size - place + skip)))
        except TileMissingError as error:
            newer, attempts = read_checkpoint(source).size, attempts - 1
            if newer <= size or not attempts:
                raise TileError(f"{source.place} is no whole public log: {error}") from error
            size = newer
            continue
        yield from leaves[skip:]
        place += len(leaves) - skip


def read_entries(place: Path | LogSource, begin: int = 0) -> Iterator[tuple[int, Entry]]:
    """(index, entry) of every well-formed entry up to the checkpoint; others are skipped.

    Args:
        place: a public folder, or any source.
        begin: index of the first entry wanted.

    Raises:
        TileError: there is no checkpoint, or a bundle is missing or malformed.
        LogUnavailableError: the source is out of reach.
    """
    source = FolderSource(place) if isinstance(place, Path) else place
    for index, leaf in enumerate(read_leaves(source, begin), begin):
        with contextlib.suppress(EntryError):
            yield index, parse(leaf)


def is_url(place: str) -> bool:
    """Whether a place is an http(s) URL, its scheme in letters of any case, and not a folder's path."""
    return place.lower().startswith(("http://", "https://"))
