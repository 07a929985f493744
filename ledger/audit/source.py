"""Where a public log is read from: a folder of files, or the same files under an http(s) URL.

A ``LogSource`` returns the bytes of one file by its name below the log's prefix (``checkpoint``,
``tile/0/x001/234.p/5`` …), and never more of them than the caller allows. What it returns is not trusted: the
caller checks it. A file that does not exist is ``TileMissingError``, which is no fault while a log grows: a
partial tile is removed once a larger one has replaced it. ``ledger.audit.http_source`` reads from a URL.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from ledger.errors import LogUnavailableError, TileError, TileMissingError, VerificationError
from ledger.formats.note import MAX_NOTE_BYTES
from ledger.formats.tiles import MAX_ENTRY_BYTES, Tile

MAX_POLICY_BYTES = 1 << 20
MAX_FOLDERS = 16
"""Folders below one another; a log of 2^63 entries has ten."""
MAX_TRACE_BYTES = 1 << 26
"""Four million tags; a question has some thousand."""


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


def is_url(place: str) -> bool:
    """Whether a place is an http(s) URL, its scheme in letters of any case, and not a folder's path."""
    return place.lower().startswith(("http://", "https://"))


def open_source(place: str) -> LogSource:
    """The source at a folder's path or an http(s) URL.

    Raises:
        LogUnavailableError: neither a folder that exists nor an http(s) URL.
    """
    if is_url(place):
        from ledger.audit.http_source import HttpSource  # noqa: PLC0415  loads the HTTP client where it is used

        return HttpSource(place)
    folder = Path(place)
    if not folder.is_dir():
        raise LogUnavailableError(f"{place} is no folder: give the folder or the http(s) URL of a public log")
    return FolderSource(folder)


def tile_limit(tile: Tile) -> int:
    """Most bytes that a tile or bundle can have."""
    return tile.width * (32 if tile.level >= 0 else MAX_ENTRY_BYTES + 2)


NOTE_LIMIT = MAX_NOTE_BYTES
"""Most bytes of a checkpoint that are read."""
