"""Which files of a public log are damaged: all of them, where ``ledger.audit.verify`` stops at the first.

Every hash of the tree stands twice: in a tile, and in what lies below it (the entries of a bundle, or the
tile one level down). Where the two differ, what lies above says which is right: for a full tile the hash one
level up, for a partial one the checkpoint's root.

    both alike                  not damaged, or both by one hand: the root then differs, as the verifier says
    one fits what is above      the other is damaged
    neither                     both are named, and what is above them: it may be the damaged one

Nothing is proven by this: it only says what to copy again, of a log that did not verify.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from ledger.audit.reading import read_bundle, read_tile
from ledger.audit.source import LogSource
from ledger.audit.verify import OnEntries
from ledger.audit.verify_files import MISSING, STRANGER
from ledger.errors import MerkleError, TileError, TileMissingError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.layout import CHECKPOINT, POLICY, TIMESTAMPS, TRACE
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, fold, tiles_of
from ledger.merkle import HASH_BYTES, leaf_hash, root_from

OTHERS = "does not hold what the rest of the log says it holds: copy it again"
FOUND_BY = ("files", "bundle", "tile", "root")
"""The verifier's checks after whose failure a log is worth a survey: its checkpoint is genuine."""
UNCLEAR = "may be damaged, for it, what is below and what is above do not agree: copy it again"


@dataclass(frozen=True)
class Damage:
    """One file that is not as it must be.

    Attributes:
        path: below the log's prefix.
        what: is wrong, and what to do.
    """

    path: str
    what: str

    @property
    def check(self) -> str:
        """Name of the verifier's check that it fails."""
        entries = self.path.startswith("tile/entries/")
        return "files" if self.what in (MISSING, STRANGER) else "bundle" if entries else "tile"


def find_damage(source: LogSource, head: Checkpoint, progress: OnEntries | None = None) -> Iterator[Damage]:
    """Every damaged, missing or foreign file of the log in ``source``, in the order of the tree.

    Args:
        source: the log. head: its verified checkpoint. progress: told (entries done, entries in all).

    Raises:
        LogUnavailableError: the source is out of reach.
    """
    yield from _strangers(source, head.size)
    survey = _Survey(source, head)
    for tile in tiles_of(head.size):
        if tile.level < 0:
            continue
        yield from survey.look_at(tile)
        if tile.level == 0 and progress is not None:
            progress(min(head.size, tile.end), head.size)


def _strangers(source: LogSource, size: int) -> Iterator[Damage]:
    """Files that no log of this size has; none where they cannot be listed."""
    try:
        names = list(source.names() or ())
    except TileError:
        return
    for name in names:
        if name in (POLICY, CHECKPOINT) or name.startswith((f"{TRACE}/", f"{TIMESTAMPS}/")):
            continue
        try:
            tile = Tile.parse(name)
        except TileError:
            yield Damage(name, STRANGER)
            continue
        if tile.after(size) < 0:
            yield Damage(name, STRANGER)


def _read(tile: Tile, get: Callable[[], bytes | None]) -> Generator[Damage, None, bytes | None]:
    """What ``get`` gives; None, and the damage, where it cannot be read."""
    try:
        return get()
    except TileMissingError:
        yield Damage(tile.path, MISSING)
    except TileError as error:
        yield Damage(tile.path, str(error))
    return None


class _Survey:
    """The tiles of one log, from below; of each level the roots of the full tiles below are kept."""

    def __init__(self, source: LogSource, head: Checkpoint) -> None:
        self._source = source
        self._head = head
        self._below: list[bytes | None] = []
        self._roots: list[bytes | None] = []
        self._level = 0

    def look_at(self, tile: Tile) -> Iterator[Damage]:
        """What is wrong with a tile, or with what lies below it; tiles come level by level, in order."""
        if tile.level != self._level:
            self._below, self._roots, self._level = self._roots, [], tile.level
        stored = yield from _read(tile, lambda: read_tile(self._source, tile))
        lower = tile if tile.level else Tile(-1, tile.index, tile.width)
        made = yield from _read(lower, lambda: self._made(tile, stored))
        right = yield from self._judged(tile, made, stored)
        if tile.width == TILE_WIDTH:
            self._roots.append(None if right is None else fold(right))

    def _judged(
        self, tile: Tile, made: bytes | None, stored: bytes | None
    ) -> Generator[Damage, None, bytes | None]:
        """The right hashes of a tile, of those made from below and those stored; None where neither fits."""
        if made is not None and made == stored and None not in self._children(tile):
            return made
        if made is not None and self._fits(tile, made):
            if stored is not None and stored != made:
                yield Damage(tile.path, OTHERS)
            return made
        if stored is not None and self._fits(tile, stored):
            if made is not None:
                yield from self._blamed(tile, made, stored, is_clear=True)
            return stored
        yield from self._blamed(tile, made or b"", stored or b"", is_clear=False)
        return None

    def _children(self, tile: Tile) -> list[bytes | None]:
        """Roots of the full tiles below a tile, None for each that is not known; empty at level 0."""
        return self._below[tile.index * TILE_WIDTH :][: tile.width] if tile.level else []

    def _made(self, tile: Tile, stored: bytes | None) -> bytes | None:
        """The hashes of a tile from what lies below; what is not known there is taken from the tile."""
        if not tile.level:
            leaves = read_bundle(self._source, Tile(-1, tile.index, tile.width))
            return b"".join(map(leaf_hash, leaves))
        below = self._children(tile)
        if stored is None:
            known = [value for value in below if value is not None]
            return b"".join(known) if len(known) == len(below) else None
        return b"".join(_hash(stored, place) if value is None else value for place, value in enumerate(below))

    def _blamed(self, tile: Tile, made: bytes, stored: bytes, *, is_clear: bool) -> Iterator[Damage]:
        """The files below a tile that differ from it; with tile and what is above where it is not clear."""
        lower = [
            Tile(tile.level - 1, tile.index * TILE_WIDTH + place, TILE_WIDTH)
            for place in range(tile.width)
            if tile.level and _hash(made, place) != _hash(stored, place)
        ]
        if not tile.level:
            lower = [Tile(-1, tile.index, tile.width)]
        if is_clear:
            yield from (Damage(each.path, OTHERS) for each in lower)
            return
        above = [self._above(tile)] if tile.width == TILE_WIDTH else []
        yield from (Damage(each.path, UNCLEAR) for each in (*lower, tile, *above))

    def _fits(self, tile: Tile, hashes: bytes) -> bool:
        """Whether a tile of these hashes agrees with what is above it."""
        if tile.width < TILE_WIDTH:
            replaced = _Replaced(self._source, self._head.size, tile, hashes)
            try:
                return root_from(self._head.size, TileSource(replaced)) == self._head.root
            except (MerkleError, TileError):
                return False
        try:
            parent = read_tile(self._source, self._above(tile))
        except TileError:
            return False
        return _hash(parent, tile.index % TILE_WIDTH) == fold(hashes)

    def _above(self, tile: Tile) -> Tile:
        """The tile that holds the root of a full tile."""
        return Tile.at(self._head.size, tile.level + 1, tile.index // TILE_WIDTH)


class _Replaced:
    """A ``TileReader`` over the tiles of a source, one of them with other hashes."""

    def __init__(self, source: LogSource, size: int, tile: Tile | None = None, hashes: bytes = b"") -> None:
        self._source = source
        self._size = size
        self._tile = tile
        self._hashes = hashes

    def tile(self, level: int, index: int, width: int) -> bytes:
        """See ``TileReader``."""
        del width
        if self._tile is not None and (level, index) == (self._tile.level, self._tile.index):
            return self._hashes
        return read_tile(self._source, Tile.at(self._size, level, index))


def _hash(hashes: bytes, place: int) -> bytes:
    """One hash of a tile."""
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]
