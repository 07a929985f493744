"""Tiles of a source, each checked against one verified checkpoint before it is used.

The root of a tree covers every hash of the last, partial tile of each level. A full tile is checked by the
hash above it: the root over its 256 hashes is hash N mod 256 of tile ⌊N / 256⌋ one level up. A bundle of
entries is therefore authentic once the tiles between it and the last ones are: one hash tile for 256 bundles,
and nothing is trusted before that.
"""

from __future__ import annotations

from collections import OrderedDict

from typing_extensions import override

from ledger.audit.reading import read_tile
from ledger.audit.source import LogSource
from ledger.errors import MerkleError, TileError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileReader, TileSource, fold
from ledger.merkle import HASH_BYTES, leaf_hash, root_from

OTHER_SOURCE = "give another source of the same log, such as a member's folder or another mirror"
"""What to do about a source whose files do not fit."""
_KEPT = 64
"""Checked tiles kept in memory, 8 KiB each."""


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
