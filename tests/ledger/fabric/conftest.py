"""A network in memory with the contract as its chaincode, one server for both peers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from ledger.fabric.backend import FabricBackend
from ledger.fabric.chaincode import Chaincode
from ledger.fabric.gateway import Gateway, connect
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from ledger.fabric.shim import ChaincodeServer
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import ORGANISATIONS, PACKAGE
from tests.ledger.fabric.memory_peer import Peer
from tests.ledger.sequencer.log_cases import cheap


@pytest.fixture
def fabric() -> Iterator[Network]:
    """Two organisations; the contract is ``cheap``, the chaincode's clock stands."""
    network = Network()
    server = ChaincodeServer(Chaincode(network.clock, cheap), PACKAGE)
    endpoint = f"127.0.0.1:{server.start('127.0.0.1:0')}"
    for peer in network.peers.values():
        peer.connect(endpoint)
    yield network
    network.close()
    server.stop()


@pytest.fixture
def profile(fabric: Network, tmp_path: Path) -> ConnectionProfile:
    return fabric.profile(tmp_path / "org1")


@pytest.fixture
def channel(profile: ConnectionProfile) -> Iterator[grpc.Channel]:
    with connect(profile) as opened:
        yield opened


@pytest.fixture
def gateway(fabric: Network, profile: ConnectionProfile, channel: grpc.Channel) -> Gateway:
    return Gateway(profile, FabricIdentity.of(profile, fabric.clock), channel)


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


@pytest.fixture
def backend(engine: FabricEngine) -> FabricBackend:
    return engine.members[0]


@pytest.fixture
def peer(network: MemoryNetwork) -> Peer:
    return network.network.peers[ORGANISATIONS[0]]
