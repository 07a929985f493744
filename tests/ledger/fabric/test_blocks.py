"""Blocks: the chain of their headers, and which of their transactions are leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from ledger.canonical import MAX_BYTES
from ledger.errors import ForkError
from ledger.fabric.blocks import Position, data_hash, derive, header_hash, leaf_of
from ledger.fabric.gateway import Gateway
from tests.ledger.fabric.gateway_calls import final_outcome
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import (
    CHAINCODE,
    CHANNEL,
    ORGANISATIONS,
    Parts,
    Simulation,
    prepare,
    read_write_set,
)
from tests.ledger.sequencer.log_cases import leaf


def append(gateway: Gateway, data: bytes) -> str:
    prepared = gateway.endorse([b"append", data])
    gateway.submit(prepared)
    return final_outcome(gateway, prepared.transaction, 10).flag


@pytest.fixture
def chain(fabric: Network, gateway: Gateway) -> list[Any]:
    """Three blocks: the configuration, and one leaf each."""
    for code in ("a", "b"):
        append(gateway, leaf(code))
    return list(fabric.peers[ORGANISATIONS[0]].blocks)


def through(blocks: list[Any], at: Position = Position()) -> list[bytes]:  # noqa: B008  frozen
    leaves: list[bytes] = []
    for block in blocks:
        found = derive(block, at, CHANNEL, CHAINCODE)
        leaves += found.leaves
        at = found.after
    return leaves


def changed(block: Any, change: Callable[[Any], None]) -> Any:
    other = common_pb2.Block()
    other.CopyFrom(block)
    change(other)
    return other


def test_the_leaves_of_a_chain_in_their_order(chain: list[Any]) -> None:
    assert [b'"code":"%s"' % code in one for code, one in zip((b"a", b"b"), through(chain), strict=True)]


def test_a_header_is_hashed_as_fabric_does() -> None:
    """DER of a header with a number above 127, from the definition of the encoding."""
    header = common_pb2.BlockHeader(number=200, previous_hash=b"\x11" * 32, data_hash=b"\x22" * 32)
    der = bytes.fromhex("3048" + "020200c8" + "0420" + "11" * 32 + "0420" + "22" * 32)
    assert header_hash(header) == hashlib.sha256(der).digest()
    first = common_pb2.BlockHeader(number=0, previous_hash=b"", data_hash=b"\x22" * 32)
    der = bytes.fromhex("3027" + "020100" + "0400" + "0420" + "22" * 32)
    assert header_hash(first) == hashlib.sha256(der).digest()


def test_a_block_must_follow_the_last(chain: list[Any]) -> None:
    for blocks in (chain[:1] + chain[2:], chain[1:], chain[:2] + chain[1:2]):
        with pytest.raises(ForkError, match="does not follow"):
            through(blocks)


def test_a_block_with_another_past_is_refused(chain: list[Any]) -> None:
    other = changed(chain[2], lambda block: setattr(block.header, "previous_hash", b"\0" * 32))
    with pytest.raises(ForkError, match="does not follow"):
        through([*chain[:2], other])


def test_changed_data_is_found(chain: list[Any]) -> None:
    def change(block: Any) -> None:
        block.data.data[0] = block.data.data[0][:-1] + b"\0"

    with pytest.raises(ForkError, match="damaged"):
        through([chain[0], changed(chain[1], change)])


def test_missing_flags_are_found_but_for_the_first_block(chain: list[Any]) -> None:
    def change(block: Any) -> None:
        block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER] = b""

    through([changed(chain[0], change), *chain[1:]])
    with pytest.raises(ForkError, match="flags"):
        through([chain[0], changed(chain[1], change)])


def test_an_invalid_transaction_is_no_leaf(chain: list[Any]) -> None:
    def change(block: Any) -> None:
        flags = bytes([transaction_pb2.MVCC_READ_CONFLICT])
        block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER] = flags

    assert through([chain[0], changed(chain[1], change)]) == []


def envelope(gateway: Gateway, args: list[bytes], **swap: Any) -> bytes:
    """A transaction that a peer with a lax chaincode would have endorsed."""
    proposal = gateway._identity.proposal(gateway._profile, args)
    inner = proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes)
    parts = Parts.of(inner.header, inner.payload)
    action = proposal_pb2.ChaincodeAction(
        results=read_write_set(Simulation()),
        response=proposal_response_pb2.Response(status=200),
        chaincode_id=chaincode_pb2.ChaincodeID(name=swap.get("chaincode", CHAINCODE)),
    )
    answer = proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=swap.get("hash", parts.hash), extension=action.SerializeToString()
    )
    made: bytes = prepare(proposal.signed, answer.SerializeToString(), []).SerializeToString()
    return made


@pytest.mark.parametrize("data", [b"", b"no entry", b"\xff" * MAX_BYTES])
def test_an_argument_that_is_no_entry_is_a_leaf(gateway: Gateway, data: bytes) -> None:
    assert leaf_of(envelope(gateway, [b"append", data]), CHANNEL, CHAINCODE) == data


@pytest.mark.parametrize(
    "args",
    [
        [],
        [b"append"],
        [b"append", b"{}", b""],
        [b"find", b"{}"],
        [b"append", b"x" * (MAX_BYTES + 1)],
    ],
)
def test_another_call_is_no_leaf(gateway: Gateway, args: list[bytes]) -> None:
    assert leaf_of(envelope(gateway, args), CHANNEL, CHAINCODE) is None


def test_another_channel_chaincode_or_argument_is_no_leaf(gateway: Gateway) -> None:
    args = [b"append", b"{}"]
    assert leaf_of(envelope(gateway, args), CHANNEL, CHAINCODE) == b"{}"
    assert leaf_of(envelope(gateway, args), "other", CHAINCODE) is None
    assert leaf_of(envelope(gateway, args), CHANNEL, "other") is None
    assert leaf_of(envelope(gateway, args, chaincode="other"), CHANNEL, CHAINCODE) is None
    assert leaf_of(envelope(gateway, args, hash=bytes(32)), CHANNEL, CHAINCODE) is None
    assert leaf_of(b"\xff\xff", CHANNEL, CHAINCODE) is None


def test_an_initialisation_is_no_leaf(gateway: Gateway) -> None:
    """The peer sends it as INIT, which changes no state: a leaf would count in the replays alone."""
    whole = common_pb2.Envelope.FromString(envelope(gateway, [b"append", b"{}"]))
    payload = common_pb2.Payload.FromString(whole.payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    proposed = proposal_pb2.ChaincodeProposalPayload.FromString(action.chaincode_proposal_payload)
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(proposed.input)
    spec.chaincode_spec.input.is_init = True
    proposed.input = spec.SerializeToString()
    action.chaincode_proposal_payload = proposed.SerializeToString()
    answer = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    answer.proposal_hash = hashlib.sha256(
        payload.header.channel_header + payload.header.signature_header + action.chaincode_proposal_payload
    ).digest()
    action.action.proposal_response_payload = answer.SerializeToString()
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()
    made = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    assert leaf_of(made, CHANNEL, CHAINCODE) is None


def test_the_data_hash_is_that_of_the_envelopes_joined() -> None:
    assert data_hash([b"ab", b"", b"c"]) == hashlib.sha256(b"abc").digest()
