"""Reading the entries of a public folder in order; ``ledger.verify`` says whether they are genuine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ledger.checkpoint import Checkpoint
from ledger.entry import Entry, parse
from ledger.errors import EntryError, TileError
from ledger.note import Note
from ledger.tiles import decode_bundle, tiles_of


def read_entries(folder: Path) -> Iterator[tuple[int, Entry]]:
    """(index, entry) of every well-formed entry up to the folder's checkpoint; others are passed over.

    Raises:
        TileError: the folder has no checkpoint, or lacks a bundle.
    """
    try:
        size = Checkpoint.parse(Note.parse((folder / "checkpoint").read_bytes()).text).size
        index = 0
        for tile in tiles_of(size):
            if tile.level >= 0:
                continue
            for leaf in decode_bundle((folder / tile.path).read_bytes(), tile.width):
                with contextlib.suppress(EntryError):
                    yield index, parse(leaf)
                index += 1
    except OSError as error:
        raise TileError(f"{folder} is no whole public log: {error.strerror}") from error
