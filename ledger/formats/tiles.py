"""Tiles and entry bundles: the log as static files, exactly as c2sp.org/tlog-tiles says.

    tile/<L>/<N>[.p/<W>]          256 hashes of 32 bytes, or W of them where the tile is not full yet
    tile/entries/<N>[.p/<W>]      the entries under one tile of level 0: u16 big-endian length ‖ bytes, each

N is written in path elements of three digits, all but the last with an ``x``: 1234067 is ``x001/x234/067``.
Hash i of tile n at tile level l is the root over leaves (256 n + i) · 256^l and the 256^l − 1 that follow.
In a tree of size s, tile level l holds ⌊s / 256^l⌋ hashes; the last tile is partial when that is no
multiple of 256.

Beside the tiles a public folder holds the files named here: policy, checkpoint, side files, time-stamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger.errors import MerkleError, TileError
from ledger.merkle import HASH_BYTES, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF
BUNDLE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)
"""Most bytes of an entry bundle: 16 MiB."""
ENTRIES = "entries"
"""What stands for the level in the path of an entry bundle."""
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
POLICY = "policy"
CHECKPOINT = "checkpoint"
TRACE = "trace"
TIMESTAMPS = "timestamps"
FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""A public folder is readable for all users, whatever the umask of its process."""


@dataclass(frozen=True, order=True)
class Tile:
    """The name of one tile or bundle.

    Attributes:
        level: tile level from 0, or −1 for an entry bundle.
        index: N.
        width: number of hashes or entries, 1 … 256; 256 is a full tile.
    """

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Path below the log's prefix."""
        level = ENTRIES if self.level < 0 else str(self.level)
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{index_path(self.index)}{suffix}"

    @property
    def base(self) -> str:
        """Path of the full tile; its partial ones lie in the folder ``<base>.p``."""
        return Tile(self.level, self.index, TILE_WIDTH).path

    @property
    def end(self) -> int:
        """Index after the last entry under the full tile of this place."""
        return (self.index + 1) << TILE_HEIGHT * (max(self.level, 0) + 1)

    @classmethod
    def at(cls, size: int, level: int, index: int) -> Tile:
        """The tile at a place in a tree of ``size``; its width is 0 or less for a place beyond the tree."""
        return cls(level, index, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))

    def after(self, size: int) -> int:
        """Number of hashes or entries after it on its level in this tree; below 0 if it lies beyond it."""
        return (size >> TILE_HEIGHT * max(self.level, 0)) - self.index * TILE_WIDTH - self.width

    @classmethod
    def parse(cls, path: str) -> Tile:
        """The tile that lies at ``path``.

        Raises:
            TileError: no tile has exactly this path.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise TileError("not the path of a tile")
        level, high, low, width = match.groups()
        digits = high.replace("x", "").replace("/", "") + low
        tile = cls(
            -1 if level == ENTRIES else int(level), int(digits), TILE_WIDTH if width is None else int(width)
        )
        if tile.level > MAX_LEVEL or tile.path != path:
            raise TileError("not the path of a tile")
        return tile


def index_path(index: int) -> str:
    """N in path elements of three digits: 1234067 → ``x001/x234/067``."""
    last = f"{index % 1000:03}"
    index //= 1000
    while index:
        last = f"x{index % 1000:03}/{last}"
        index //= 1000
    return last


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Every tile and bundle of a tree of ``size`` that is not one of ``since``, levels from −1 upwards."""
    yield from _tiles_at(-1, size, since)
    level = 0
    while size:
        yield from _tiles_at(level, size, since)
        size, since, level = size >> TILE_HEIGHT, since >> TILE_HEIGHT, level + 1


def partial_tiles(size: int) -> Iterator[Tile]:
    """The tiles and the bundle of a tree of ``size`` that are not full, levels from −1 upwards."""
    if size % TILE_WIDTH:
        yield Tile(-1, size // TILE_WIDTH, size % TILE_WIDTH)
    level = 0
    while size:
        if size % TILE_WIDTH:
            yield Tile(level, size // TILE_WIDTH, size % TILE_WIDTH)
        size, level = size >> TILE_HEIGHT, level + 1


def _tiles_at(level: int, count: int, since: int) -> Iterator[Tile]:
    if count == since:
        return
    for index in range(since // TILE_WIDTH, -(-count // TILE_WIDTH)):
        yield Tile(level, index, min(TILE_WIDTH, count - index * TILE_WIDTH))


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """An entry bundle of 1 to 256 leaves.

    Raises:
        TileError: a leaf of more than 65,535 bytes, or too many of them.
    """
    if not 1 <= len(leaves) <= TILE_WIDTH:
        raise TileError("a bundle holds 1 to 256 entries")
    if any(len(leaf) > MAX_ENTRY_BYTES for leaf in leaves):
        raise TileError("an entry of a bundle has at most 65,535 bytes")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The ``width`` leaves of a bundle.

    Raises:
        TileError: another number of leaves, or bytes left over.
    """
    leaves: list[bytes] = []
    place = 0
    while place < len(data) and len(leaves) < width:
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if end > len(data) or place + 2 > len(data):
            raise TileError("an entry bundle is cut short")
        leaves.append(data[place + 2 : end])
        place = end
    if len(leaves) != width or place != len(data):
        raise TileError(f"the entry bundle does not hold exactly {width} entries")
    return leaves


class TileReader(Protocol):
    """Reads tiles by level and index."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        """At least the first ``width`` hashes of a tile, 32 bytes each; fewer if the tree has fewer."""


class TileSource:
    """A ``HashSource`` over tiles.

    It remembers the tiles it has read and the nodes it has folded: make one for a proof, or for a batch of
    them.
    """

    def __init__(self, reader: TileReader) -> None:
        self._reader = reader
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}

    def hash(self, level: int, index: int) -> bytes:
        """Root over the 2^level leaves from ``index`` · 2^level on, folded from one tile."""
        known = self._nodes.get((level, index))
        if known is not None:
            return known
        tile_level, height = divmod(level, TILE_HEIGHT)
        if height:
            value = node_hash(self.hash(level - 1, 2 * index), self.hash(level - 1, 2 * index + 1))
            self._nodes[level, index] = value
            return value
        tile_index, place = divmod(index, TILE_WIDTH)
        tile = self._tile(tile_level, tile_index, place + 1)
        return tile[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def _tile(self, level: int, index: int, width: int) -> bytes:
        known = self._tiles.get((level, index), b"")
        if len(known) < width * HASH_BYTES:
            known = self._reader.tile(level, index, width)
            if len(known) < width * HASH_BYTES:
                raise MerkleError(f"tile {index} of level {level} has fewer than {width} hashes here")
            self._tiles[level, index] = known
        return known


def fold(hashes: bytes) -> bytes:
    """Root over a power of two of adjacent hashes of 32 bytes each."""
    nodes = [hashes[place : place + HASH_BYTES] for place in range(0, len(hashes), HASH_BYTES)]
    while len(nodes) > 1:
        nodes = [node_hash(nodes[place], nodes[place + 1]) for place in range(0, len(nodes), 2)]
    return nodes[0]


class TileWriter:
    """Grows the tiles of a tree by new leaves; holds one open tile per level, 8 KiB each."""

    def __init__(self, size: int, reader: TileReader) -> None:
        self._size = size
        self._open: dict[int, bytearray] = {}
        self._changed: dict[tuple[int, int], bytes] = {}
        level, count = 0, size
        while count:
            width = count % TILE_WIDTH
            if width:
                kept = reader.tile(level, count // TILE_WIDTH, width)[: width * HASH_BYTES]
                if len(kept) != width * HASH_BYTES:
                    raise TileError(
                        f"tile {count // TILE_WIDTH} of level {level} is short: rebuild the tiles"
                    )
                self._open[level] = bytearray(kept)
            level, count = level + 1, count >> TILE_HEIGHT

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the leaf with hash ``leaf``."""
        level, index, value = 0, self._size, leaf
        self._size += 1
        while True:
            tile = self._open.setdefault(level, bytearray())
            tile += value
            if len(tile) < TILE_WIDTH * HASH_BYTES:
                break
            self._changed[level, index // TILE_WIDTH] = bytes(tile)
            del self._open[level]
            value = fold(bytes(tile))
            level, index = level + 1, index // TILE_WIDTH

    def extend(self, leaves: bytes) -> None:
        """Add the leaves with these hashes, 32 bytes each."""
        width = TILE_WIDTH * HASH_BYTES
        if len(leaves) == width and not self._size % TILE_WIDTH:
            self._open[0] = bytearray(leaves[:-HASH_BYTES])
            self._size += TILE_WIDTH - 1
            leaves = leaves[-HASH_BYTES:]
        for place in range(0, len(leaves), HASH_BYTES):
            self.append(leaves[place : place + HASH_BYTES])

    def take_changed(self) -> dict[tuple[int, int], bytes]:
        """Tiles (level, index) → hashes that changed since the last call: full ones and every open one."""
        changed, self._changed = self._changed, {}
        level, count = 0, self._size
        while count:
            if count % TILE_WIDTH:
                changed[level, count // TILE_WIDTH] = bytes(self._open[level])
            level, count = level + 1, count >> TILE_HEIGHT
        return changed

    def tile(self, level: int, index: int, width: int) -> bytes:
        """The open and the just filled tiles, which is all that the root needs."""
        del width
        full = self._changed.get((level, index))
        if full is not None:
            return full
        count = self._size >> (TILE_HEIGHT * level)
        if index == count // TILE_WIDTH and level in self._open:
            return bytes(self._open[level])
        return b""


def make_public_folder(path: Path) -> None:
    """Create a folder that all users may read, and the missing folders above it."""
    if not path.is_dir():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)
