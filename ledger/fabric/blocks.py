"""The own peer's blocks: followed through its Deliver service, checked as a chain, and the leaves they hold.

A block is {header {number, previous_hash, data_hash}, data: [envelope], metadata}. What is checked of every
block:

    data_hash       SHA-256 of the envelopes, one after the other
    header hash     SHA-256(DER SEQUENCE {INTEGER number, OCTET STRING previous_hash, OCTET STRING data_hash})
    previous_hash   the header hash of the block before; numbers follow one another

so a peer cannot exchange a block without changing every later one. The validation flags stand in the
metadata, outside that chain: each peer adds its own after ordering. That is why every node reads its own
peer, and why checkpoints over the derived log are compared between nodes.

**Leaves**, in the order of blocks and of transactions in a block, are the arguments of every transaction that

1. the own peer flagged VALID, in the metadata TRANSACTIONS_FILTER,
2. is an ENDORSER_TRANSACTION of this channel with exactly one action, calling this chaincode by its header
   extension and by its endorsed action,
3. calls ``append`` with exactly one argument of at most 61,440 bytes, the most an entry may have, and not
   as an initialisation, for which the chaincode does nothing,
4. is bound to that argument: the endorsed proposal hash is SHA-256(channel header ‖ signature header ‖
   payload).

Everything else is no leaf, for every node alike, since all of it is in the block and nothing else is looked
at. An argument that is no entry, or one the contract refuses, is a leaf all the same and void by replay. No
honest endorser signs one; rule 3 keeps what dishonest ones could sign within what an entry bundle holds. A
VALID transaction against rule 4 is no leaf either: a peer that flags it VALID is broken, and its node
reports that.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    events_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from ledger.canonical import MAX_BYTES
from ledger.errors import ForkError, LogError, LogUnavailableError
from ledger.fabric.profile import ConnectionProfile, FabricIdentity

APPEND = b"append"
_FOREVER = 2**64 - 1
_FILTER = common_pb2.TRANSACTIONS_FILTER
log = logging.getLogger("hedui.fabric")


@dataclass(frozen=True)
class Position:
    """How far a chain of blocks has been read.

    Attributes:
        next: number of the next block.
        last: header hash of the block before it, 32 bytes; empty before block 0.
    """

    next: int = 0
    last: bytes = b""


@dataclass(frozen=True)
class DerivedBlock:
    """The leaves that one block adds to the log.

    Attributes:
        leaves: in order.
        after: the position behind the block.
    """

    leaves: tuple[bytes, ...]
    after: Position


def data_hash(data: Sequence[bytes]) -> bytes:
    """The hash of a block's envelopes."""
    digest = hashlib.sha256()
    for envelope in data:
        digest.update(envelope)
    return digest.digest()


def header_hash(header: Any) -> bytes:
    """The hash of a block's header, which the next block names."""
    number = int(header.number)
    fields = (
        _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))
        + _der(0x04, bytes(header.previous_hash))
        + _der(0x04, bytes(header.data_hash))
    )
    return hashlib.sha256(_der(0x30, fields)).digest()


def derive(block: Any, at: Position, channel: str, chaincode: str) -> DerivedBlock:
    """Check a block against the chain so far and take its leaves.

    Raises:
        ForkError: it does not follow the blocks read before, or its data is not what its header says.
    """
    header = block.header
    if header.number != at.next or (at.last and bytes(header.previous_hash) != at.last):
        raise ForkError(
            f"the own peer's block {header.number} does not follow the blocks read before: the peer was "
            "given another ledger; keep both and call the auditor"
        )
    if data_hash(block.data.data) != header.data_hash:
        raise ForkError(f"block {header.number} of the own peer is damaged: have the peer fetch it again")
    flags = bytes(block.metadata.metadata[_FILTER]) if len(block.metadata.metadata) > _FILTER else b""
    if not flags and header.number == 0:
        return DerivedBlock((), Position(1, header_hash(header)))  # the configuration the channel starts from
    if len(flags) != len(block.data.data):
        raise ForkError(f"block {header.number} of the own peer lacks its validation flags: check the peer")
    leaves = tuple(
        leaf
        for flag, envelope in zip(flags, block.data.data, strict=True)
        if flag == transaction_pb2.VALID and (leaf := leaf_of(envelope, channel, chaincode)) is not None
    )
    return DerivedBlock(leaves, Position(header.number + 1, header_hash(header)))


def leaf_of(envelope: bytes, channel: str, chaincode: str) -> bytes | None:
    """The leaf a valid transaction appends, or None where it appends none (rules 2 to 4)."""
    try:
        return _leaf_of(envelope, channel, chaincode)
    except DecodeError:
        return None


def _leaf_of(envelope: bytes, channel: str, chaincode: str) -> bytes | None:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    head = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    if head.type != common_pb2.ENDORSER_TRANSACTION or head.channel_id != channel:
        return None
    actions = transaction_pb2.Transaction.FromString(payload.data).actions
    extension = proposal_pb2.ChaincodeHeaderExtension.FromString(head.extension)
    if len(actions) != 1 or extension.chaincode_id.name != chaincode:
        return None
    action = transaction_pb2.ChaincodeActionPayload.FromString(actions[0].payload)
    endorsed = proposal_response_pb2.ProposalResponsePayload.FromString(
        action.action.proposal_response_payload
    )
    result = proposal_pb2.ChaincodeAction.FromString(endorsed.extension)
    if result.chaincode_id.name != chaincode:
        return None
    proposed = action.chaincode_proposal_payload
    bound = hashlib.sha256(
        payload.header.channel_header + payload.header.signature_header + proposed
    ).digest()
    if endorsed.proposal_hash != bound:
        log.error("the own peer flags a transaction VALID whose argument was not endorsed: check the peer")
        return None
    spec = proposal_pb2.ChaincodeProposalPayload.FromString(proposed)
    called = chaincode_pb2.ChaincodeInvocationSpec.FromString(spec.input).chaincode_spec.input
    args = called.args
    if called.is_init or len(args) != 2 or args[0] != APPEND or len(args[1]) > MAX_BYTES:
        return None
    return bytes(args[1])


class BlockStream:
    """The own peer's blocks from a number on."""

    def __init__(self, profile: ConnectionProfile, identity: FabricIdentity, channel: grpc.Channel) -> None:
        self._profile = profile
        self._identity = identity
        self._stub: Any = events_pb2_grpc.DeliverStub(channel)

    def open(self, first: int) -> Any:
        """A call that yields DeliverResponse from block ``first`` on, for ``blocks``; ``cancel`` ends it."""
        start = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=first))
        stop = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=_FOREVER))
        info = ab_pb2.SeekInfo(start=start, stop=stop, behavior=ab_pb2.SeekInfo.BLOCK_UNTIL_READY)
        envelope = self._identity.seek(self._profile.channel, info.SerializeToString())
        return self._stub.Deliver(iter([envelope]))

    def blocks(self, call: Any) -> Iterator[Any]:
        """The blocks of an open call, as they come.

        Raises:
            LogUnavailableError: the peer does not answer any more; open another call.
            LogError: the peer refuses.
        """
        try:
            for answer in call:
                if answer.WhichOneof("Type") != "block":
                    raise self._refusal(answer.status)
                yield answer.block
        except grpc.RpcError as error:
            raise LogUnavailableError(f"the own peer's blocks do not come ({error.code().name})") from error
        raise LogUnavailableError("the own peer ended its blocks")

    def _refusal(self, status: int) -> LogError:
        known = status in common_pb2.Status.values()
        name = common_pb2.Status.Name(status) if known else f"status {status}"
        if status == common_pb2.SERVICE_UNAVAILABLE:
            return LogUnavailableError(f"the own peer does not deliver blocks now ({name})")
        if status == common_pb2.NOT_FOUND:
            return LogError(
                f"the own peer has not the blocks asked for ({name}): see that it has joined the channel of "
                "the connection profile, and not from a snapshot, which lacks the blocks before it"
            )
        return LogError(
            f"the own peer does not deliver this channel's blocks ({name}): compare channel and client "
            "certificate of the connection profile, and see that the peer has joined the channel"
        )


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
