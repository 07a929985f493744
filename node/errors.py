"""Errors of the application, and the table of their exit statuses and gRPC statuses.

    NodeError
    ├── UsageError               a command line that is not valid; exit 2
    ├── ConfigurationError       node.toml, network.json or a home folder that cannot be used; exit 2
    ├── ServiceUnavailableError  a node, the ledger or a quorum of witnesses cannot be reached; exit 3
    ├── RefusalError             a role's refusal of a request, with the code of the reason; exit 1
    ├── ReportError              a report that does not verify; exit 1
    ├── JournalError             a member's exported journal that does not verify; exit 1
    └── StoreError               the node's own database or files; exit 3
        └── BackupError          a file that is not a whole backup; exit 1

A peer gets the code and the remedy, never a cause that depends on a secret: see ``node.rpc.status``. This
module does not import gRPC, whose environment must be set before its first import.
"""

from __future__ import annotations

from adapters.errors import AdapterError
from keys.errors import KeysError, SealedFileDamagedError, WrongFilePassphraseError
from ledger.errors import (
    EntryRefusedError,
    ForkError,
    LedgerError,
    LogError,
    MirrorMissingError,
    QuorumError,
    RollbackError,
)
from protocols.errors import ProtocolError

EXIT_OK, EXIT_INVALID, EXIT_USAGE, EXIT_UNAVAILABLE = 0, 1, 2, 3
EXIT_DIFFERENT = 4
"""A reconciliation was completed and found differences; distinct from an invalid input."""


class NodeError(Exception):
    """Root of the application's errors."""

    code = "node_error"


class UsageError(NodeError):
    """A command line that is not valid."""

    code = "usage"


class ConfigurationError(NodeError):
    """A configuration or home folder that cannot be used."""

    code = "configuration"


class ServiceUnavailableError(NodeError):
    """A node, the ledger or a quorum of witnesses cannot be reached.

    Attributes:
        code: stable reason, as it crosses the wire.
    """

    code = "unavailable"

    def __init__(self, remedy: str, code: str = "unavailable") -> None:
        super().__init__(remedy)
        self.code = code


class RefusalError(NodeError):
    """A role refuses a request.

    Attributes:
        code: stable name of the reason; it is sent to the peer and, for some reasons, recorded on the ledger.
        remedy: what the caller can do about it.
    """

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class ReportError(NodeError):
    """A report that does not verify."""

    code = "report"


class JournalError(NodeError):
    """A member's exported journal that does not verify."""

    code = "journal"


class StoreError(NodeError):
    """The node's database or its files cannot be used."""

    code = "store"


class BackupError(StoreError):
    """A file that is not a backup, or not a whole one."""

    code = "backup"


_STATUS: tuple[tuple[type[Exception], str, int], ...] = (
    (UsageError, "INVALID_ARGUMENT", EXIT_USAGE),
    (ConfigurationError, "FAILED_PRECONDITION", EXIT_USAGE),
    (ServiceUnavailableError, "UNAVAILABLE", EXIT_UNAVAILABLE),
    (RefusalError, "PERMISSION_DENIED", EXIT_INVALID),
    (ReportError, "INVALID_ARGUMENT", EXIT_INVALID),
    (BackupError, "INTERNAL", EXIT_INVALID),
    (StoreError, "INTERNAL", EXIT_UNAVAILABLE),
    (NodeError, "INTERNAL", EXIT_INVALID),
    (EntryRefusedError, "FAILED_PRECONDITION", EXIT_INVALID),
    (QuorumError, "UNAVAILABLE", EXIT_UNAVAILABLE),
    (ForkError, "UNAVAILABLE", EXIT_INVALID),
    (RollbackError, "UNAVAILABLE", EXIT_INVALID),
    (MirrorMissingError, "FAILED_PRECONDITION", EXIT_USAGE),
    (LogError, "UNAVAILABLE", EXIT_UNAVAILABLE),
    (LedgerError, "INVALID_ARGUMENT", EXIT_INVALID),
    (ProtocolError, "INVALID_ARGUMENT", EXIT_INVALID),
    (AdapterError, "INVALID_ARGUMENT", EXIT_INVALID),
    (SealedFileDamagedError, "FAILED_PRECONDITION", EXIT_INVALID),
    (WrongFilePassphraseError, "FAILED_PRECONDITION", EXIT_INVALID),
    (KeysError, "FAILED_PRECONDITION", EXIT_USAGE),
)

KNOWN_ERRORS: tuple[type[Exception], ...] = (NodeError, LedgerError, ProtocolError, AdapterError, KeysError)
"""Roots of this project's errors, which become statuses; any other exception is a defect."""


def status_name(error: Exception) -> str:
    """Name of the gRPC status of one of this project's errors."""
    return next((status for kind, status, _ in _STATUS if isinstance(error, kind)), "UNKNOWN")


def exit_code(error: Exception) -> int:
    """Exit status of a command that ends with this error: 1 invalid, 2 usage, 3 not available."""
    return next((code for kind, _, code in _STATUS if isinstance(error, kind)), EXIT_INVALID)


def error_code(error: Exception) -> str:
    """Stable code of one of this project's errors."""
    return str(getattr(error, "code", "internal"))
