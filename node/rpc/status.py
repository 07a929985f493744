"""Errors across the wire: a gRPC status whose details are ``code|remedy``, both ends in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc

from node.errors import RefusalError, ServiceUnavailableError, error_code, status_name

MAX_DETAILS = 4000
_CODE = re.compile(r"[a-z0-9_]{1,64}")
"""Codes of a peer come into reports and the journal: nothing else is taken from the wire."""
_OUT_OF_REACH = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


def grpc_status(error: Exception) -> grpc.StatusCode:
    """gRPC status of an error of ours."""
    return grpc.StatusCode[status_name(error)]


def wire_text(error: Exception) -> str:
    """``code|remedy``: what a gRPC status carries as its details."""
    code = error_code(error)
    return f"{code}|{str(error).removeprefix(code + ': ')}"[:MAX_DETAILS]


def is_lost(error: grpc.RpcError) -> bool:
    """Whether a call failed for want of a connection: the peer itself has said nothing."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and "|" not in (error.details() or "")


def raise_from_wire(error: grpc.RpcError, peer: str) -> NoReturn:
    """Turn a failed call into an error of ours that names the peer.

    Raises:
        ServiceUnavailableError: the peer, the ledger or its quorum could not be reached in time.
        RefusalError: the peer refused, with its code.
    """
    status = error.code()
    code, _, remedy = (error.details() or "").partition("|")
    if not _CODE.fullmatch(code):
        code, remedy = "malformed", ""
    if status in _OUT_OF_REACH:
        if remedy:
            unavailable = ServiceUnavailableError(f"{peer}: {remedy}")
            unavailable.code = code
            raise unavailable from error
        raise ServiceUnavailableError(
            f"{peer} does not answer: see that its node runs and can be reached"
        ) from error
    if not remedy:
        raise ServiceUnavailableError(f"{peer} failed ({status.name}): see its log") from error
    raise RefusalError(code, f"{peer}: {remedy}") from error


@contextmanager
def calling(peer: str) -> Iterator[None]:
    """Make a call to a member: an error of gRPC inside the block becomes one of ours that names the peer.

    Raises:
        ServiceUnavailableError: the peer, the ledger or its quorum could not be reached in time.
        RefusalError: the peer refused, with its code.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise_from_wire(error, peer)
