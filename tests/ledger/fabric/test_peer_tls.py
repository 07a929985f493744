"""TLS to the own peer: the profile's authority, and the name its certificate must have."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace

import grpc
import pytest
from fabric_protos.gateway import gateway_pb2_grpc

from keys.tls import Authority
from ledger.errors import LogUnavailableError
from ledger.fabric.gateway import Gateway, connect
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from tests.ledger.fabric.gateway_calls import evaluate
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import ORGANISATIONS
from tests.ledger.fabric.memory_peer import GatewayEdge

NAME = "peer0.org1.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("org1")


@pytest.fixture
def port(fabric: Network, authority: Authority) -> Iterator[int]:
    """The first peer's Gateway under a certificate for ``NAME``."""
    identity = authority.issue("peer0", [NAME])
    server = grpc.server(futures.ThreadPoolExecutor(8))
    edge = GatewayEdge(fabric.peers[ORGANISATIONS[0]])
    gateway_pb2_grpc.add_GatewayServicer_to_server(edge, server)
    credentials = grpc.ssl_server_credentials([(identity.key_pem, identity.chain_pem)])
    found = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield found
    server.stop(grace=None).wait()


def find(fabric: Network, profile: ConnectionProfile) -> bytes:
    with connect(profile) as channel:
        gateway = Gateway(profile, FabricIdentity.of(profile, fabric.clock), channel)
        return evaluate(gateway, [b"find", b"nothing"])


def test_the_name_in_the_profile_is_the_peers(
    fabric: Network, profile: ConnectionProfile, authority: Authority, port: int
) -> None:
    own = replace(profile, endpoint=f"127.0.0.1:{port}", ca=authority.certificate_pem, name=NAME)
    assert find(fabric, own) == b""
    for wrong in (
        replace(own, name="peer0.org2.example"),
        replace(own, ca=Authority.create("x").certificate_pem),
    ):
        with pytest.raises(LogUnavailableError):
            find(fabric, wrong)
    with pytest.raises(LogUnavailableError):
        find(fabric, replace(own, ca=None))
