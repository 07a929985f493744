"""What one flipped bit hides from look-ups is found at the start, and never built upon."""

from __future__ import annotations

import pytest

from ledger.entries.entry import parse
from ledger.errors import EntryRefusedError, LogError
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.storage.database import LOG as TABLES
from ledger.storage.database import create_tables, open_database, writing
from ledger.storage.repair import state_holds
from ledger.storage.tree_store import DIGEST_KEY, TreeStore
from tests.ledger.sequencer.log_cases import LOG, cheap, leaf, tree_of
from tests.ledger.storage.flipped_bits import hidings

LEAVES = [leaf() for _ in range(5)]


def opened(path):
    engine = open_database(f"sqlite:///{path}")
    create_tables(engine)
    return engine


def staged(log, *leaves):
    return log.stage([Candidate.parse(one) for one in leaves], lambda refusal: None)


@pytest.fixture
def path(tmp_path):
    """The database of a log of a few entries."""
    path = tmp_path / "log.db"
    engine = opened(path)
    log = OrderedLog(engine, LOG, cheap)
    assert staged(log, *LEAVES) == [0, 1, 2, 3, 4]
    log.order()
    engine.dispose()
    return path


def test_a_state_whose_digest_is_hidden_is_made_anew(path):
    """The same page may hide a slot that is taken."""
    found = 0
    for flip in hidings(path, "log_state", "key", DIGEST_KEY):
        engine = opened(path)
        store = TreeStore(TABLES)
        log = OrderedLog(engine, LOG, cheap)
        with engine.connect() as connection:
            assert state_holds(connection, store, log.head.size, log.head.time), flip
            assert store.value(connection, DIGEST_KEY) is not None, flip
        new, rival = leaf(), leaf("another", id=parse(LEAVES[2]).id)
        refused = staged(log, rival, new)[0]
        assert isinstance(refused, EntryRefusedError), flip
        assert log.order().root == tree_of([*LEAVES, new]).root(), flip
        engine.dispose()
        found += 1
    assert found > 10


def test_no_new_digest_is_made_of_a_state_that_has_lost_its_own(path):
    engine = opened(path)
    log = OrderedLog(engine, LOG, cheap)
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM log_state WHERE key = ?", (DIGEST_KEY,))
    with pytest.raises(LogError, match="digest of the state has changed"):
        staged(log, leaf())
    assert staged(OrderedLog(engine, LOG, cheap), leaf()) == [5]
    engine.dispose()
