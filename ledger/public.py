"""The public folder of a log: what an auditor copies, a stranger's tool reads, and ``ledger.verify`` checks.

    policy                      the network's trust policy
    checkpoint                  the last checkpoint with the quorum's cosignatures
    tile/…                      tiles and entry bundles of exactly that checkpoint's size
    trace/…                     side files of intents, written elsewhere

Every file is replaced atomically; the checkpoint comes after the tiles it needs, and partial tiles that a
larger checkpoint has superseded are removed after it. Everything here can be rebuilt from the database, so
only full tiles, which are written once, are synced to the disk; after a start the newest tiles are written
again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ledger.errors import LogError, TileError
from ledger.tiles import TILE_WIDTH, Tile, tiles_of

POLICY = "policy"
CHECKPOINT = "checkpoint"
TRACE = "trace"

Content: TypeAlias = Callable[[Tile], bytes]
"""Bytes of a tile or bundle."""


class PublicFolder:
    """Writes one log's public folder; one thread at a time."""

    def __init__(self, root: Path) -> None:
        """A folder at ``root``, made if need be; a hidden folder beside it holds files being written."""
        self._root = root
        self._part = root.with_name(f".{root.name}.part")
        self._written = 0
        self._published = 0

    def open(self, policy: str, size: int, content: Content) -> None:
        """Write policy and newest tiles of the published ``size``, 0 for none, and remove leftovers."""
        self._root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir()
        self._put(POLICY, policy.encode("utf-8"))
        self._written = max(0, size // TILE_WIDTH - 1) * TILE_WIDTH
        self._published = self._written
        self.write(size, content)
        self._sweep(size)

    def close(self) -> None:
        """Remove the folder of files being written."""
        shutil.rmtree(self._part, ignore_errors=True)

    def checkpoint(self) -> bytes | None:
        """The published checkpoint's note, None where there is none."""
        try:
            return (self._root / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, size: int, content: Content) -> None:
        """Write the tiles that a tree of ``size`` has and the last written one had not."""
        for tile in tiles_of(size, self._written):
            self._put(tile.path, content(tile), sync=tile.width == TILE_WIDTH)
        self._written = size

    def publish(self, note: bytes, size: int) -> None:
        """Put the checkpoint of the tiles just written in place and remove superseded partial tiles.

        Raises:
            LogError: the tiles of this size are not written.
        """
        if size != self._written:
            raise LogError("a checkpoint is published after its tiles: write them first")
        self._put(CHECKPOINT, note)
        for tile in tiles_of(size, self._published):
            self._drop_partial(tile)
        self._published = size

    def _put(self, name: str, data: bytes, *, sync: bool = False) -> None:
        target = self._root / name
        part = self._part / "file"
        with part.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        try:
            part.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)

    def _drop_partial(self, tile: Tile) -> None:
        """Remove partial tiles of the same place other than ``tile``."""
        folder = self._root / f"{tile.base}.p"
        if tile.width == TILE_WIDTH:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for file in folder.iterdir():
            if file.name != str(tile.width):
                file.unlink()

    def _sweep(self, size: int) -> None:
        """Remove every partial tile that a tree of ``size`` has not; done once, after a start."""
        current = {tile.path for tile in tiles_of(size) if tile.width < TILE_WIDTH}
        for file in sorted((self._root / "tile").rglob("*.p/*")):
            name = file.relative_to(self._root).as_posix()
            if name not in current and _is_tile(name):
                file.unlink()
                if not any(file.parent.iterdir()):
                    file.parent.rmdir()


def _is_tile(name: str) -> bool:
    try:
        Tile.parse(name)
    except TileError:
        return False
    return True
