"""The public folder, read-only, as c2sp.org/tlog-tiles serves it.

    checkpoint, policy                  text/plain; charset=utf-8       no-cache
    tile/<L>/<N>[.p/<W>]                application/octet-stream        kept for ever
    tile/entries/<N>[.p/<W>]            application/octet-stream        kept for ever
    trace/<root>                        application/octet-stream        kept for ever

A path is one of these forms, exactly as the log writes it, or it is not there: no listing, no other file, no
way out of the folder, no symbolic link.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import TileError
from ledger.public import CHECKPOINT, POLICY, TRACE
from ledger.tiles import Tile
from ledger.witness import TEXT

BYTES = "application/octet-stream"
FRESH = "no-cache"
IMMUTABLE = "public, max-age=31536000, immutable"
_TRACE = re.compile(rf"{TRACE}/[0-9a-f]{{64}}")


@dataclass(frozen=True)
class PublicFile:
    """One file as it is answered: its bytes, ``Content-Type`` and ``Cache-Control``."""

    data: bytes
    content_type: str
    caching: str


class PublicFiles:
    """The files of one public folder."""

    def __init__(self, root: Path) -> None:
        """Args: ``root`` is the folder; it may come to be later."""
        self._root = root

    def read(self, name: str) -> PublicFile | None:
        """The file at a path below the prefix; None where no such file is public."""
        found = _kind(name)
        if found is None:
            return None
        data = self._bytes(name)
        return None if data is None else PublicFile(data, *found)

    def _bytes(self, name: str) -> bytes | None:
        root = self._root.resolve()
        path = root / name
        if path.resolve() != path:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                return file.read()
        except OSError:
            return None


def _kind(name: str) -> tuple[str, str] | None:
    """(content type, caching) of a public path; None for every other path."""
    if name in (CHECKPOINT, POLICY):
        return TEXT, FRESH
    if _TRACE.fullmatch(name):
        return BYTES, IMMUTABLE
    try:
        Tile.parse(name)
    except TileError:
        return None
    return BYTES, IMMUTABLE
