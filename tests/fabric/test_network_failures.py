"""Processes of a real network killed while members append: nothing is lost, nothing counts twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.formats.receipt import Receipt
from tests.fabric.appending import SUBMITTERS, agree, count_once, incident, insist, open_engine_on
from tests.fabric.network import FabricNetwork
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.sequencer.log_cases import POLICY

pytestmark = pytest.mark.fabric

ENTRIES = 80
VICTIMS = {
    "orderers one by one": [["orderer0"], ["orderer1"], ["orderer2"]],
    "all orderers": [["orderer0", "orderer1", "orderer2"]],
    "own peer": [["peer-org1"]],
    "other peer": [["peer-org2"]],
    "both peers": [["peer-org1", "peer-org2"]],
    "own chaincode": [["chaincode-org1"]],
    "both chaincodes": [["chaincode-org1", "chaincode-org2"]],
}


@pytest.fixture(scope="module")
def engine(network: FabricNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricEngine]:
    with open_engine_on(network.new_ledger(), tmp_path_factory.mktemp("engine")) as made:
        yield made


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
        for names in [[network.running(one) for one in names] for names in victims]:
            for _ in range(10):
                done.acquire()
            for name in names:
                network.kill(name)
            for name in names:
                network.start(name)
        receipts = [one.result() for one in running]
    for leaf, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, leaf)
    count_once(engine, leaves)
    agree(engine)


def test_an_append_whose_member_dies_is_settled_by_its_bytes(engine: FabricEngine) -> None:
    leaves = [incident(engine, number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(engine.append, leaf) for leaf in leaves]
        engine.restart()
        assert sum(one.exception() is None for one in running) <= 16
    for leaf in leaves:
        insist(engine, leaf).verify(POLICY, leaf)
    count_once(engine, leaves)
    agree(engine)
