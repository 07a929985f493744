"""The own peer's Gateway service: endorse, submit, ask for the outcome.

    Endorse        the peer collects the endorsements the policy wants and prepares the transaction
    Submit         signed, to the ordering service; an answer says that it was taken, not that it counts
    CommitStatus   how the own peer's block flagged it; asked again, with the same id, until it is known

Only an answer of CommitStatus is an outcome. ``ledger.fabric.failures`` says what each error means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer import transaction_pb2

from ledger.fabric.failures import raise_endorse, raise_status, raise_submit
from ledger.fabric.profile import ConnectionProfile, FabricIdentity

MESSAGE_BYTES = 100 * 1024 * 1024
"""Largest message taken, as Fabric's own clients have it: a block is one message."""

KEEPALIVE_MS = 120_000
"""Pause between pings on an idle connection. A peer ends one that pings more often than every 60 s."""

AGAIN_SECONDS = 0.25
"""Pause before CommitStatus is asked again."""

VALID = "VALID"
RACES = ("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")
"""Flags that say another transaction came in between."""


def connect(profile: ConnectionProfile) -> grpc.Channel:
    """A channel to the own peer; TLS where the profile gives its authority."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
    if profile.ca is None:
        return grpc.insecure_channel(profile.endpoint, options)
    if profile.name is not None:
        options.append(("grpc.ssl_target_name_override", profile.name))
    return grpc.secure_channel(profile.endpoint, grpc.ssl_channel_credentials(profile.ca), options)


@dataclass(frozen=True)
class PreparedTransaction:
    """An endorsed transaction.

    Attributes:
        transaction: its id.
        envelope: what is submitted, signed.
    """

    transaction: str
    envelope: Any


@dataclass(frozen=True)
class TransactionOutcome:
    """What the own peer's block says of a transaction.

    Attributes:
        flag: name of its validation code, such as ``VALID`` or ``MVCC_READ_CONFLICT``.
        block: number of its block.
    """

    flag: str
    block: int

    @property
    def raced(self) -> bool:
        """Whether another transaction came in between; this one changed nothing."""
        return self.flag in RACES


def _flag(code: int) -> str:
    """Name of a validation code; its number where a newer peer has one that is not known here."""
    known = code in transaction_pb2.TxValidationCode.values()
    return str(transaction_pb2.TxValidationCode.Name(code)) if known else f"code {code}"


class Gateway:
    """The Gateway service of the profile's peer; safe for threads."""

    def __init__(self, profile: ConnectionProfile, identity: FabricIdentity, channel: grpc.Channel) -> None:
        self._profile = profile
        self._identity = identity
        self._stub: Any = gateway_pb2_grpc.GatewayStub(channel)

    def endorse(self, args: Sequence[bytes]) -> PreparedTransaction:
        """Have a call endorsed: the function's name and its arguments.

        Raises:
            EntryRefusedError: the contract on a peer of the own organisation refuses it.
            EntryRefusedElsewhereError: on another's only, which may be behind by a block.
            TransactionConflictError: the endorsers do not have the same blocks yet.
            LogUnavailableError: too few peers, or none in time; nothing was submitted.
            LogError: the peer does not accept this identity, channel or chaincode.
        """
        proposal = self._identity.proposal(self._profile, args)
        request = gateway_pb2.EndorseRequest(
            transaction_id=proposal.transaction,
            channel_id=self._profile.channel,
            proposed_transaction=proposal.signed,
        )
        try:
            answer = self._stub.Endorse(request, timeout=self._profile.limits.endorse)
        except grpc.RpcError as error:
            raise_endorse(error, self._identity.msp)
        envelope = answer.prepared_transaction
        envelope.signature = self._identity.sign(envelope.payload)
        return PreparedTransaction(proposal.transaction, envelope)

    def submit(self, prepared: PreparedTransaction) -> None:
        """Hand an endorsed transaction to the ordering service.

        Raises:
            OutcomeUnknownError: it may have been taken: ask ``status``.
            LogUnavailableError: it was not taken.
            LogError: the peer does not accept this identity or channel.
        """
        request = gateway_pb2.SubmitRequest(
            transaction_id=prepared.transaction,
            channel_id=self._profile.channel,
            prepared_transaction=prepared.envelope,
        )
        try:
            self._stub.Submit(request, timeout=self._profile.limits.submit)
        except grpc.RpcError as error:
            raise_submit(error, prepared.transaction)

    def status(self, transaction: str, seconds: float) -> TransactionOutcome:
        """Ask once for a transaction's outcome; the peer answers when its block is committed.

        Raises:
            OutcomeUnknownError: no answer.
            LogError: the peer does not accept this identity or channel.
        """
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction, channel_id=self._profile.channel, identity=self._identity.creator
        ).SerializeToString()
        signed = gateway_pb2.SignedCommitStatusRequest(
            request=request, signature=self._identity.sign(request)
        )
        try:
            answer = self._stub.CommitStatus(signed, timeout=seconds)
        except grpc.RpcError as error:
            raise_status(error, transaction)
        return TransactionOutcome(_flag(answer.result), int(answer.block_number))
