"""Errors of the ledger package, drawn as a tree.

    LedgerError
    ├── CanonicalError                bytes that are not canonical JSON (RFC 8785 subset)
    ├── MerkleError                   a Merkle proof, index or size that does not hold
    ├── NoteError                     a signed note, key or signature that is malformed or false
    │   └── CheckpointError           a note whose text is no checkpoint of this log
    ├── PolicyError                   a trust policy that is malformed
    ├── QuorumError                   too few witnesses cosigned
    ├── ReceiptError                  a receipt that does not prove its leaf
    ├── TileError                     a tile, bundle or path that is malformed
    │   └── TileMissingError          a file of a public log that is not there
    ├── WitnessError                  a witness's request, answer or store that breaks the protocol
    ├── EntryError                    a leaf that is no well-formed, signed entry
    ├── EntryRefusedError             an entry that the contract refuses (with ``code`` and ``remedy``)
    ├── TimestampError                an RFC 3161 time-stamp that does not hold
    ├── SplitViewError                evidence of a split view that is malformed or shows nothing
    ├── HttpError                     an HTTP exchange without a usable answer
    │   ├── HttpUnreachableError      no whole answer came; a later attempt may succeed
    │   ├── HttpUrlError              an address that is no http(s) URL
    │   └── HttpAnswerError           an answer that is refused
    ├── VerificationError             an offline check that fails (``check`` and ``place`` of the instance)
    ├── ProfileError                  a Fabric connection profile that cannot be used
    └── LogError                      the log itself
        ├── ForkError                 two different trees, or a genesis entry that is not the pinned one
        ├── RollbackError             a source offers an older checkpoint than one seen before
        ├── MirrorMissingError        a folder that holds something else than a mirror
        ├── QuarantineError           a start was refused: a witness knows a larger or different tree
        ├── TransactionConflictError  another transaction came in between: endorse again
        └── LogUnavailableError       the log cannot answer now; asking again later is safe
            └── OutcomeUnknownError   handed on to be ordered, outcome not known

Each class carries ``code``, the stable name that crosses the wire; the text of an instance names the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence


class LedgerError(Exception):
    """Root of every error this package raises."""

    code = "ledger_error"


class CanonicalError(LedgerError):
    """A value or bytes outside the canonical JSON this ledger uses."""

    code = "canonical"


class MerkleError(LedgerError):
    """An inclusion or consistency proof that does not verify, or an index or size out of range."""

    code = "merkle"


class NoteError(LedgerError):
    """A signed note, a verifier key or a signature line that is malformed, unknown or false."""

    code = "note"


class CheckpointError(NoteError):
    """A note text that is no checkpoint, or a checkpoint of another log."""

    code = "checkpoint"


class PolicyError(LedgerError):
    """A trust policy that is malformed or outside the form this network uses."""

    code = "policy"


class QuorumError(LedgerError):
    """Fewer witnesses than the quorum cosigned.

    Attributes:
        missing: the names of the witnesses that did not answer or did not cosign.
    """

    code = "quorum"

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class ReceiptError(LedgerError):
    """A tlog-proof that is malformed or does not prove the given leaf."""

    code = "receipt"


class TileError(LedgerError):
    """A tile, entry bundle or tile path that is malformed."""

    code = "tile"


class TileMissingError(TileError):
    """A file of a public log that is not there, or not any more."""

    code = "missing"


class WitnessError(LedgerError):
    """A witness's request, answer or stored state that breaks tlog-witness."""

    code = "witness"


class EntryError(LedgerError):
    """A leaf that is not a well-formed entry of this network."""

    code = "entry"


class EntryRefusedError(LedgerError):
    """The contract refuses an entry.

    Attributes:
        code: stable snake_case reason; hides the class attribute.
        remedy: what the submitter can do about it, in plain words.
    """

    code = "refused"

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class EntryRefusedElsewhereError(EntryRefusedError):
    """Another organisation's peer refuses what the own peer accepts: it may only be behind by a block."""


class TimestampError(LedgerError):
    """A time-stamp, or an authority's certificates, that are malformed or do not hold."""

    code = "timestamp"


class SplitViewError(LedgerError):
    """Evidence of a split view that is malformed, or whose checkpoints do not contradict one another."""

    code = "evidence"


class HttpError(LedgerError):
    """An HTTP exchange that gave no usable answer."""

    code = "http"


class HttpUnreachableError(HttpError):
    """No whole answer came: no connection, a time-out, a broken connection; a later attempt may succeed."""

    code = "http_unreachable"


class HttpUrlError(HttpError):
    """An address that is no http(s) URL."""

    code = "http_url"


class HttpAnswerError(HttpError):
    """An answer that is refused: too long, in a content coding, or redirected too often."""

    code = "http_answer"


class VerificationError(LedgerError):
    """A check of the offline verifier fails.

    Attributes:
        check: stable name of the check that failed, such as ``tile`` or ``quorum``.
        place: the file, relative to the folder, or the index that shows it.
        reason: what differs.
    """

    code = "verification"

    def __init__(self, check: str, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}" if check == place else f"{check} at {place}: {reason}")
        self.check = check
        self.place = place
        self.reason = reason


class ProfileError(LedgerError):
    """A connection profile of the Fabric engine that is missing something, or has a wrong value."""

    code = "profile"


class LogError(LedgerError):
    """The log, its database or its public folder cannot go on."""

    code = "log"


class ForkError(LogError):
    """Two trees of one origin that do not extend one another, or another genesis than the pinned one.

    Attributes:
        notes: two checkpoints, both signed by the log, that cannot belong to one history; empty where there
            are none to show.
    """

    code = "fork"

    def __init__(self, message: str, notes: tuple[bytes, ...] = ()) -> None:
        super().__init__(message)
        self.notes = notes


class RollbackError(LogError):
    """A source offers an older checkpoint of the same history than one that was seen before."""

    code = "rollback"


class MirrorMissingError(LogError):
    """A folder that is to become a mirror, and holds something else."""

    code = "no_mirror"


class QuarantineError(LogError):
    """The log may not sign until an operator has recovered it from a mirror."""

    code = "quarantined"


class LogUnavailableError(LogError):
    """The log cannot answer now, for want of witnesses, a start gate or a clean stop; ask again later."""

    code = "unavailable"


class TransactionConflictError(LogError):
    """A transaction read what another one changed before its commit: it had no effect, endorse it again."""

    code = "raced"


class OutcomeUnknownError(LogUnavailableError):
    """A transaction was handed on and its outcome is not known: ask about it again, never take it as failed.

    Attributes:
        transaction: its id, to ask with.
    """

    code = "outcome_unknown"

    def __init__(self, message: str, transaction: str) -> None:
        super().__init__(message)
        self.transaction = transaction
