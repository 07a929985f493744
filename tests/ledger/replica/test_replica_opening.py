"""A replica holds what it had verified, whichever single bit of its heads a disk has flipped."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import ForkError
from ledger.formats.policy import Policy
from ledger.replica.replica import BEFORE, VERIFIED, Replica
from ledger.storage.database import create_tables, open_database
from tests.ledger.contract.contract_cases import NETWORK
from tests.ledger.sequencer.log_cases import MOMENT, POLICY, cheap, cosigned, leaf
from tests.ledger.storage.flipped_bits import flips, hidings

FIRST = leaf()
OWN = [FIRST, leaf(), leaf()]
OTHER = [FIRST, leaf(), leaf(), leaf()]
NOTE, OTHERS_NOTE = cosigned(OWN), cosigned(OTHER)
AGAIN = cosigned(OWN, time=MOMENT + 1)


def opened(path, policy: Policy = POLICY):
    engine = open_database(f"sqlite:///{path}")
    create_tables(engine)
    return engine, Replica(engine, NETWORK, None, policy, apply=cheap)


@pytest.fixture
def path(tmp_path):
    """The database of a replica of three entries."""
    path = tmp_path / "node.db"
    engine, replica = opened(path)
    replica.extend(OWN[:2], cosigned(OWN[:2]))
    replica.extend(OWN[2:], NOTE)
    engine.dispose()
    return path


def refuses_another_history(path):
    """Whether the node could be opened; then it takes its own history and no other."""
    engine, replica = None, None
    try:
        engine, replica = opened(path)
        with pytest.raises(ForkError) as caught:
            replica.extend(OTHER[replica.size :], OTHERS_NOTE)
        replica.extend(OWN[replica.size :], AGAIN)
    except SQLAlchemyError:
        return False  # refused: restore the database
    finally:
        if engine is not None:
            engine.dispose()
    assert replica.size == len(OWN)
    assert [POLICY.verify_log(note)[1].size for note in caught.value.notes][:1] in ([len(OWN)], [])
    return True


@pytest.mark.parametrize("name", [VERIFIED, BEFORE])
def test_a_head_that_the_index_hides(path, name):
    opened_again = [refuses_another_history(path) for _ in hidings(path, "replica_head", "name", name)]
    assert len(opened_again) > 10
    assert all(opened_again)


@pytest.mark.parametrize("name", [VERIFIED, BEFORE])
def test_a_flip_in_a_head(path, name):
    opened_again = [refuses_another_history(path) for _ in flips(path, "replica_head", name.encode(), 40)]
    assert len(opened_again) > 20
    assert sum(opened_again) > 0.9 * len(opened_again)
