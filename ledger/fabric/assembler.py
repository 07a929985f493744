"""The assembler: the member with the log key signs the log it derives, has it cosigned, and publishes it.

    own peer's blocks ─▶ derived log ─▶ sign ─▶ witnesses ─▶ tiles ─▶ publish
                         (every node)   └──────── ledger.sequencer.finalizer ────────┘

Nobody sequences here: the assembler decides neither what is an entry nor its place, it only says, under
the log key, what its own peer shows. A witness cosigns when its own peer shows the same
(``ledger.fabric.checkpoints``). So an assembler that lies or stops can hold receipts up, and nothing else;
its key can be given to another member, who derives the same log from its own blocks.

Rules
- A head is kept in the database before anybody sees it, one text a size.
- Start gate as on the embedded log: nothing is signed before n − k + 1 witnesses have told what they saw
  last. One that has seen more than is derived here yet is waited for: the blocks bring it. One that has
  seen another tree of a size that is derived here puts the log in quarantine: peers disagree, or the key
  is used elsewhere.
- An idle head gets fresh cosignatures, over the same text.
- Refused entries are never ordered on Fabric and leave no ``query.refused``; void ones have their place
  in the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger import contract
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.errors import ForkError, LedgerError, LogError, LogUnavailableError, NoteError
from ledger.fabric.backend import FabricBackend
from ledger.fabric.derived import SIGNED, DerivedLog
from ledger.fabric.profile import ConnectionProfile
from ledger.fault_points import Point
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import Tile
from ledger.sequencer.final_log import FinalLog
from ledger.sequencer.finalizer import Finalizer, FinalizerSettings
from ledger.sequencer.public_folder import PublicFolder
from ledger.sequencer.submissions import Submissions
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.storage.database import writing
from ledger.storage.tables import LOG
from ledger.storage.tree_store import EMPTY_TREE_HEAD, TreeHead, TreeStore

REMEDY = (
    "The log is in quarantine and signs nothing. Compare the validation flags of the members' peers, "
    "and see that nobody else holds the log key; then start this node again"
)


class SignedLog:
    """The derived log under the log key; one thread signs, any number read."""

    def __init__(self, database: Engine, derived: DerivedLog, signer: NoteSigner) -> None:
        self._database = database
        self._derived = derived
        self._signer = signer
        self._store = TreeStore(LOG)
        with database.connect() as connection:
            self._kept = self._store.head(connection, SIGNED)

    @property
    def head(self) -> TreeHead:
        """The last signed head; size 0 and no note before the first."""
        return EMPTY_TREE_HEAD if self._kept is None else self._kept

    @property
    def state(self) -> State:
        """The contract's state after the last derived leaf."""
        return self._derived.state

    def sign(self) -> bool:
        """Sign the derived head where it is larger; whether it was.

        Raises:
            ForkError: what was signed last is not in the derived log: the own peer shows other blocks now.
            LogError: another process signs this log.
        """
        derived, last = self._derived.head, self.head
        if derived.size <= last.size:
            return False
        if self._derived.root_at(last.size) != last.root:
            raise ForkError(f"the own peer shows another log than was signed at size {last.size}")
        checkpoint = Checkpoint(self._signer.verifier.name, derived.size, derived.root)
        note = sign_checkpoint(checkpoint, self._signer).format()
        new = TreeHead(derived.size, derived.root, note, derived.time)
        with writing(self._database) as connection:
            self._store.swap_head(connection, SIGNED, self._kept, new)
        self._kept = new
        return True

    @property
    def derived_size(self) -> int:
        """Leaves derived so far, signed or not."""
        return self._derived.size

    def wait_for(self, size: int, seconds: float) -> None:
        """Wait until that many leaves are derived, or the time is over."""
        self._derived.wait_for_size(size, seconds)

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Derived leaves begin … end − 1."""
        return self._derived.leaves(begin, end)

    def content(self, tile: Tile) -> bytes:
        """See ``ledger.sequencer.finalizer.SignedTree``."""
        return self._derived.content(tile)

    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        """See ``ledger.sequencer.finalizer.SignedTree``."""
        return self._derived.inclusion_paths(positions, size)

    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        """See ``ledger.sequencer.finalizer.SignedTree``."""
        return self._derived.consistency_path(old, new)

    def judge(self, policy: Policy, note: bytes) -> None:
        """See ``ledger.sequencer.finalizer.SignedTree``.

        Raises:
            NoteError: not signed by the log, or more than is derived here yet: nothing to judge by.
            ForkError: another tree.
        """
        _, seen = policy.verify_log(note)
        if seen.size > self._derived.size:
            raise NoteError(
                f"a witness has seen {seen.size} entries, the own peer shows {self._derived.size}"
            )
        if self._derived.root_at(seen.size) != seen.root:
            text = f"a witness has seen another tree of {seen.size} entries than the own peer shows"
            raise ForkError(text, (self.head.note, note))


class Assembler(FinalLog[SignedLog]):
    """The log of a network on Fabric, at the member with its key; of the shape of ``embedded.Sequencer``."""

    def __init__(  # noqa: PLR0913  those of embedded.Sequencer, and the profile
        self,
        profile: ConnectionProfile,
        database: Engine,
        signer: NoteSigner,
        policy: Policy,
        witnesses: Mapping[str, WitnessClient],
        public: Path,
        now: Callable[[], int],
        *,
        admit: Apply = contract.apply,
        settings: FinalizerSettings | None = None,
    ) -> None:
        """Prepare the log; nothing is signed or sent before ``start``.

        Args:
            profile: the own peer and identity.
            database, signer, policy, witnesses, public, now, settings: as ``embedded.Sequencer`` takes them.
            admit: the contract, for the replay.

        Raises:
            LogError: the signer's key is not the policy's log key.
            WitnessError: a client for a witness the policy does not list.
        """
        if signer.verifier != policy.log:
            raise LogError("the log key is not the one the policy names: give the key of this network's log")
        chosen = FinalizerSettings() if settings is None else settings
        self.backend = FabricBackend(profile, database, policy, lambda: self.head, now, apply=admit)
        log = SignedLog(database, self.backend.derived, signer)
        finisher = Finalizer(log, policy, witnesses, public, Submissions(), chosen)
        super().__init__(log, finisher, chosen, REMEDY)
        self._policy = policy
        self._public = PublicFolder(public)
        self._threads = [
            threading.Thread(
                target=self._guarded, args=(self._finish,), name="assembler-finish", daemon=True
            ),
            threading.Thread(target=self._guarded, args=(self._sign,), name="assembler-sign", daemon=True),
        ]

    def start(self) -> None:
        """Follow the own peer, and start the threads; the start gate comes first."""
        self.backend.start()
        self._finisher.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads end what they are at, and wait for them."""
        self._stopping.set()
        self._finisher.stop()
        self.backend.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._finisher.close()

    def wait_ready(self, seconds: float) -> None:
        """Wait until the start gate is passed.

        Raises:
            QuarantineError: it showed another tree.
            LogError: the own peer is not followed any more.
            LogUnavailableError: too few witnesses have answered, or the own peer lags behind what they saw.
        """
        self._ready.wait(seconds)
        if self._fatal is not None:
            raise self._fatal
        if self.backend.fault is not None:
            raise self.backend.fault
        if not self._ready.is_set():
            raise LogUnavailableError(
                "too few witnesses have answered after the start, or the own peer has not caught up "
                "with what they saw or this node has published: start their nodes and the peer"
            )

    def submit(self, leaf: bytes) -> Receipt:
        """Append an entry and wait until it is final; see ``FabricBackend.append``."""
        if self._fatal is not None:
            raise self._fatal
        if self._finisher.short is not None:
            raise self._finisher.short
        return self.backend.append(leaf)

    def _finish(self) -> None:
        """Wait until the published log is derived here too, pass the gate, then work."""
        published = self._published_size()
        while self._log.derived_size < published:
            if self._stopping.is_set():
                return
            self._log.wait_for(published, 0.5)
        if self._finisher.gate():
            self._ready.set()
        while self._is_running():
            self._finisher.work()

    def _published_size(self) -> int:
        """Size of the checkpoint in the public folder; 0 where there is none signed by this log."""
        note = self._public.checkpoint()
        try:
            return 0 if note is None else self._policy.verify_log(note)[1].size
        except NoteError:
            return 0

    def _sign(self) -> None:
        while not self._ready.wait(0.1):
            if self._stopping.is_set():
                return
        while self._is_running():
            if self.backend.fault is not None:
                raise self.backend.fault
            try:
                if self._log.sign():
                    self._settings.observe(Point.SIGNED)
                    self._finisher.wake()
            except (SQLAlchemyError, OSError):
                self._stopping.wait(self._settings.retry)
            self._log.wait_for(self._log.head.size + 1, 0.5)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; one that ends without being told to leaves the log in quarantine."""
        error: LedgerError = LogError("a thread of the log has failed; its trace is in this node's output")
        try:
            work()
        except LedgerError as fault:
            error = fault
        finally:
            if self._is_running():
                self._quarantine(error)
