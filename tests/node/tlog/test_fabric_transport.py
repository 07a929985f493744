"""A node's transport over the Fabric engine, with a replica that follows it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.replica.replica import Replica
from ledger.storage.database import create_tables, open_database
from node.errors import RefusalError, ServiceUnavailableError
from node.tlog.fabric import FabricTransport, head_of
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.ledger.contract.contract_cases import NETWORK
from tests.ledger.fabric.memory_messages import ORGANISATIONS
from tests.ledger.sequencer.log_cases import POLICY, cheap, leaf


@pytest.fixture
def network() -> Iterator[MemoryNetwork]:
    made = MemoryNetwork(cheap)
    yield made
    made.close()


@pytest.fixture
def engine(network: MemoryNetwork, tmp_path: Path) -> Iterator[FabricEngine]:
    made = network.engine(tmp_path, cheap)
    yield made
    made.close()


def test_an_assembler_without_an_answer_is_named_once(
    engine: FabricEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hedui.fabric")
    head = head_of(FabricTransport(engine.members[1]))
    assert [head() for _ in range(20)] == [None] * 20
    assert caplog.text.count("gives no checkpoint") == 1


def test_a_node_appends_reads_and_replays(engine: FabricEngine, tmp_path: Path) -> None:
    transport = FabricTransport(engine.members[1])
    with pytest.raises(ServiceUnavailableError, match="no final checkpoint"):
        transport.head()
    assert head_of(transport)() is None
    leaves = [leaf() for _ in range(3)]
    receipts = [transport.append(one) for one in leaves]
    for one, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, one)
    database = open_database(f"sqlite:///{tmp_path / 'replica.db'}")
    create_tables(database)
    replica = Replica(database, NETWORK, None, POLICY, apply=cheap)
    replica.extend(transport.read(0, 3), transport.head())
    assert (replica.size, replica.leaves(0, 3)) == (3, leaves)
    assert head_of(transport)() is not None
    database.dispose()


def test_refusals_and_absences_are_the_nodes_own(network: MemoryNetwork, engine: FabricEngine) -> None:
    transport = FabricTransport(engine.members[0])
    with pytest.raises(RefusalError) as refusal:
        transport.append(leaf("refuse"))
    assert refusal.value.code == "bad_entry"
    network.network.peers[ORGANISATIONS[1]].switch(up=False)
    with pytest.raises(ServiceUnavailableError) as absent:
        transport.append(leaf())
    assert absent.value.code == "unavailable"
