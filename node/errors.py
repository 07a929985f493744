"""Errors of the application and the one table that turns every error into a gRPC status and an exit code.

    NodeError
    ├── UsageError            a command cannot be understood; exit 2
    ├── ConfigurationError    node.toml, network.json or a home folder is not as it should be; exit 2
    ├── ServiceUnavailable    a node, the ledger or a quorum is out of reach; exit 3
    ├── Refusal               a role refuses a request, with the reason's code; exit 1
    │   └── CoverageError     a source does not cover the question
    ├── ReportError           a report that does not verify; exit 1
    └── StoreError            the node's own database or files; exit 3

What crosses the wire is a code and its remedy, never a secret-dependent cause: ``wire_error`` builds both ends.
"""

from __future__ import annotations

from typing import NoReturn

import grpc

from adapters.errors import AdapterError
from keys.errors import KeysError
from ledger.errors import LedgerError, LogError, QuorumError, Refused
from protocols.errors import ProtocolError

EXIT_OK, EXIT_INVALID, EXIT_USAGE, EXIT_UNAVAILABLE = 0, 1, 2, 3


class NodeError(Exception):
    """Root of the application's errors."""

    code = "node_error"


class UsageError(NodeError):
    """A command line that cannot be understood."""

    code = "usage"


class ConfigurationError(NodeError):
    """A configuration or home folder that is not as it should be."""

    code = "configuration"


class ServiceUnavailable(NodeError):
    """A node, the ledger or a quorum of witnesses is out of reach."""

    code = "unavailable"


class Refusal(NodeError):
    """A role refuses a request.

    Attributes:
        code: stable reason, as it crosses the wire and, where ``ledger.md`` says so, the ledger.
    """

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class CoverageError(Refusal):
    """A source does not cover a question: down, too old, unpublished, or another region."""


class ReportError(NodeError):
    """A report that does not verify."""

    code = "report"


class StoreError(NodeError):
    """The node's database or files."""

    code = "store"


_STATUS: tuple[tuple[type[Exception], grpc.StatusCode, int], ...] = (
    (UsageError, grpc.StatusCode.INVALID_ARGUMENT, EXIT_USAGE),
    (ConfigurationError, grpc.StatusCode.FAILED_PRECONDITION, EXIT_USAGE),
    (ServiceUnavailable, grpc.StatusCode.UNAVAILABLE, EXIT_UNAVAILABLE),
    (Refusal, grpc.StatusCode.PERMISSION_DENIED, EXIT_INVALID),
    (ReportError, grpc.StatusCode.INVALID_ARGUMENT, EXIT_INVALID),
    (StoreError, grpc.StatusCode.INTERNAL, EXIT_UNAVAILABLE),
    (NodeError, grpc.StatusCode.INTERNAL, EXIT_INVALID),
    (Refused, grpc.StatusCode.FAILED_PRECONDITION, EXIT_INVALID),
    (QuorumError, grpc.StatusCode.UNAVAILABLE, EXIT_UNAVAILABLE),
    (LogError, grpc.StatusCode.UNAVAILABLE, EXIT_UNAVAILABLE),
    (LedgerError, grpc.StatusCode.INVALID_ARGUMENT, EXIT_INVALID),
    (ProtocolError, grpc.StatusCode.INVALID_ARGUMENT, EXIT_INVALID),
    (AdapterError, grpc.StatusCode.INVALID_ARGUMENT, EXIT_INVALID),
    (KeysError, grpc.StatusCode.FAILED_PRECONDITION, EXIT_USAGE),
)

KNOWN_ERRORS: tuple[type[Exception], ...] = (NodeError, LedgerError, ProtocolError, AdapterError, KeysError)
"""Every error of ours: what an edge turns into a status; anything else is a defect and stays a traceback."""


def grpc_status(error: Exception) -> grpc.StatusCode:
    """gRPC status of an error of ours."""
    return next((status for kind, status, _ in _STATUS if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def exit_code(error: Exception) -> int:
    """Exit status of a command that ends with this error: 1 invalid, 2 usage, 3 not available."""
    return next((code for kind, _, code in _STATUS if isinstance(error, kind)), EXIT_INVALID)


def error_code(error: Exception) -> str:
    """Stable code of an error of ours."""
    return str(getattr(error, "code", "internal"))


def wire_text(error: Exception) -> str:
    """``code|remedy``: what a gRPC status carries as its details."""
    code = error_code(error)
    text = str(error)
    return f"{code}|{text.removeprefix(code + ': ')}"


def raise_from_wire(error: grpc.RpcError, peer: str) -> NoReturn:
    """Turn a failed call into an error of ours that names the peer.

    Raises:
        ServiceUnavailable: the peer, the ledger or its quorum could not be reached in time.
        Refusal: the peer refused, with its code.
    """
    status = error.code()
    code, _, remedy = (error.details() or "").partition("|")
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        if remedy:
            unavailable = ServiceUnavailable(f"{peer}: {remedy}")
            unavailable.code = code
            raise unavailable from error
        raise ServiceUnavailable(f"{peer} does not answer: see that its node runs and can be reached") from error
    if not remedy:
        raise ServiceUnavailable(f"{peer} failed ({status.name}): see its log") from error
    raise Refusal(code, f"{peer}: {remedy}") from error
