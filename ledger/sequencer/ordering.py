"""Ordering: from admitted entries to a signed head, in one code path for normal work and recovery.

    stage   admit each entry against the state so far; in one transaction store leaves, state, staged size
    order   read the staged leaves again, recompute every hash from the stored bytes and compare; sign the new
            head; in one transaction compare-and-swap it for the last one and store the tiles

A stop between the two leaves staged entries; ``order`` signs them after the next start. What is signed comes
from the bytes as stored, never from memory: one flipped bit in a buffer once ended a public log. A head is
signed once for each size and stored before it is shown, so there is never a second text for a size.
What is stored, and how it is read, checked and proven, is in ``ledger.sequencer.stored_log``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from ledger.contract.replay import Apply, Replay
from ledger.contract.state import State
from ledger.entries.entry import Entry, parse
from ledger.errors import EntryError, EntryRefusedError, ForkError, LedgerError, QuarantineError
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.note import NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.tiles import Tile
from ledger.merkle import leaf_hash
from ledger.sequencer.stored_log import STAGED, StoredLog
from ledger.storage.database import REFUSAL
from ledger.storage.tree_store import EntryRow, TreeHead


@dataclass(frozen=True)
class Candidate:
    """An entry that asks to be ordered.

    Attributes:
        leaf: its bytes.
        leaf_hash: its RFC 6962 leaf hash.
        entry: the same, parsed.
    """

    leaf: bytes
    leaf_hash: bytes
    entry: Entry

    @classmethod
    def parse(cls, leaf: bytes) -> Candidate:
        """Parse a leaf.

        Raises:
            EntryError: it is no entry.
        """
        return cls(leaf, leaf_hash(leaf), parse(leaf))


@dataclass(frozen=True)
class RefusedCandidate:
    """A refusal to be recorded.

    Attributes:
        digest: SHA-256(salt ‖ refused leaf), what the ledger shows.
        salt: 32 random bytes, kept here.
        leaf_hash: of the refused leaf, kept here.
        code: the contract's code.
    """

    digest: bytes
    salt: bytes
    leaf_hash: bytes
    code: str

    @classmethod
    def of(cls, candidate: Candidate, code: str) -> RefusedCandidate:
        """A refusal of ``candidate`` under a fresh salt."""
        salt = secrets.token_bytes(32)
        digest = hashlib.sha256(salt + candidate.leaf).digest()
        return cls(digest, salt, candidate.leaf_hash, code)


class OrderedLog:
    """The ordered entries of one log in one database; one thread writes, any number read."""

    def __init__(
        self, database: Engine, signer: NoteSigner, apply: Apply, observe: Observe = unobserved
    ) -> None:
        """Load a log, and rebuild what its disk has changed.

        Args:
            database: with the tables of ``ledger.storage.database``.
            signer: the log key.
            apply: the contract, which says what may be ordered.
            observe: told each point of the work.

        Raises:
            QuarantineError: entries or heads have changed on the disk.
        """
        self._observe = observe
        # Written by the one writing thread, read by any; see `StoredLog`.
        self._stored = StoredLog(database, signer, apply, observe)
        self._stored.repair()

    def load(self) -> None:
        """Load what the database holds, after any failure.

        Raises:
            QuarantineError: a head is not what was stored.
        """
        self._stored.load()

    @property
    def head(self) -> TreeHead:
        """The last signed head; size 0 and no note before the first."""
        return self._stored.head

    @property
    def pending(self) -> int:
        """Number of staged entries not yet under a signed head."""
        return self._stored.pending

    @property
    def state(self) -> State:
        """The committed contract state after the last staged entry."""
        return self._stored.state

    def stage(
        self, batch: Sequence[Candidate], record: Callable[[RefusedCandidate], bytes | None]
    ) -> list[int | LedgerError]:
        """Admit and store a batch.

        Args:
            batch: in the order wished; identical leaves are stored once.
            record: makes the leaf of a ``query.refused`` entry for a refused intent, or None for no record.

        Returns:
            For each candidate its position, or why it was refused.
        """
        self._stored.load_again()
        with self._stored.changing():
            with self._stored.replaying() as open_replay:
                known = open_replay.positions([candidate.leaf_hash for candidate in batch])
                open_replay.fetch([f"id/{candidate.entry.id}" for candidate in batch])
                admission = _Admission(self._stored.staged.size, open_replay.replay, known)
                outcomes = [admission.admit(candidate) for candidate in batch]
                for candidate, outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, EntryRefusedError) and candidate.entry.type == "query.intent":
                        admission.record(RefusedCandidate.of(candidate, outcome.code), record)
            if admission.rows:
                self._write_staged(admission)
        return outcomes

    def order(self) -> TreeHead:
        """Bring every staged entry under a signed head.

        Raises:
            QuarantineError: a stored leaf is no longer what was staged, or a tile not what was ordered.
            LogError: another process has moved the head.
        """
        return self._stored.order()

    def known(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Positions of the leaf hashes that are stored."""
        return self._stored.known(hashes)

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as a signed head covers them.

        Raises:
            LogError: one is not what was stored; it is not given out.
        """
        return self._stored.leaves(begin, end)

    def content(self, tile: Tile) -> bytes:
        """Bytes of a public tile or bundle."""
        return self._stored.content(tile)

    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        """Inclusion proofs of several entries in one tree."""
        return self._stored.inclusion_paths(positions, size)

    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        """Consistency proof between two sizes of this log."""
        return self._stored.consistency_path(old, new)

    def judge(self, policy: Policy, note: bytes) -> None:
        """Compare a checkpoint that the log has signed, wherever it comes from, with this log.

        Raises:
            NoteError: not signed by the log: no evidence of anything.
            ForkError: it is larger than this log, or has another root; then it carries both notes.
        """
        _, seen = policy.verify_log(note)
        head = self._stored.head
        if seen.size > head.size:
            raise ForkError(f"a witness has seen {seen.size} entries, this log has {head.size}")
        if self._stored.root_at(seen.size) != seen.root:
            text = f"a witness has seen another tree of {seen.size} entries"
            raise ForkError(text, (self._stored.head.note, note))

    def _write_staged(self, admission: _Admission) -> None:
        """Store admitted entries, the state after them, and the refusals that are recorded."""
        size, time = admission.size, admission.replay.time
        with self._stored.writing() as write:
            write.swap_head(STAGED, TreeHead(size, self._stored.head.root, b"", time))
            write.put_entries(admission.rows, size, time)
            if admission.refusals:
                write.connection.execute(REFUSAL.insert(), [vars(one) for one in admission.refusals])
            self._observe(Point.STAGING)


class _Admission:
    """The admission of one batch: the entries that the contract allows, and the refusals recorded."""

    def __init__(self, begin: int, replay: Replay, known: dict[bytes, int]) -> None:
        """Args: ``begin`` is the next position, ``known`` the positions by leaf hash of what is stored."""
        self._begin = begin
        self._known = known
        self.replay = replay
        self.rows: list[EntryRow] = []
        self.refusals: list[RefusedCandidate] = []

    @property
    def size(self) -> int:
        """Number of entries with those admitted."""
        return self._begin + len(self.rows)

    def admit(self, candidate: Candidate) -> int | LedgerError:
        """Position of a candidate, new or known, or the contract's refusal."""
        position = self._known.get(candidate.leaf_hash)
        if position is not None:
            return position
        entry = candidate.entry
        try:
            self.replay.admit(entry)
        except EntryRefusedError as error:
            return error
        position = self._begin + len(self.rows)
        self.rows.append(EntryRow(position, candidate.leaf, candidate.leaf_hash, entry.id, entry.type, None))
        self._known[candidate.leaf_hash] = position
        return position

    def record(self, refusal: RefusedCandidate, make: Callable[[RefusedCandidate], bytes | None]) -> None:
        """Admit the entry that records a refusal, where ``make`` gives one."""
        leaf = make(refusal)
        if leaf is None:
            return
        try:
            candidate = Candidate.parse(leaf)
        except EntryError as error:
            raise QuarantineError(f"the log's own entry is malformed: {error}") from error
        if isinstance(self.admit(candidate), int):
            self.refusals.append(refusal)
