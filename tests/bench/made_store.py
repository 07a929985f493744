"""A sequencer's database of a made log, as if this log had been ordered there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from ledger.audit.verify import Verification
from ledger.contract.replay import NO_TIME
from ledger.entries.entry import parse
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.tiles import TILE_WIDTH, decode_bundle, tiles_of
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.sequencer.stored_log import ORDERED, STAGED
from ledger.storage.database import LOG as TABLES
from ledger.storage.database import create_tables, open_database, writing
from ledger.storage.tree_store import DIGEST_KEY, EntryRow, TreeHead, TreeStore

VALUES_AT_ONCE = 4096


def log_store(public: Path, file: Path, verified: Verification | None) -> None:
    """The database ``file`` of a public folder, made unless it is there.

    Args:
        public: the folder. file: the database.
        verified: what its verification gave, for leaves and state; None: only what proofs need.
    """
    if not file.exists():
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        engine = open_database(f"sqlite:///{part}")
        create_tables(engine)
        _fill(engine, public, verified)
        engine.dispose()
        part.rename(file)


def _fill(engine: Engine, public: Path, verified: Verification | None) -> None:
    store = TreeStore(TABLES)
    note = Note.parse((public / "checkpoint").read_bytes())
    told = Checkpoint.parse(note.text)
    time = NO_TIME if verified is None else verified.time
    head = TreeHead(told.size, told.root, Note(note.text, note.signatures[:1]).format(), time)
    with writing(engine) as connection:
        for tile in tiles_of(told.size):
            data = (public / tile.path).read_bytes()
            if tile.level >= 0:
                store.put_tiles(connection, {(tile.level, tile.index): data[: tile.width * HASH_BYTES]})
            elif verified is not None:
                begin = tile.index * TILE_WIDTH
                store.put_rows(connection, list(_rows(begin, decode_bundle(data, tile.width))))
        if verified is not None:
            values = list(verified.state.values.items())
            for begin in range(0, len(values), VALUES_AT_ONCE):
                store.put_values(connection, dict(values[begin : begin + VALUES_AT_ONCE]))
            record = store.state_digest(connection).record(head.size, head.time)
            store.put_values(connection, {DIGEST_KEY: record})
        for name in (STAGED, ORDERED):
            store.swap_head(connection, name, None, head)


def _rows(begin: int, leaves: list[bytes]) -> Iterator[EntryRow]:
    for place, leaf in enumerate(leaves):
        entry = parse(leaf)
        yield EntryRow(begin + place, leaf, leaf_hash(leaf), entry.id, entry.type, None)


def sequencer_folder(folder: Path, public: Path, file: Path) -> None:
    """Put database and public folder where a sequencer process finds them."""
    shutil.copyfile(file, folder / "seq.db")
    shutil.copytree(public, folder / "public")
