"""The one interface to an ordered ledger, whatever orders it, and the choice of an engine by URI.

    append(leaf) → receipt      returns when the entry is final
    verify(receipt, leaf)       offline, under the network's policy
    read(begin, end)            ordered leaves, final ones only
    head()                      the last cosigned checkpoint

``embedded:…`` is a sequencer on SQL (``ledger.sequencer.sequencer``), in this process or behind a node's
address;
``fabric:…`` a Fabric channel. Receipts, checkpoints, contract and replay are the same on all of them;
the caller hands ``open_backend`` one opener a scheme, so an engine that is not installed is
one that is not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ledger.errors import LogError
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.receipt import Receipt
from ledger.sequencer.sequencer import Sequencer


class Backend(Protocol):
    """An ordered ledger as its callers see it; safe for threads."""

    def append(self, leaf: bytes) -> Receipt:
        """Order a signed entry and wait until it is final; the same bytes again give the first receipt.

        Raises:
            EntryError, EntryRefusedError, QuorumError, LogError: as ``Sequencer.submit`` says.
        """
        ...

    def verify(self, receipt: Receipt, leaf: bytes) -> VerifiedCheckpoint:
        """Check that a receipt proves the leaf under the policy.

        Raises:
            ReceiptError: it does not.
        """
        ...

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        """Leaves begin … end − 1, as far as they are final."""
        ...

    def head(self) -> bytes | None:
        """Note of the last final checkpoint; None before the first."""
        ...


Opener: TypeAlias = Callable[[str], Backend]
"""Opens an engine from what follows the scheme's colon."""


def open_backend(uri: str, openers: Mapping[str, Opener]) -> Backend:
    """The back end a URI names.

    Args:
        uri: ``<scheme>:<rest>``, such as ``embedded:`` or ``fabric:peer0.example:7051/channel``.
        openers: scheme → opener.

    Raises:
        LogError: no colon, or a scheme that is not listed.
    """
    scheme, colon, rest = uri.partition(":")
    opener = openers.get(scheme)
    if not colon or opener is None:
        raise LogError(
            f"no ledger engine for this URI: it starts with one of {', '.join(sorted(openers))}, and a colon"
        )
    return opener(rest)


class EmbeddedBackend:
    """The embedded log in this process."""

    def __init__(self, sequencer: Sequencer, policy: Policy) -> None:
        self._sequencer = sequencer
        self._policy = policy

    def append(self, leaf: bytes) -> Receipt:
        """See ``Backend``."""
        return self._sequencer.submit(leaf)

    def verify(self, receipt: Receipt, leaf: bytes) -> VerifiedCheckpoint:
        """See ``Backend``."""
        return receipt.verify(self._policy, leaf)

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        """See ``Backend``."""
        return self._sequencer.read(begin, end)

    def head(self) -> bytes | None:
        """See ``Backend``."""
        return self._sequencer.head
