r"""The own peer's Gateway service: endorse, submit, ask for the outcome.

    Endorse        the peer collects the endorsements the policy wants and prepares the transaction
    Submit         signed, to the ordering service; an answer says that it was taken, not that it counts
    CommitStatus   how the own peer's block flagged it; asked again, with the same id, until it is known

Only an answer of CommitStatus is an outcome.

**Errors.** A failed Gateway call carries google.rpc.Status in the trailer ``grpc-status-details-bin``; its
details are one ``gateway.ErrorDetail`` {address, msp_id, message} for each endorser or orderer that failed.
What they mean:

| call | status | details | error |
|---|---|---|---|
| Endorse, Evaluate | any | ``chaincode response <n>, <code>\|<remedy>`` | EntryRefusedError(code, remedy) |
| Endorse | any | the same, from another organisation only | EntryRefusedElsewhereError(code, remedy) |
| Endorse | any | payloads do not match | TransactionConflictError: their blocks differ |
| Endorse | FAILED_PRECONDITION | | LogUnavailableError: not enough organisations' peers are up |
| Endorse | UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED | | LogUnavailableError: not submitted, ask again |
| Submit | ABORTED, FAILED_PRECONDITION | | LogUnavailableError: the orderer did not take it, ask again |
| any | PERMISSION_DENIED, UNAUTHENTICATED, INVALID_ARGUMENT, … | | LogError: the set-up is wrong |
| Submit | any other | | OutcomeUnknownError |
| CommitStatus | any but the set-up's | | OutcomeUnknownError |

A status of Submit that does not say "not taken" leaves the outcome open: the transaction may stand in a
block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer import transaction_pb2
from google.protobuf.message import DecodeError

from ledger.errors import (
    EntryRefusedElsewhereError,
    EntryRefusedError,
    LedgerError,
    LogError,
    LogUnavailableError,
    OutcomeUnknownError,
    TransactionConflictError,
)
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from ledger.wire import rpc_status_pb2

MESSAGE_BYTES = 100 * 1024 * 1024
"""Largest message taken, as Fabric's own clients have it: a block is one message."""
KEEPALIVE_MS = 120_000
"""Pause between pings on an idle connection. A peer ends one that pings more often than every 60 s."""
AGAIN_SECONDS = 0.25
"""Pause before CommitStatus is asked again."""
VALID = "VALID"
RACES = ("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")
"""Flags that say another transaction came in between."""
DETAILS = "grpc-status-details-bin"
_REFUSAL = re.compile(r"chaincode response [0-9]+, ([a-z][a-z0-9_]{0,63})\|(.*)", re.DOTALL)
_MISMATCH = "do not match"
_SHOWN = 200
"""Characters of a peer's message that are shown."""
_SETUP = {
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.NOT_FOUND,
}
_NOT_TAKEN = {grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION}


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
    """The outcome of a transaction in the own peer's block.

    Attributes:
        flag: name of its validation code, such as ``VALID`` or ``MVCC_READ_CONFLICT``.
        block: number of its block.
    """

    flag: str
    block: int

    @property
    def raced(self) -> bool:
        """Whether it conflicted with another transaction and so changed nothing."""
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


def details_of(error: grpc.RpcError) -> list[Any]:
    """The ErrorDetail messages of a failed call; empty where there are none, or none that can be read."""
    call: Any = error  # what a failed call raises is its grpc.Call too; the published types do not say so
    trailer = call.trailing_metadata()
    found: list[Any] = []
    for key, value in trailer or ():
        if key != DETAILS:
            continue
        try:
            for packed in rpc_status_pb2.RpcStatus.FromString(value).details:
                detail = gateway_pb2.ErrorDetail()
                if packed.Unpack(detail):
                    found.append(detail)
        except DecodeError:
            continue
    return found


def raise_endorse(error: grpc.RpcError, own: str) -> NoReturn:
    """Raise what a failed Endorse or Evaluate means; ``own`` is the own organisation's MSP id.

    Raises:
        LogError, EntryRefusedError: the class that the module's table gives for it.
    """
    details = details_of(error)
    messages = [str(detail.message) for detail in details] or [_text(error)]
    _raise_refusal(error, [(str(detail.msp_id), str(detail.message)) for detail in details], own)
    if any(_MISMATCH in message for message in messages):
        raise TransactionConflictError(
            "the endorsing peers do not have the same blocks yet: endorse again"
        ) from error
    if _code(error) is grpc.StatusCode.FAILED_PRECONDITION:
        raise LogUnavailableError(
            f"not enough organisations' peers are up to endorse ({_shown(messages)}): start the peers and "
            "chaincode services the endorsement policy needs; nothing was submitted"
        ) from error
    raise _other(error, f"the endorsement failed ({_shown(messages)}); nothing was submitted") from error


def _raise_refusal(error: grpc.RpcError, reports: list[tuple[str, str]], own: str) -> None:
    """Raise a refusal of the contract among the messages of peers, the own organisation's first."""
    found = [(msp, _REFUSAL.search(message)) for msp, message in reports or [(own, _text(error))]]
    for msp, refusal in sorted(found, key=lambda one: one[0] != own):
        if refusal is None:
            continue
        if msp in (own, "") or refusal[1] == "recorded":
            raise EntryRefusedError(refusal[1], refusal[2]) from error
        raise EntryRefusedElsewhereError(refusal[1], refusal[2]) from error


def raise_submit(error: grpc.RpcError, transaction: str) -> NoReturn:
    """Raise what a failed Submit means.

    Raises:
        LogUnavailableError, OutcomeUnknownError, LogError: as the module's table says.
    """
    code = _code(error)
    if code in _NOT_TAKEN:
        raise LogUnavailableError(
            f"the ordering service did not take the transaction ({_shown(_messages(error))}): ask again later"
        ) from error
    if code in _SETUP:
        raise _other(error, "") from error
    raise _unknown(error, transaction) from error


def raise_status(error: grpc.RpcError, transaction: str) -> NoReturn:
    """Raise what a failed CommitStatus means.

    Raises:
        OutcomeUnknownError, LogError: as the module's table says.
    """
    if _code(error) in _SETUP:
        raise _other(error, "") from error
    raise _unknown(error, transaction) from error


def _other(error: grpc.RpcError, text: str) -> LedgerError:
    code = _code(error)
    if code in _SETUP:
        return LogError(
            f"the peer answers {code.name} ({_shown(_messages(error))}): compare channel, chaincode, MSP and "
            "client certificate of the connection profile with the network's"
        )
    return LogUnavailableError(f"{text}: asking again later is safe")


def _unknown(error: grpc.RpcError, transaction: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"the outcome of a transaction is not known ({_code(error).name}): the same bytes again ask about it",
        transaction,
    )


def _messages(error: grpc.RpcError) -> list[str]:
    return [str(detail.message) for detail in details_of(error)] or [_text(error)]


def _shown(messages: list[str]) -> str:
    return "; ".join(message[:_SHOWN] for message in messages)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    return error.code()


def _text(error: grpc.RpcError) -> str:
    return error.details() or ""
