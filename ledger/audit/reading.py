"""Reading a public log that may grow meanwhile; ``ledger.audit.verify`` says whether it is genuine.

A log removes a partial tile once a larger one has replaced it. A reader that has just read an older
checkpoint then does not find the tile. It falls back to the full tile, cut to the width it needs, if the
log has that by now; else to the newer checkpoint, from the entry where it stopped, a bounded number of
times.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ledger.audit.source import NOTE_LIMIT, FolderSource, LogSource, tile_limit
from ledger.entries.entry import Entry, parse
from ledger.errors import EntryError, NoteError, TileError, TileMissingError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.layout import CHECKPOINT
from ledger.formats.note import Note
from ledger.formats.tiles import TILE_WIDTH, Tile, decode_bundle
from ledger.merkle import HASH_BYTES

ATTEMPTS = 8
"""Checkpoints that a reader tries one after the other if the tiles of the last one are gone."""


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
