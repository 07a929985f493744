"""Conversion between errors and gRPC statuses, whose details are ``code|remedy``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc

from adapters.identifiers import hide_lone_identifiers
from node.errors import RefusalError, ServiceUnavailableError, error_code, status_name

MAX_DETAILS = 4000
_CODE = re.compile(r"[a-z0-9_]{1,64}")
"""Form of a code; a peer's codes are written into reports and the journal, so no other text is accepted."""
_OUT_OF_REACH = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


def grpc_status(error: Exception) -> grpc.StatusCode:
    """The gRPC status of one of this project's errors."""
    return grpc.StatusCode[status_name(error)]


def wire_text(error: Exception) -> str:
    """The details of an error's gRPC status, ``code|remedy``, without what looks like an identifier."""
    code = error_code(error)
    remedy = hide_lone_identifiers(str(error).removeprefix(code + ": "))
    return f"{code}|{remedy}"[:MAX_DETAILS]


def is_lost(error: grpc.RpcError) -> bool:
    """Whether a call failed because there was no connection, so that the peer did not answer it."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and "|" not in (error.details() or "")


def raise_from_wire(error: grpc.RpcError, peer: str) -> NoReturn:
    """Turn a failed call into one of this project's errors, which names the peer.

    Raises:
        ServiceUnavailableError: the peer, the ledger or its quorum could not be reached in time.
        RefusalError: the peer refused, with its code.
    """
    status = error.code()
    code, _, remedy = (error.details() or "").partition("|")
    if not _CODE.fullmatch(code):
        code, remedy = "malformed", ""
    named = remedy if remedy.startswith((f"{peer} ", f"{peer}: ")) else f"{peer}: {remedy}"
    if status in _OUT_OF_REACH:
        if remedy:
            raise ServiceUnavailableError(named, code) from error
        raise ServiceUnavailableError(
            f"{peer} does not answer: check that its node is running and can be reached"
        ) from error
    if not remedy:
        raise ServiceUnavailableError(f"{peer} failed ({status.name}): see its log") from error
    raise RefusalError(code, named) from error


@contextmanager
def calling(peer: str) -> Iterator[None]:
    """Context of a call to a member: a gRPC error becomes one of this project's errors, which names the peer.

    Raises:
        ServiceUnavailableError: the peer, the ledger or its quorum could not be reached in time.
        RefusalError: the peer refused, with its code.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise_from_wire(error, peer)
