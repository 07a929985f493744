"""The assembler: the member with the log key signs the log it derives, has it cosigned, and publishes it.

    own peer's blocks ─▶ derived log ─▶ sign ─▶ witnesses ─▶ tiles ─▶ publish
                         (every node)   └──────── ledger.sequencer.finalizer ────────┘

There is no sequencer on Fabric: the assembler decides neither what is an entry nor its place, it only signs,
under the log key, what its own peer shows. A witness cosigns when its own peer shows the same
(``ledger.fabric.checkpoints``). So an assembler that lies or stops can hold receipts up, and nothing else;
its key can be given to another member, who derives the same log from its own blocks.

Rules
- A head is stored in the database before it is shown, one text for each size.
- Start gate as on the embedded log: nothing is signed before n − k + 1 witnesses have told what they saw
  last. One that has seen more than is derived here yet is waited for: the blocks bring it. One that has
  seen another tree of a size that is derived here puts the log in quarantine: peers disagree, or the key
  is used elsewhere.
- An idle head gets fresh cosignatures, over the same text.
- Refused entries are never ordered on Fabric and leave no ``query.refused``; void ones have their place
  in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from ledger import contract
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.errors import ForkError, LogError, LogUnavailableError, NoteError, QuorumError
from ledger.fabric.backend import FabricBackend
from ledger.fabric.derived import SIGNED, DerivedLog
from ledger.fabric.profile import ConnectionProfile
from ledger.fault_points import Point
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import Tile
from ledger.sequencer.final_log import FinalLog, LocalLog, LogParts, OrderedTree
from ledger.sequencer.public_folder import PublicFolder
from ledger.sequencer.submissions import Submissions
from ledger.storage.database import LOG, writing
from ledger.storage.tree_store import EMPTY_TREE_HEAD, TreeHead, TreeStore

REMEDY = (
    "The log is in quarantine and signs nothing. Compare the validation flags of the members' peers, "
    "and see that no other member holds the log key; then start this node again"
)


class SignedLog(OrderedTree):
    """The derived log under the log key; one thread signs, any number read."""

    def __init__(self, database: Engine, derived: DerivedLog, signer: NoteSigner) -> None:
        self._database = database
        self._derived = derived
        self._signer = signer
        self._store = TreeStore(LOG)
        # Replaced as a whole by the signing thread, after the commit; any thread reads it once per call.
        with database.connect() as connection:
            self._kept = self._store.head(connection, SIGNED)

    @property
    @override
    def head(self) -> TreeHead:
        return EMPTY_TREE_HEAD if self._kept is None else self._kept

    @property
    @override
    def state(self) -> State:
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

    @override
    def leaves(self, begin: int, end: int) -> list[bytes]:
        return self._derived.leaves(begin, end)

    @override
    def content(self, tile: Tile) -> bytes:
        return self._derived.content(tile)

    @override
    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        return self._derived.inclusion_paths(positions, size)

    @override
    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        return self._derived.consistency_path(old, new)

    @override
    def judge(self, policy: Policy, note: bytes) -> None:
        """Compare a witness's checkpoint with the derived log.

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


class Assembler(LocalLog):
    """The log of a network on Fabric, at the member with its key; used like an embedded ``Sequencer``."""

    def __init__(
        self,
        profile: ConnectionProfile,
        database: Engine,
        parts: LogParts,
        now: Callable[[], int],
        *,
        admit: Apply = contract.apply,
    ) -> None:
        """Prepare the log; nothing is signed or sent before ``start``.

        Args:
            profile: the own peer and identity.
            database, parts, now: as ``Sequencer`` takes them.
            admit: the contract, for the replay.

        Raises:
            WitnessError: a client for a witness the policy does not list.
        """
        self.backend = FabricBackend(profile, database, parts.policy, lambda: self.head, now, apply=admit)
        self._settings = parts.settings
        self._policy = parts.policy
        # Written by the signing thread alone; the finalizing thread and those of readers read it.
        self._log = SignedLog(database, self.backend.derived, parts.signer)
        # Nobody waits in the finalizer: `submit` waits for a checkpoint in its own thread.
        self._final = FinalLog(self._log, parts, Submissions(), remedy=REMEDY, on_quarantine=lambda _: None)
        self._finalizer = self._final.finalizer
        # Read by the finalizing thread before the start gate; the finalizer has a writer of its own.
        self._public = PublicFolder(parts.public)

    @override
    def start(self) -> None:
        self.backend.start()
        self._final.start({"assembler-finalize": self._finalize, "assembler-sign": self._sign})

    @override
    def stop(self) -> None:
        self._final.end()
        self.backend.stop()
        self._final.join()

    @override
    def wait_ready(self, seconds: float) -> None:
        """Wait until the start gate is passed.

        Raises:
            QuarantineError: it showed another tree.
            LogError: the own peer is not followed any more.
            LogUnavailableError: too few witnesses have answered, or the own peer lags behind what they saw.
        """
        ready = self._final.wait_ready(seconds)
        if self.backend.fault is not None:
            raise self.backend.fault
        if not ready:
            raise LogUnavailableError(
                "too few witnesses have answered after the start, or the own peer has not caught up "
                "with what they saw or this node has published: start their nodes and the peer"
            )

    @property
    @override
    def head(self) -> bytes | None:
        return self._final.head

    @property
    @override
    def size(self) -> int:
        return self._final.size

    @property
    @override
    def ordered(self) -> int:
        return self._final.ordered

    @property
    @override
    def state(self) -> State:
        return self._final.state

    @property
    @override
    def quorum_error(self) -> QuorumError | None:
        return self._final.quorum_error

    @property
    @override
    def quarantined(self) -> LogError | None:
        return self._final.quarantined

    @override
    def read(self, begin: int, end: int) -> list[bytes]:
        return self._final.read(begin, end)

    @override
    def receipt(self, index: int) -> Receipt:
        return self._final.receipt(index)

    @override
    def submit(self, leaf: bytes) -> Receipt:
        if self._final.quarantined is not None:
            raise self._final.quarantined
        if self._finalizer.quorum_error is not None:
            raise self._finalizer.quorum_error
        return self.backend.append(leaf)

    def _finalize(self) -> None:
        """The finalizing thread: wait until the published log is derived here too, then finalize."""
        published = self._published_size()
        while self._log.derived_size < published:
            if self._final.stopping.is_set():
                return
            self._log.wait_for(published, 0.5)
        self._final.finalize()

    def _published_size(self) -> int:
        """Size of the checkpoint in the public folder; 0 where there is none signed by this log."""
        note = self._public.checkpoint()
        try:
            return 0 if note is None else self._policy.verify_log(note)[1].size
        except NoteError:
            return 0

    def _sign(self) -> None:
        """The signing thread: sign the derived log whenever it has grown."""
        if not self._final.wait_gate():
            return
        while self._final.is_running:
            if self.backend.fault is not None:
                raise self.backend.fault
            try:
                if self._log.sign():
                    self._settings.observe(Point.SIGNED)
                    self._finalizer.wake()
            except (SQLAlchemyError, OSError):
                self._final.stopping.wait(self._settings.retry)
            self._log.wait_for(self._log.head.size + 1, 0.5)
