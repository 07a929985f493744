"""The Gateway client against a network in memory, with each of the errors a real one gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import utils

from keys import msp
from keys.errors import BadSignatureError, MalformedKeyError, TlsCertificateMalformedError
from ledger.canonical import decode
from ledger.entries.entry import parse
from ledger.errors import (
    EntryRefusedError,
    LogError,
    LogUnavailableError,
    OutcomeUnknownError,
    TransactionConflictError,
)
from ledger.fabric.gateway import Gateway, TransactionOutcome
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from tests.ledger.fabric.gateway_calls import evaluate, final_outcome
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import ORGANISATIONS, Fault, issue
from tests.ledger.sequencer.log_cases import leaf

OWN = ORGANISATIONS[0]
Status = grpc.StatusCode


def append(gateway: Gateway, data: bytes) -> TransactionOutcome:
    prepared = gateway.endorse([b"append", data])
    gateway.submit(prepared)
    return final_outcome(gateway, prepared.transaction, 10)


def test_a_leaf_is_endorsed_submitted_and_valid(gateway: Gateway) -> None:
    outcome = append(gateway, leaf())
    assert (outcome.flag, outcome.block) == ("VALID", 1)


def test_what_is_found_is_what_was_appended(gateway: Gateway) -> None:
    data = leaf()
    append(gateway, data)
    found = decode(evaluate(gateway, [b"find", parse(data).id.encode()]))
    assert isinstance(found, dict)
    assert found["type"] == "incident"
    assert evaluate(gateway, [b"find", b"nothing"]) == b""


def test_a_refusal_carries_code_and_remedy(gateway: Gateway) -> None:
    with pytest.raises(EntryRefusedError) as refused:
        gateway.endorse([b"append", leaf("refuse")])
    assert (refused.value.code, refused.value.remedy) == ("bad_entry", "do not send this one")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([b"append", b"no entry"], "entry"),
        ([b"append"], "arguments"),
        ([b"find", b"\x00"], "arguments"),
        ([b"append", b"{}", b"{}"], "arguments"),
        ([b"remove", b"{}"], "unknown_function"),
        ([], "unknown_function"),
    ],
)
def test_other_calls_are_refused(gateway: Gateway, args: list[bytes], code: str) -> None:
    with pytest.raises(EntryRefusedError) as refused:
        gateway.endorse(args)
    assert refused.value.code == code


def test_the_same_leaf_again_is_recorded_and_another_with_its_id_is_refused(gateway: Gateway) -> None:
    append(gateway, leaf("x", id="one"))
    for code, again in (("recorded", leaf("x", id="one")), ("id_used", leaf("y", id="one"))):
        with pytest.raises(EntryRefusedError) as refused:
            gateway.endorse([b"append", again])
        assert refused.value.code == code


@pytest.mark.parametrize("seconds", [-121, 121])
def test_an_entry_off_the_clock_is_refused(fabric: Network, gateway: Gateway, seconds: int) -> None:
    fabric.now += seconds
    with pytest.raises(EntryRefusedError) as refused:
        gateway.endorse([b"append", leaf()])
    assert refused.value.code == "clock"


def test_of_two_in_one_block_the_second_raced(fabric: Network, gateway: Gateway) -> None:
    first, second = (gateway.endorse([b"append", leaf(code, id="one")]) for code in ("x", "y"))
    fabric.hold(held=True)
    gateway.submit(first)
    gateway.submit(second)
    fabric.hold(held=False)
    assert final_outcome(gateway, first.transaction, 10).flag == "VALID"
    late = final_outcome(gateway, second.transaction, 10)
    assert late.flag == "MVCC_READ_CONFLICT"
    assert late.raced


def test_a_transaction_submitted_twice_counts_once(gateway: Gateway) -> None:
    prepared = gateway.endorse([b"append", leaf()])
    gateway.submit(prepared)
    gateway.submit(prepared)
    assert final_outcome(gateway, prepared.transaction, 10).flag == "VALID"


def test_endorsers_with_different_blocks_are_a_race(fabric: Network, gateway: Gateway) -> None:
    other = fabric.peers[ORGANISATIONS[1]]
    other.state["id/one"] = (b"", (9, 9))
    with pytest.raises(TransactionConflictError):
        gateway.endorse([b"append", leaf(id="one")])


def test_too_few_organisations_is_unavailable_and_says_what_to_start(
    fabric: Network, gateway: Gateway
) -> None:
    fabric.peers[ORGANISATIONS[1]].switch(up=False)
    with pytest.raises(LogUnavailableError, match="not enough organisations") as error:
        gateway.endorse([b"append", leaf()])
    assert not isinstance(error.value, OutcomeUnknownError)


@pytest.mark.parametrize("code", [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.ABORTED])
def test_before_submit_asking_again_is_safe(fabric: Network, gateway: Gateway, code: grpc.StatusCode) -> None:
    fabric.peers[OWN].faults["Endorse"].append(Fault(code))
    data = leaf()
    with pytest.raises(LogUnavailableError) as error:
        gateway.endorse([b"append", data])
    assert not isinstance(error.value, OutcomeUnknownError)
    assert append(gateway, data).flag == "VALID"


@pytest.mark.parametrize(
    "code", [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.INTERNAL, Status.UNKNOWN]
)
@pytest.mark.parametrize("after", [False, True])
def test_a_submit_that_breaks_off_is_unknown(
    fabric: Network, gateway: Gateway, code: grpc.StatusCode, *, after: bool
) -> None:
    fabric.peers[OWN].faults["Submit"].append(Fault(code, after=after))
    prepared = gateway.endorse([b"append", leaf()])
    with pytest.raises(OutcomeUnknownError) as error:
        gateway.submit(prepared)
    assert error.value.transaction == prepared.transaction
    if after:
        assert final_outcome(gateway, prepared.transaction, 10).flag == "VALID"
    else:
        with pytest.raises(OutcomeUnknownError):
            final_outcome(gateway, prepared.transaction, 0.1)


@pytest.mark.parametrize("code", [Status.ABORTED, Status.FAILED_PRECONDITION])
def test_a_submit_the_orderer_did_not_take_is_no_unknown(
    fabric: Network, gateway: Gateway, code: grpc.StatusCode
) -> None:
    fabric.peers[OWN].faults["Submit"].append(Fault(code, "received unsuccessful response from orderer"))
    with pytest.raises(LogUnavailableError) as error:
        gateway.submit(gateway.endorse([b"append", leaf()]))
    assert not isinstance(error.value, OutcomeUnknownError)


def test_a_lost_commit_status_is_asked_for_again_with_the_same_id(fabric: Network, gateway: Gateway) -> None:
    peer = fabric.peers[OWN]
    for _ in range(3):
        peer.faults["CommitStatus"].append(Fault(Status.UNAVAILABLE, after=True))
    assert append(gateway, leaf()).flag == "VALID"
    assert (peer.calls["Submit"], peer.calls["CommitStatus"]) == (1, 4)


@pytest.mark.parametrize("code", [Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT])
@pytest.mark.parametrize("method", ["Endorse", "Submit", "CommitStatus"])
def test_a_wrong_set_up_is_named(
    fabric: Network, gateway: Gateway, code: grpc.StatusCode, method: str
) -> None:
    fabric.peers[OWN].faults[method].append(Fault(code, "access denied"))
    with pytest.raises(LogError, match="connection profile") as error:
        append(gateway, leaf())
    assert not isinstance(error.value, LogUnavailableError)


def test_many_at_once_all_commit(gateway: Gateway) -> None:
    with ThreadPoolExecutor(64) as pool:
        outcomes = list(pool.map(lambda _: append(gateway, leaf()).flag, range(192)))
    assert outcomes == ["VALID"] * 192


def test_a_peers_error_ends_the_transaction(fabric: Network, gateway: Gateway) -> None:
    fabric.peers[OWN].refuse_put.add("id/one")
    with pytest.raises(LogUnavailableError, match="PUT_STATE failed"):
        gateway.endorse([b"append", leaf(id="one")])
    assert append(gateway, leaf(id="two")).flag == "VALID"


def test_signatures_have_the_lower_s(profile: ConnectionProfile) -> None:
    key = msp.MspKey(profile.key)
    for number in range(32):
        msp.verify(profile.certificate, b"%d" % number, key.sign(b"%d" % number))
    with pytest.raises(BadSignatureError):
        msp.verify(profile.certificate, b"1", key.sign(b"2"))
    assert "key" not in repr(key).lower().replace("mspkey", "")


def test_the_higher_s_is_refused(profile: ConnectionProfile) -> None:
    r, s = utils.decode_dss_signature(msp.MspKey(profile.key).sign(b"m"))
    with pytest.raises(BadSignatureError):
        msp.verify(profile.certificate, b"m", utils.encode_dss_signature(r, msp._ORDER - s))


def test_certificate_and_key_belong_together(profile: ConnectionProfile) -> None:
    other, _ = issue("other")
    with pytest.raises(TlsCertificateMalformedError, match="another key"):
        FabricIdentity("Org1MSP", other, profile.key, lambda: 0)
    with pytest.raises(MalformedKeyError):
        FabricIdentity("Org1MSP", profile.certificate, b"no key", lambda: 0)


def test_a_proxy_that_passes_the_clients_arguments_on_is_refused(
    fabric: Network, profile: ConnectionProfile, channel: grpc.Channel, gateway: Gateway
) -> None:
    """The state would hold the entry, and no node's log: the transaction is the other chaincode's."""
    data = leaf()
    identity = FabricIdentity.of(profile, fabric.clock)
    with pytest.raises(EntryRefusedError) as error:
        Gateway(replace(profile, chaincode="proxy"), identity, channel).endorse([b"append", data])
    assert error.value.code == "not_direct"
    assert append(gateway, data).flag == "VALID"


def test_a_flag_of_a_newer_peer_is_no_fault(fabric: Network, gateway: Gateway) -> None:
    for peer in fabric.peers.values():
        peer.deviate = lambda txid, code: 77 if txid else code
    assert append(gateway, leaf()).flag == "code 77"
