"""A sequencer's database of a made log, as if this log had been ordered there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from ledger.database import open_engine, writing
from ledger.entry import parse
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.note import Note
from ledger.ordering import ORDERED, STAGED
from ledger.store import Head, Row, TreeStore
from ledger.tables import LOG as TABLES
from ledger.tables import create_tables
from ledger.tiles import TILE_WIDTH, decode_bundle, tiles_of
from ledger.verify import Verification

VALUES_AT_ONCE = 4096


def log_store(public: Path, verified: Verification, file: Path, *, whole: bool) -> Engine:
    """The database ``file`` of a verified public folder, made unless it is there.

    Args:
        public: the folder. verified: what its verification gave. file: the database.
        whole: leaves and the contract's state too; else only what proofs need.
    """
    if not file.exists():
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        engine = open_engine(f"sqlite:///{part}")
        create_tables(engine)
        _fill(engine, public, verified, whole=whole)
        engine.dispose()
        part.rename(file)
    return open_engine(f"sqlite:///{file}")


def _fill(engine: Engine, public: Path, verified: Verification, *, whole: bool) -> None:
    store = TreeStore(TABLES)
    note = Note.parse((public / "checkpoint").read_bytes())
    head = Head(verified.size, verified.root, Note(note.text, note.signatures[:1]).format(), verified.time)
    with writing(engine) as connection:
        for tile in tiles_of(verified.size):
            data = (public / tile.path).read_bytes()
            if tile.level >= 0:
                store.put_tiles(connection, {(tile.level, tile.index): data[: tile.width * HASH_BYTES]})
            elif whole:
                begin = tile.index * TILE_WIDTH
                store.put_rows(connection, list(_rows(begin, decode_bundle(data, tile.width))))
        if whole:
            values = list(verified.state.values.items())
            for begin in range(0, len(values), VALUES_AT_ONCE):
                store.put_values(connection, dict(values[begin : begin + VALUES_AT_ONCE]))
        for name in (STAGED, ORDERED):
            store.swap_head(connection, name, None, head)


def _rows(begin: int, leaves: list[bytes]) -> Iterator[Row]:
    for place, leaf in enumerate(leaves):
        entry = parse(leaf)
        yield Row(begin + place, leaf, leaf_hash(leaf), entry.id, entry.type, None)


def sequencer_folder(folder: Path, public: Path, file: Path) -> None:
    """Put database and public folder where a sequencer process finds them."""
    shutil.copyfile(file, folder / "seq.db")
    shutil.copytree(public, folder / "public")
