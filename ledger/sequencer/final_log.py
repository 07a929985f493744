"""What a log shows of itself, whichever engine orders it: its final part, and why nothing becomes final.

``embedded.Sequencer`` and ``fabric.assembler.Assembler`` are such logs; they differ in who orders, and so in
how an entry is submitted, what their threads do and what to do about a quarantine.
"""

from __future__ import annotations

import logging
import threading
from typing import Generic, Protocol, TypeVar

from ledger.contract.state import State
from ledger.errors import ForkError, LedgerError, LogError, QuarantineError, QuorumError
from ledger.formats.receipt import Receipt
from ledger.sequencer.finalizer import Finalizer, FinalizerSettings, SignedTree

log = logging.getLogger("hedui.log")


class OrderedTree(SignedTree, Protocol):
    """A signed tree with its entries and the state they led to."""

    @property
    def state(self) -> State:
        """The contract's state after the last entry."""
        ...

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1."""
        ...


L = TypeVar("L", bound=OrderedTree)


class FinalLog(Generic[L]):
    """A log and its finisher, to be read from any number of threads."""

    def __init__(self, log: L, finisher: Finalizer, settings: FinalizerSettings, remedy: str) -> None:
        """Args: ``remedy`` says what to do when the log is in quarantine."""
        self._log = log
        self._finisher = finisher
        self._settings = settings
        self._remedy = remedy
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._fatal: LogError | None = None

    @property
    def head(self) -> bytes | None:
        """Note of the last final checkpoint; None before the first."""
        final = self._finisher.final
        return final.note if final.size else None

    @property
    def size(self) -> int:
        """Number of final entries."""
        return self._finisher.final.size

    @property
    def ordered(self) -> int:
        """Number of entries under a signed head, final or not."""
        return self._log.head.size

    @property
    def state(self) -> State:
        """The contract's state after the last entry, for ``ledger.contract.view``."""
        return self._log.state

    @property
    def short(self) -> QuorumError | None:
        """Why nothing becomes final now, at the start gate or later; None while a quorum cosigns."""
        return self._finisher.awaited if self._finisher.short is None else self._finisher.short

    @property
    def quarantined(self) -> LogError | None:
        """Why the log signs nothing, or None."""
        return self._fatal

    def read(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as they are final; ask for some thousand at a time at most."""
        return self._log.leaves(begin, min(end, self.size))

    def receipt(self, index: int) -> Receipt:
        """The receipt of a final entry under the last checkpoint.

        Raises:
            MerkleError: no such final entry.
        """
        return self._finisher.receipts([index], self._finisher.final)[0]

    def _is_running(self) -> bool:
        return not self._stopping.is_set() and self._fatal is None

    def _quarantine(self, error: LedgerError) -> None:
        """Sign nothing from now on, let nobody wait, and keep what an error shows of two histories."""
        self._fatal = fatal = QuarantineError(f"{error}. {self._remedy}")
        self._ready.set()
        self._finisher.stop()
        self._release(fatal)
        if isinstance(error, ForkError) and error.notes:
            try:
                self._settings.evidence(*error.notes)
            except OSError:
                log.exception("the evidence of two histories could not be kept: free space in the home")

    def _release(self, fatal: LogError) -> None:
        """Tell those who wait for this log."""
