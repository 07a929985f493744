"""The public folder of a log: static files that auditors copy and ``ledger.audit.verify`` checks.

    policy                      the network's trust policy
    checkpoint                  the last checkpoint with the quorum's cosignatures
    tile/…                      tiles and entry bundles of exactly that checkpoint's size
    trace/…                     side files of intents, written elsewhere
    timestamps/…                time-stamped checkpoints, written elsewhere (``ledger.audit.stamps``)

Every file is replaced atomically; the checkpoint comes after the tiles it needs. A partial tile that a larger
checkpoint has superseded stays for a grace of 30 s, since a reader may just have read the checkpoint before;
it goes at once where the full tile is there (c2sp.org/tlog-tiles: a reader falls back to that one), and when
the folder is closed or opened. Everything here can be rebuilt from the database, so only full tiles, which
are written once, are synced to the disk; after a start the newest tiles are written again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ledger.errors import LogError, TileError
from ledger.formats.tiles import (
    CHECKPOINT,
    FILE_MODE,
    POLICY,
    TILE_WIDTH,
    Tile,
    make_public_folder,
    partial_tiles,
    tiles_of,
)

GRACE = 30.0
"""Seconds for which a superseded partial tile stays."""
Content: TypeAlias = Callable[[Tile], bytes]
"""Bytes of a tile or bundle."""


class PublicFolder:
    """Writes one log's public folder; one thread at a time."""

    def __init__(
        self, root: Path, *, grace: float = GRACE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A folder at ``root``, made if need be; a hidden folder beside it holds files being written.

        Args:
            root: the public folder.
            grace: seconds for which superseded partial tiles stay.
            clock: seconds that never go back.
        """
        self._root = root
        self._part = root.with_name(f".{root.name}.part")
        self._grace = grace
        self._clock = clock
        # All of one thread at a time: the finalizing thread's until it ends, then that of who closes.
        # Size of the tree whose tiles are written; tiles of the next one written so far; the partial tiles
        # of that tree; those to be superseded by the next checkpoint; those superseded, with their due time.
        self._written = 0
        self._begun: set[Tile] = set()
        self._partial: set[Tile] = set()
        self._replaced: set[Tile] = set()
        self._superseded: deque[tuple[float, Tile]] = deque()

    def open(self, policy: str, size: int, content: Content) -> None:
        """Write policy and newest tiles of the published ``size``, 0 for none, and remove leftovers."""
        make_public_folder(self._root)
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir()
        self._put(POLICY, policy.encode("utf-8"))
        self._written = max(0, size // TILE_WIDTH - 1) * TILE_WIDTH
        self._begun, self._partial, self._replaced = set(), set(), set()
        self._superseded.clear()
        self.write(size, content)
        self._sweep()

    def close(self) -> None:
        """Remove superseded partial tiles and the folder of files being written."""
        shutil.rmtree(self._part, ignore_errors=True)
        self._drop_superseded()

    def checkpoint(self) -> bytes | None:
        """The published checkpoint's note, None where there is none."""
        try:
            return (self._root / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, size: int, content: Content) -> None:
        """Write the tiles that a tree of ``size`` has and the last written one had not.

        Where a full disk has ended that, the next call goes on with the first tile that is missing.
        """
        partial = set(partial_tiles(size))
        self._replaced |= self._partial - partial
        self._partial = partial
        for tile in tiles_of(size, self._written):
            if tile not in self._begun or not (self._root / tile.path).exists():
                self._put(tile.path, content(tile), sync=tile.width == TILE_WIDTH)
                self._begun.add(tile)
        self._begun.clear()
        self._written = size

    def publish(self, note: bytes, size: int) -> None:
        """Put the checkpoint of the tiles just written in place; remove partial tiles that are due.

        Raises:
            LogError: the tiles of this size are not written.
        """
        if size != self._written:
            raise LogError("a checkpoint is published after its tiles: write them first")
        self._put(CHECKPOINT, note)
        now = self._clock()
        self._superseded.extend((now + self._grace, tile) for tile in sorted(self._replaced))
        self._replaced = set()
        kept: deque[tuple[float, Tile]] = deque()
        for due, tile in self._superseded:
            if due > now and tile.end > size:
                kept.append((due, tile))
            else:
                self._drop(tile)
        self._superseded = kept

    def _put(self, name: str, data: bytes, *, sync: bool = False) -> None:
        """Replace a file; on a full disk what is superseded makes room at once."""
        try:
            self._replace(name, data, sync=sync)
        except OSError:
            if not self._superseded:
                raise
            self._drop_superseded()
            self._replace(name, data, sync=sync)

    def _replace(self, name: str, data: bytes, *, sync: bool) -> None:
        target = self._root / name
        part = self._part / "file"
        try:
            with part.open("wb") as file:
                os.fchmod(file.fileno(), FILE_MODE)
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        try:
            part.replace(target)
        except FileNotFoundError:
            make_public_folder(target.parent)
            part.replace(target)

    def _drop_superseded(self) -> None:
        while self._superseded:
            self._drop(self._superseded.popleft()[1])

    def _drop(self, tile: Tile) -> None:
        """Remove a superseded partial tile, and its folder with the last one; one that stays does no harm."""
        file = self._root / tile.path
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            file.parent.rmdir()

    def _sweep(self) -> None:
        """Remove every partial tile but the newest; done once, after a start."""
        current = {tile.path for tile in self._partial}
        for file in sorted((self._root / "tile").rglob("*.p/*")):
            name = file.relative_to(self._root).as_posix()
            if name not in current and _is_tile(name):
                self._drop(Tile.parse(name))


def _is_tile(name: str) -> bool:
    try:
        Tile.parse(name)
    except TileError:
        return False
    return True
