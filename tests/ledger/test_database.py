"""What a damaged database file is said to be, and that no row goes missing without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from ledger.database import check, open_engine, writing
from ledger.errors import LogError
from ledger.merkle import leaf_hash
from ledger.store import Row, TreeStore
from ledger.tables import LOG, create_tables


def test_a_schema_that_is_no_text_any_more_is_a_database_error(tmp_path: Path) -> None:
    """SQLite quotes the damaged name in its message, which Python then cannot decode."""
    path = tmp_path / "log.db"
    engine = open_engine(f"sqlite:///{path}")
    create_tables(engine)
    engine.dispose()
    data = bytearray(path.read_bytes())
    place = data.index(b"CREATE TABLE log_entry")
    data[place - 20 : place + 6] = b"\xef" * 26
    path.write_bytes(data)
    assert check(engine) is not None
    with pytest.raises(DatabaseError, match="malformed"):
        engine.connect()


@pytest.mark.parametrize("lost", [0, 3, 7])
def test_entries_that_are_missing_are_not_passed_over(tmp_path: Path, lost: int) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'log.db'}")
    create_tables(engine)
    store = TreeStore(LOG)
    leaves = [f"leaf {number}".encode() for number in range(8)]
    rows = [Row(place, one, leaf_hash(one), None, None, None) for place, one in enumerate(leaves)]
    with writing(engine) as connection:
        store.put_rows(connection, rows)
        assert [leaf for _, leaf in store.whole_leaves(connection, 0, 8)] == leaves
        assert store.whole_leaves(connection, 8, 8) == []
        connection.execute(LOG.entry.delete().where(LOG.entry.c.position == lost))
        with pytest.raises(LogError, match=f"entry {lost} has changed"):
            store.whole_leaves(connection, 0, 8)
