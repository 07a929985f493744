"""The final part of a log and its run state, whichever engine orders its entries.

``FinalLog`` is a part of ``ledger.sequencer.sequencer.Sequencer`` and ``ledger.fabric.assembler.Assembler``,
which differ in who orders, in how an entry is submitted and in what their threads do. It reads the final
entries, runs the threads of the log, and puts the log in quarantine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ledger.contract.state import State
from ledger.errors import ForkError, LedgerError, LogError, QuarantineError, QuorumError
from ledger.formats.note import NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.sequencer.finalizer import Finalizer, FinalizerSettings, SignedTree
from ledger.sequencer.submissions import Submissions
from ledger.sequencer.witness_rounds import WitnessClient

log = logging.getLogger("hedui.log")


class LocalLog(Protocol):
    """The log at the member with the log key: the ``Sequencer``, or the ``Assembler`` on Fabric."""

    def start(self) -> None:
        """Start the threads; the start gate comes first."""
        ...

    def stop(self) -> None:
        """Refuse new entries, let the threads end what they are at, and wait for them."""
        ...

    def wait_ready(self, seconds: float) -> None:
        """Wait until the start gate is passed.

        Raises:
            QuarantineError: the gate showed another tree.
            LogUnavailableError: not passed within ``seconds``; too few witnesses have answered.
        """
        ...

    def submit(self, leaf: bytes) -> Receipt:
        """Append an entry and wait until it is final; its receipt.

        Raises:
            EntryError: the leaf is no entry.
            EntryRefusedError: the contract does not allow it.
            QuorumError: too few witnesses; the entry may become final later.
            LogUnavailableError: not final in time, or the log is stopping. The same bytes again are safe.
            QuarantineError: the log may not sign.
        """
        ...

    @property
    def head(self) -> bytes | None:
        """Note of the last final checkpoint; None before the first."""
        ...

    @property
    def size(self) -> int:
        """Number of final entries."""
        ...

    @property
    def ordered(self) -> int:
        """Number of entries under a signed head, final or not."""
        ...

    @property
    def state(self) -> State:
        """The contract's state after the last entry, for ``ledger.contract.view``."""
        ...

    @property
    def quorum_error(self) -> QuorumError | None:
        """Why nothing becomes final now, at the start gate or later; None while a quorum cosigns."""
        ...

    @property
    def quarantined(self) -> LogError | None:
        """The reason for which the log is in quarantine and signs nothing, or None."""
        ...

    def read(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as they are final; ask for some thousand at a time at most."""
        ...

    def receipt(self, index: int) -> Receipt:
        """The receipt of a final entry under the last checkpoint.

        Raises:
            MerkleError: no such final entry.
        """
        ...


class OrderedTree(SignedTree, Protocol):
    """A signed tree with its entries and the state they led to."""

    @property
    def state(self) -> State:
        """The contract's state after the last entry."""
        ...

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1."""
        ...


@dataclass(frozen=True)
class LogParts:
    """The parts of a log that do not depend on the engine that orders it.

    Attributes:
        signer: the log key; its name is the policy's origin.
        policy: log key, witnesses and quorum.
        witnesses: clients by the policy's witness names.
        public: the public folder.
        settings: times and hooks.

    Raises:
        LogError: the signer's key is not the policy's log key.
    """

    signer: NoteSigner
    policy: Policy
    witnesses: Mapping[str, WitnessClient]
    public: Path
    settings: FinalizerSettings = field(default_factory=FinalizerSettings)

    def __post_init__(self) -> None:
        if self.signer.verifier != self.policy.log:
            raise LogError("the log key is not the one the policy names: give the key of this network's log")


class FinalLog:
    """A log with its finalizer and its threads. Any thread may read it; the log's own threads work in it."""

    def __init__(
        self,
        tree: OrderedTree,
        parts: LogParts,
        submissions: Submissions,
        *,
        remedy: str,
        on_quarantine: Callable[[LogError], None],
    ) -> None:
        """Prepare the final part of a log; nothing is signed or sent before ``start``.

        Args:
            tree: what the engine has ordered and signed.
            parts: of the log.
            submissions: those who wait for a receipt.
            remedy: what to do when the log is in quarantine.
            on_quarantine: called once, in the thread that found the reason, to release those who wait.

        Raises:
            WitnessError: a client for a witness the policy does not list.
        """
        self._tree = tree
        self._settings = parts.settings
        self._remedy = remedy
        self._on_quarantine = on_quarantine
        self.finalizer = Finalizer(
            tree, parts.policy, parts.witnesses, parts.public, submissions, parts.settings
        )
        # Events, safe for any thread. `stopping` is set by the owner's thread in `end` and never cleared;
        # `_ready` is set by the finalizing thread when the start gate is passed, and by `quarantine`.
        self.stopping = threading.Event()
        self._ready = threading.Event()
        # Written once, under `_lock`, by the first of the log's threads that calls `quarantine`; read by any
        # thread without the lock.
        self._lock = threading.Lock()
        self._fatal: LogError | None = None
        # Written by the owner's thread in `start`, read by it in `join`.
        self._threads: list[threading.Thread] = []

    @property
    def head(self) -> bytes | None:
        """Note of the last final checkpoint; None before the first."""
        final = self.finalizer.final
        return final.note if final.size else None

    @property
    def size(self) -> int:
        """Number of final entries."""
        return self.finalizer.final.size

    @property
    def ordered(self) -> int:
        """Number of entries under a signed head, final or not."""
        return self._tree.head.size

    @property
    def state(self) -> State:
        """The contract's state after the last entry."""
        return self._tree.state

    @property
    def quorum_error(self) -> QuorumError | None:
        """Why nothing becomes final now, at the start gate or later; None while a quorum cosigns."""
        error = self.finalizer.quorum_error
        return self.finalizer.gate_error if error is None else error

    @property
    def quarantined(self) -> LogError | None:
        """The reason for which the log is in quarantine and signs nothing, or None."""
        return self._fatal

    def read(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as they are final."""
        return self._tree.leaves(begin, min(end, self.size))

    def receipt(self, index: int) -> Receipt:
        """The receipt of a final entry under the last checkpoint.

        Raises:
            MerkleError: no such final entry.
        """
        return self.finalizer.receipts([index], self.finalizer.final)[0]

    @property
    def is_running(self) -> bool:
        """Whether the log's threads go on: it is neither stopping nor in quarantine."""
        return not self.stopping.is_set() and self._fatal is None

    def start(self, work: Mapping[str, Callable[[], None]]) -> None:
        """Start the witnesses' threads, then one thread for each piece of work, by its name.

        A thread whose work raises, or ends while the log is running, puts the log in quarantine.
        """
        self.finalizer.start()
        for name, run in work.items():
            thread = threading.Thread(target=self._guard, args=(run,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Ask the threads to end what they are at."""
        # In this order: the finalizer's wake-up must find `stopping` set, or its thread would wait again.
        self.stopping.set()
        self.finalizer.stop()

    def join(self) -> None:
        """Wait for the threads after ``end``, and close the public folder."""
        for thread in self._threads:
            thread.join()
        self.finalizer.close()

    def finalize(self) -> None:
        """The finalizing thread's work: pass the start gate, then make one round after another.

        Raises:
            ForkError: a witness has seen a larger or different tree under this log's signature.
        """
        if self.finalizer.gate():
            self._ready.set()
        while self.is_running:
            self.finalizer.work()

    def wait_gate(self) -> bool:
        """For the other threads of the log: wait for the start gate; False when stopped before."""
        while not self._ready.wait(0.1):
            if self.stopping.is_set():
                return False
        return True

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the start gate is passed; False when it is not within ``seconds``.

        Raises:
            QuarantineError: the log is in quarantine.
        """
        ready = self._ready.wait(seconds)
        if self._fatal is not None:
            raise self._fatal
        return ready

    def quarantine(self, error: LedgerError) -> None:
        """Sign nothing from now on, release those who wait, and keep the evidence that an error carries."""
        fatal = QuarantineError(f"{error}. {self._remedy}")
        with self._lock:
            is_first = self._fatal is None
            if is_first:
                self._fatal = fatal
        if is_first:
            self._ready.set()
            self.finalizer.stop()
            self._on_quarantine(fatal)
        if isinstance(error, ForkError) and error.notes:
            try:
                self._settings.evidence(*error.notes)
            except OSError:
                log.exception("the evidence of two histories could not be kept: free space in the home")

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; a thread that ends while the log is running leaves the log in quarantine."""
        try:
            work()
        except LedgerError as error:
            if self.is_running or isinstance(error, ForkError):
                self.quarantine(error)
        finally:
            if self.is_running:
                text = "a thread of the log has failed; its trace is in this node's output"
                self.quarantine(LogError(text))
