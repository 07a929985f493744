"""Finds every damaged file of a public log; ``ledger.audit.verify`` stops at the first.

Every hash of the tree is stored twice: in a tile, and in what the tile is computed from (the entries of a
bundle, or the tiles one level down). Where the two differ, the level above says which is right: for a full
tile the hash one level up, for a partial one the checkpoint's root.

    both are equal              not damaged, or both were changed alike: then the root differs
    one fits the level above    the other is damaged
    neither fits                both are named, and the tile above them, which may be the damaged one

This proves nothing. It only tells which files to copy again in a log that did not verify.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from typing_extensions import override

from ledger.audit.source import LogSource, read_bundle, read_tile
from ledger.audit.verify import OnEntries
from ledger.audit.verify_files import FOREIGN, MISSING
from ledger.errors import MerkleError, TileError, TileMissingError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.tiles import (
    CHECKPOINT,
    POLICY,
    TILE_WIDTH,
    TIMESTAMPS,
    TRACE,
    Tile,
    TileReader,
    TileSource,
    fold,
    tiles_of,
)
from ledger.merkle import HASH_BYTES, leaf_hash, root_from

DIFFERS = "differs from what the rest of the log records: copy it again"
SURVEYED_CHECKS = ("files", "bundle", "tile", "root")
"""The verifier's checks after whose failure a survey makes sense: the checkpoint is genuine then."""
UNCLEAR = (
    "may be damaged, since it does not agree with the files it is computed from or checked by: copy it again"
)


@dataclass(frozen=True)
class Damage:
    """One damaged, missing or foreign file.

    Attributes:
        path: below the log's prefix.
        what: what is wrong, and what to do about it.
    """

    path: str
    what: str

    @property
    def check(self) -> str:
        """Name of the verifier's check that it fails."""
        entries = self.path.startswith("tile/entries/")
        return "files" if self.what in (MISSING, FOREIGN) else "bundle" if entries else "tile"


def find_damage(source: LogSource, head: Checkpoint, progress: OnEntries | None = None) -> Iterator[Damage]:
    """Every damaged, missing or foreign file of the log in ``source``, in the order of the tree.

    Args:
        source: the log.
        head: its verified checkpoint.
        progress: told (entries done, entries in all).

    Raises:
        LogUnavailableError: the source is out of reach.
    """
    yield from _foreign_files(source, head.size)
    survey = _Survey(source, head)
    for tile in tiles_of(head.size):
        if tile.level < 0:
            continue
        yield from survey.examine(tile)
        if tile.level == 0 and progress is not None:
            progress(min(head.size, tile.end), head.size)


def _foreign_files(source: LogSource, size: int) -> Iterator[Damage]:
    """Files that a log of this size does not have; none if files cannot be listed."""
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
            yield Damage(name, FOREIGN)
            continue
        if tile.after(size) < 0:
            yield Damage(name, FOREIGN)


def _read(tile: Tile, get: Callable[[], bytes | None]) -> Generator[Damage, None, bytes | None]:
    """The result of ``get``; if the file cannot be read, None and the damage."""
    try:
        return get()
    except TileMissingError:
        yield Damage(tile.path, MISSING)
    except TileError as error:
        yield Damage(tile.path, str(error))
    return None


class _Survey:
    """The tiles of one log, from level 0 up; the roots of the full tiles of the level below are kept."""

    def __init__(self, source: LogSource, head: Checkpoint) -> None:
        self._source = source
        self._head = head
        self._below: list[bytes | None] = []
        self._roots: list[bytes | None] = []
        self._level = 0

    def examine(self, tile: Tile) -> Iterator[Damage]:
        """The damage found in a tile or in the files below it; call it level by level, in order."""
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
        """The right hashes of a tile: those computed from below or those stored; None if neither fits."""
        if made is not None and made == stored and None not in self._children(tile):
            return made
        if made is not None and self._fits(tile, made):
            if stored is not None and stored != made:
                yield Damage(tile.path, DIFFERS)
            return made
        if stored is not None and self._fits(tile, stored):
            if made is not None:
                yield from self._blamed(tile, made, stored, is_clear=True)
            return stored
        yield from self._blamed(tile, made or b"", stored or b"", is_clear=False)
        return None

    def _children(self, tile: Tile) -> list[bytes | None]:
        """Roots of the full tiles below a tile, None for each unknown one; empty at level 0."""
        return self._below[tile.index * TILE_WIDTH :][: tile.width] if tile.level else []

    def _made(self, tile: Tile, stored: bytes | None) -> bytes | None:
        """The hashes of a tile computed from below; unknown ones are taken from the stored tile."""
        if not tile.level:
            leaves = read_bundle(self._source, Tile(-1, tile.index, tile.width))
            return b"".join(map(leaf_hash, leaves))
        below = self._children(tile)
        if stored is None:
            known = [value for value in below if value is not None]
            return b"".join(known) if len(known) == len(below) else None
        return b"".join(_hash(stored, place) if value is None else value for place, value in enumerate(below))

    def _blamed(self, tile: Tile, made: bytes, stored: bytes, *, is_clear: bool) -> Iterator[Damage]:
        """The files below a tile that differ from it; all of them if it is unclear which are right."""
        lower = [
            Tile(tile.level - 1, tile.index * TILE_WIDTH + place, TILE_WIDTH)
            for place in range(tile.width)
            if tile.level and _hash(made, place) != _hash(stored, place)
        ]
        if not tile.level:
            lower = [Tile(-1, tile.index, tile.width)]
        if is_clear:
            yield from (Damage(each.path, DIFFERS) for each in lower)
            return
        above = [self._above(tile)] if tile.width == TILE_WIDTH else []
        yield from (Damage(each.path, UNCLEAR) for each in (*lower, tile, *above))

    def _fits(self, tile: Tile, hashes: bytes) -> bool:
        """Whether a tile of these hashes agrees with the level above."""
        if tile.width < TILE_WIDTH:
            replaced = _WithReplacement(self._source, self._head.size, tile, hashes)
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


class _WithReplacement(TileReader):
    """The tiles of a source, one of them with other hashes."""

    def __init__(self, source: LogSource, size: int, tile: Tile | None = None, hashes: bytes = b"") -> None:
        self._source = source
        self._size = size
        self._tile = tile
        self._hashes = hashes

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        del width
        if self._tile is not None and (level, index) == (self._tile.level, self._tile.index):
            return self._hashes
        return read_tile(self._source, Tile.at(self._size, level, index))


def _hash(hashes: bytes, place: int) -> bytes:
    """One hash of a tile."""
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]
