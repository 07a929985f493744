"""Tiles of a source, each checked against one verified checkpoint before anything is made of it.

The root of a tree covers every hash of the last, partial tile of each level. A full tile is checked by the
hash above it: the root over its 256 hashes is hash N mod 256 of tile ⌊N / 256⌋ one level up. So a bundle of
entries is authentic once the tiles from it up to the last ones are: one hash tile in 256 bundles, and
nothing is taken on trust meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict

from ledger.checkpoint import Checkpoint
from ledger.errors import MerkleError, TileError
from ledger.merkle import HASH_BYTES, leaf_hash, root_from
from ledger.reading import read_tile
from ledger.source import Source
from ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileSource, fold

OTHER_SOURCE = "give another source of the same log, such as a member's folder or another mirror"
"""What to do about a source whose files do not fit."""
_KEPT = 64
"""Checked tiles kept in memory, 8 KiB each."""


class CheckedTiles:
    """A ``TileReader`` over a source's tiles at one checkpoint."""

    def __init__(self, source: Source, head: Checkpoint) -> None:
        """Read the last tile of every level and check them by the root.

        Raises:
            TileError: the source's tiles do not have the checkpoint's root.
            Missing: one is not there any more: take the newer checkpoint.
            Unavailable: the source is out of reach.
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
        if root_from(head.size, TileSource(_Given(self._last))) != head.root:
            raise TileError(
                f"the tiles of {source.place} do not have the root that its checkpoint says: "
                f"nothing of them was taken; {OTHER_SOURCE}"
            )

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See ``TileReader``.

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
            TileError: it is another one.
        """
        upper, place = divmod(index, TILE_WIDTH)
        above = self.tile(level + 1, upper, place + 1)
        if above[place * HASH_BYTES : (place + 1) * HASH_BYTES] != root:
            name = Tile(level, index, TILE_WIDTH).path
            raise TileError(
                f"{self._source.place} has another {name} than its checkpoint covers: not taken; "
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
                f"taken; {OTHER_SOURCE}"
            )
        return hashes

    def root(self, size: int) -> bytes:
        """Root of the first ``size`` entries of this tree."""
        return root_from(size, TileSource(self))


class _Given:
    """Tiles in a dict; the root of a tree needs no others than the last ones."""

    def __init__(self, tiles: dict[tuple[int, int], bytes]) -> None:
        self._tiles = tiles

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See ``TileReader``."""
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
