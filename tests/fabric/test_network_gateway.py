"""What the outcome of a transaction is on a real network, also when an orderer dies with it in its hands."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.entries.times import format_time
from ledger.errors import EntryRefusedError, OutcomeUnknownError
from ledger.fabric.gateway import Gateway, PreparedTransaction, connect
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from tests.fabric.settings import ORGANISATIONS
from tests.ledger.contract.contract_cases import NETWORK, Net, draft, signed, signer
from tests.ledger.fabric.gateway_calls import final_outcome

pytestmark = pytest.mark.fabric
OUTCOME = 60.0


def stamp() -> str:
    return format_time(int(time.time()))


def incident(name: str, count: int = 1) -> bytes:
    body = {"code": "x", "count": count}
    return signed(draft(NETWORK, "incident", name, stamp(), body), signer("office")).leaf()


@pytest.fixture
def gateways(network):
    """A gateway of each organisation to a ledger that is founded."""
    folder = network.new_ledger()
    channels, made = [], []
    for organisation in ORGANISATIONS:
        profile = ConnectionProfile.read(folder / f"{organisation}.toml")
        channels.append(connect(profile))
        identity = FabricIdentity.of(profile, lambda: int(time.time()))
        made.append(Gateway(profile, identity, channels[-1]))
    net = Net()
    net.now = stamp()
    net.genesis()
    prepared = made[0].endorse([b"append", net.entries[0][0].leaf()])
    made[0].submit(prepared)
    assert [final_outcome(gateway, prepared.transaction, OUTCOME).flag for gateway in made] == ["VALID"] * 2
    yield made
    for channel in channels:
        channel.close()


def append(gateway: Gateway, leaf: bytes) -> str:
    prepared = gateway.endorse([b"append", leaf])
    gateway.submit(prepared)
    return final_outcome(gateway, prepared.transaction, OUTCOME).flag


def test_the_contract_refuses_with_its_code_and_its_remedy(gateways):
    with pytest.raises(EntryRefusedError) as refused:
        gateways[1].endorse([b"append", b"{}"])
    assert refused.value.code == "entry"
    leaf = incident("a" * 32)
    assert append(gateways[0], leaf) == "VALID"
    with pytest.raises(EntryRefusedError) as refused:
        gateways[0].endorse([b"append", leaf])
    assert refused.value.code == "recorded"
    with pytest.raises(EntryRefusedError) as refused:
        gateways[0].endorse([b"append", incident("a" * 32, count=2)])
    assert refused.value.code == "id_used"


def test_of_eight_transactions_with_one_id_exactly_one_counts(gateways):
    prepared = [gateways[n % 2].endorse([b"append", incident("b" * 32, count=n + 1)]) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: gateways[n % 2].submit(prepared[n]), range(8)))
    flags = Counter(final_outcome(gateways[0], each.transaction, OUTCOME).flag for each in prepared)
    assert flags == {"VALID": 1, "MVCC_READ_CONFLICT": 7}


def test_a_transaction_submitted_again_counts_once(gateways):
    prepared = gateways[0].endorse([b"append", incident("c" * 32)])
    for gateway in (*gateways, *gateways):
        gateway.submit(prepared)
    outcome = final_outcome(gateways[0], prepared.transaction, OUTCOME)
    assert outcome.flag == "VALID"
    gateways[1].submit(prepared)
    assert append(gateways[1], incident("d" * 32)) == "VALID"
    assert final_outcome(gateways[0], prepared.transaction, OUTCOME) == outcome
    assert final_outcome(gateways[1], prepared.transaction, OUTCOME) == outcome


def settle(gateway: Gateway, prepared: PreparedTransaction) -> str:
    """Submit the same transaction until its outcome is known."""
    for _ in range(60):
        with contextlib.suppress(OutcomeUnknownError):
            gateway.submit(prepared)
        with contextlib.suppress(OutcomeUnknownError):
            return final_outcome(gateway, prepared.transaction, 1.0).flag
    raise AssertionError("no outcome in a minute")


def test_a_transaction_lost_with_its_orderer_counts_when_it_is_submitted_again(network, gateways):
    prepared = [gateways[n % 2].endorse([b"append", incident(f"{n:032x}")]) for n in range(30)]
    submitted = threading.Semaphore(0)

    def run(number: int) -> str:
        gateway = gateways[number % 2]
        with contextlib.suppress(OutcomeUnknownError):
            gateway.submit(prepared[number])
        submitted.release()
        return settle(gateway, prepared[number])

    with ThreadPoolExecutor(30) as pool:
        flags = [pool.submit(run, number) for number in range(30)]
        for number in range(network.orderers):
            submitted.acquire()
            network.kill(f"orderer{number}")
            network.start(f"orderer{number}")
        assert {flag.result() for flag in flags} == {"VALID"}
