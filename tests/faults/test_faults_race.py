"""Clients racing for the slots of a grant: through the real log and contract, each slot is taken once.

A reduced race in `make test`; with more than two seeds a point (`make test-long`) the whole one: 100 clients,
1,000 tries each, 500 slots.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import contract
from ledger.errors import EntryRefusedError
from ledger.replica.replica import Replica
from ledger.sequencer.sequencer import Sequencer
from tests.ledger.contract.contract_cases import KINDS, NETWORK, Net, founded, query_id, signer
from tests.ledger.sequencer.log_cases import POLICY, World, real_leaves


def racing(slots: int) -> Net:
    """A network whose two grants have so many slots."""
    net = founded()
    net.do("sumkey.publish", "office", net.sumkey_body(), [signer("trust")])
    for dataset in KINDS:
        net.publish(dataset)
    net.do("rules.publish", "office", net.rules_body())
    net.do("rules.approve", "tax", net.approve_body())
    net.do("rules.approve", "audit", net.approve_body())
    for owner in ("tax", "housing"):
        net.grant(owner, slots=slots)
    return net


def race(world: World, clients: int, tries: int, slots: int) -> tuple[Sequencer, list[int]]:
    """Accepted intents' slots; every client asks for random slots, a new query each time."""
    net = racing(slots)
    log = world.started(submit=300.0, round=20)
    for one in real_leaves(net):
        log.submit(one)

    def run(client: int) -> list[int]:
        chance, won = random.Random(client), []
        for attempt in range(tries):
            slot = (
                chance.randrange(slots)
                if attempt >= slots // clients + 1
                else ((client * (slots // clients + 1) + attempt) % slots)
            )
            try:
                log.submit(net.intent(f"{client} {attempt}", slot=slot).leaf())
                won.append(slot)
            except EntryRefusedError as error:
                refused.add(error.code)
        return won

    refused: set[str] = set()
    with ThreadPoolExecutor(clients) as threads:
        taken = [slot for won in threads.map(run, range(clients)) for slot in won]
    assert refused == {"slot_taken"}
    return log, taken


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, contract.apply)
    yield made
    made.close()


def check_race(world: World, clients: int, tries: int, slots: int) -> None:
    log, won = race(world, clients, tries, slots)
    assert sorted(won) == list(range(slots))
    replica = Replica(world.engine("node"), NETWORK, None, POLICY)
    replica.extend(log.read(0, log.size), log.head)
    assert replica.voids() == []
    assert len(list(replica.of_type("query.intent"))) == slots
    assert query_id("0 0")


def test_a_race_for_few_slots(world):
    check_race(world, clients=10, tries=10, slots=20)


def test_the_whole_race(world, pytestconfig):
    if pytestconfig.getoption("--fault-seeds") <= 2:
        pytest.skip("100,000 tries take minutes: `make test-long`")
    check_race(world, clients=100, tries=1000, slots=500)
