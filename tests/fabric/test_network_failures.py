"""Processes of a real network killed while members append: nothing is lost, nothing counts twice."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint
from ledger.entry import draft, signed
from ledger.errors import Unavailable
from ledger.fabric.profile import ConnectionProfile
from ledger.note import Note
from ledger.proof import Receipt
from ledger.verify import verify_folder
from tests.fabric.network import FabricNetwork, chaincode_name
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.live_net import Live
from tests.ledger.contract_cases import NETWORK, signer
from tests.ledger.log_cases import POLICY

pytestmark = pytest.mark.fabric

SUBMITTERS = 8
ENTRIES = 80
TRIES = 600
VICTIMS = {
    "orderers one by one": [["orderer0"], ["orderer1"], ["orderer2"]],
    "all orderers": [["orderer0", "orderer1", "orderer2"]],
    "own peer": [["peer-org1"]],
    "other peer": [["peer-org2"]],
    "both peers": [["peer-org1", "peer-org2"]],
    "own chaincode": [[chaincode_name("org1")]],
    "both chaincodes": [[chaincode_name("org1"), chaincode_name("org2")]],
}


@pytest.fixture(scope="module")
def engine(network: FabricNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricEngine]:
    profiles = [ConnectionProfile.read(path) for path in sorted(network.new_ledger().glob("*.toml"))]
    made = FabricEngine(tmp_path_factory.mktemp("engine"), profiles, lambda: int(time.time()))
    Live(made).genesis()
    yield made
    made.close()


def incident(engine: FabricEngine, number: int) -> bytes:
    body = {"code": "x", "count": number + 1}
    return signed(
        draft(NETWORK, "incident", secrets.token_hex(16), engine.now(), body), signer("office")
    ).leaf()


def insist(engine: FabricEngine, leaf: bytes) -> Receipt:
    """Append the same bytes until there is a receipt, as an outbox does."""
    pause = threading.Event()
    for _ in range(TRIES):
        try:
            return engine.append(leaf)
        except Unavailable:
            pause.wait(0.2)
    raise AssertionError("not final after all tries")


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS)
def test_what_is_killed_comes_back_and_nothing_is_lost(
    network: FabricNetwork, engine: FabricEngine, victims: list[list[str]]
) -> None:
    leaves = [incident(engine, number) for number in range(ENTRIES)]
    done = threading.Semaphore(0)

    def run(leaf: bytes) -> Receipt:
        receipt = insist(engine, leaf)
        done.release()
        return receipt

    with ThreadPoolExecutor(SUBMITTERS) as pool:
        running = [pool.submit(run, leaf) for leaf in leaves]
        for names in victims:
            for _ in range(10):
                done.acquire()
            for name in names:
                network.kill(name)
            for name in names:
                network.start(name)
        receipts = [one.result() for one in running]
    for leaf, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, leaf)
    size = Checkpoint.parse(Note.parse(engine.head()).text).size
    log = list(engine.read(0, size))
    assert [log.count(leaf) for leaf in leaves] == [1] * ENTRIES
    agree(engine, engine.public, size)


def agree(engine: FabricEngine, public: Path, size: int) -> None:
    """Both organisations derive the published log, and a stranger verifies it."""
    for member in engine.members:
        assert member.fault is None
        assert member.derived.wait_for_size(size, 30)
    found = verify_folder(public, policy=POLICY.format().encode())
    assert found.size >= size
    assert len({member.root_at(size) for member in engine.members}) == 1
    assert not found.voids


def test_an_append_whose_member_dies_is_settled_by_its_bytes(engine: FabricEngine) -> None:
    leaves = [incident(engine, number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(engine.append, leaf) for leaf in leaves]
        engine.restart()
        assert sum(one.exception() is None for one in running) <= 16
    receipts = [insist(engine, leaf) for leaf in leaves]
    assert len({receipt.index for receipt in receipts}) == 16
    for leaf, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, leaf)
        assert list(engine.read(receipt.index, receipt.index + 1)) == [leaf]
