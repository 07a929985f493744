r"""What a peer's error means: from a gRPC status with its details to one of this package's errors.

A failed Gateway call carries google.rpc.Status in the trailer ``grpc-status-details-bin``; its details are
one ``gateway.ErrorDetail`` {address, msp_id, message} for each endorser or orderer that failed. What they
mean:

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
from typing import Any, NoReturn

import grpc
from fabric_protos.gateway import gateway_pb2
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
from ledger.wire import rpc_status_pb2

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
