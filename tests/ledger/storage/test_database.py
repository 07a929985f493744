"""What a damaged database file is said to be, and that no row goes missing without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from ledger.errors import LogError
from ledger.merkle import leaf_hash
from ledger.storage.database import LOG, check, create_tables, open_database, writing
from ledger.storage.tree_store import EntryRow, TreeStore, whole_leaves
from tests.ledger.sequencer.log_cases import tree_of


def test_a_schema_that_is_no_text_any_more_is_a_database_error(tmp_path: Path) -> None:
    """SQLite quotes the damaged name in its message, which Python then cannot decode."""
    path = tmp_path / "log.db"
    engine = open_database(f"sqlite:///{path}")
    create_tables(engine)
    engine.dispose()
    data = bytearray(path.read_bytes())
    place = data.index(b"CREATE TABLE log_entry")
    data[place - 20 : place + 6] = b"\xef" * 26
    path.write_bytes(data)
    assert check(engine) is not None
    with pytest.raises(DatabaseError, match="malformed"):
        engine.connect()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    found = open_database(f"sqlite:///{tmp_path / 'log.db'}")
    create_tables(found)
    return found


LEAVES = [f"leaf {number}".encode() for number in range(8)]
TREE = tree_of(LEAVES)


def stored(connection: Connection, leaves: list[bytes]) -> TreeStore:
    store = TreeStore(LOG)
    rows = [EntryRow(place, one, leaf_hash(one), None, None, None) for place, one in enumerate(leaves)]
    store.put_rows(connection, rows)
    return store


def whole(store: TreeStore, connection: Connection) -> list[bytes]:
    return whole_leaves(store.leaves(connection, 0, 8), 0, 8, TREE)


@pytest.mark.parametrize("lost", [0, 3, 7])
def test_entries_that_are_missing_are_not_passed_over(engine: Engine, lost: int) -> None:
    with writing(engine) as connection:
        store = stored(connection, LEAVES)
        assert whole(store, connection) == LEAVES
        assert whole_leaves([], 8, 8, TREE) == []
        connection.execute(LOG.entry.delete().where(LOG.entry.c.position == lost))
        with pytest.raises(LogError, match=f"entry {lost} has changed"):
            whole(store, connection)


def test_a_whole_row_in_the_place_of_another_is_found(engine: Engine) -> None:
    """What an index gives that leads to the wrong row: its own position, the other's leaf and hash."""
    with writing(engine) as connection:
        store = stored(connection, [*LEAVES[:3], LEAVES[5], *LEAVES[4:]])
        with pytest.raises(LogError, match="entry 3 has changed"):
            whole(store, connection)
