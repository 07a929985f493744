"""A node's replica: every ordered entry under verified checkpoints, replayed through the contract.

Rules
- ``extend`` takes leaves only together with a checkpoint under the policy's quorum whose root is that of
  the own leaves and the new ones; nothing is stored otherwise.
- Leaf 0 is the pinned genesis entry: SHA-256 of its bytes is the network's genesis digest.
- Leaves, tiles, contract state, void codes and the checkpoint are committed together: after a stop at any
  moment the replica goes on from its last verified checkpoint, without a replay from the start.
- A checkpoint that does not extend the last one is a fork, evidence against the log: it is refused and named,
  with both notes.
- When it is opened, checkpoint, tiles and state are checked (``ledger.storage.repair``). What the disk has
  changed is never built upon: the replica is emptied and follows the log from its start, whose history must
  still hold the checkpoint it had verified before.
- One thread extends at a time; any number read.

Proofs read at most one tile per level, so they cost the same at a million entries as at a thousand.

Opening loads what the replica holds, or empties it if the disk has changed it. Everything in a replica can be
fetched and verified again, so nothing is repaired in place. Only the last verified checkpoint is kept when a
replica is emptied: the history fetched again must contain it, or a damaged disk would let the log show
another history. It is stored twice, under two names. The last verified checkpoint is the largest one that any
stored note carries under the log's signature, with the note's own size and root; no row is looked up by its
name for that. So one flipped bit leaves one of the two.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from ledger import contract
from ledger.contract.replay import NO_TIME, Apply, Replay
from ledger.contract.state import State
from ledger.entries.entry import Entry, parse
from ledger.errors import ForkError, LogError, MerkleError, NoteError, QuorumError
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.policy import Policy, VerifiedCheckpoint
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import TILE_WIDTH, TileSource, TileWriter
from ledger.merkle import HashSource, inclusion_path, leaf_hash, root_from
from ledger.storage.database import REPLICA, writing
from ledger.storage.repair import root_at, state_holds, tiles_hold
from ledger.storage.sql_state import CachedState, PinnedState, SharedState
from ledger.storage.tree_store import (
    EMPTY_TREE_HEAD,
    EntryRow,
    StoredTiles,
    TileCache,
    TreeHead,
    TreeStore,
    whole_leaves,
)

_PLACES = 50_000
"""Indices by id kept in memory; they never change."""
_SINGLE = 1_000
"""Leaves kept in memory, the first asked for one by one: a network's founding entries among them."""
VERIFIED = "verified"
"""Name of a replica's head."""
BEFORE = "before"
"""The last verified checkpoint once more; the only one of a replica that had to be emptied."""
log = logging.getLogger("hedui.replica")


@dataclass(frozen=True)
class _Newest:
    """The stored head and what was verified of its note; None where the policy does not accept it."""

    head: TreeHead
    verified: VerifiedCheckpoint | None


class Replica:
    """The verified log of one network in one database."""

    def __init__(
        self,
        database: Engine,
        network: str,
        genesis_digest: bytes | None,
        policy: Policy,
        *,
        apply: Apply = contract.apply,
        observe: Observe = unobserved,
    ) -> None:
        """Open the replica.

        Args:
            database: with the tables of ``ledger.storage.database``.
            network: the network's name; the contract holds every entry to that of the genesis entry.
            genesis_digest: SHA-256 of the genesis leaf, 32 bytes; None: the first one seen is taken.
            policy: whom to trust.
            apply: the contract.
            observe: told each point of the work.

        Raises:
            ForkError: what is stored starts with another genesis entry.
        """
        self._database = database
        self._genesis = genesis_digest
        self._policy = policy
        self._store = TreeStore(REPLICA)
        self.network = network
        self._observe = observe
        # Safe for any thread: it has a lock of its own.
        self._tiles = TileCache(database, self._store)
        # Held by the one thread that extends the replica. It guards what only extending uses: `_values`,
        # `_replay`, `_is_new` and `_before`; and it makes the one writer of `_newest` and `_shared`.
        self._lock = threading.Lock()
        self._values = CachedState(database, self._store)
        kept, self._before = load_replica(database, self._store, policy)
        with database.connect() as connection:
            first = self._store.leaves(connection, 0, 1)
        self._is_new = kept is None
        head = EMPTY_TREE_HEAD if kept is None else kept
        self._replay = Replay(self._values, apply, head.time)
        # Each replaced as a whole after the commit, first `_shared`, then `_newest`; any thread reads them.
        # So a head and its checkpoint belong together, and the state is never behind the size.
        self._shared = SharedState(database, self._store)
        self._newest = _Newest(head, self._verify_kept(head))
        # Filled by any thread that looks an entry up; what is there never changes, so two threads at once
        # write the same. Each operation is one of a dict, which is atomic.
        self._places: dict[str, int] = {}
        self._single: dict[int, bytes] = {}
        for position, leaf, _ in first:
            self._check_genesis(position, leaf)

    @property
    def size(self) -> int:
        """Number of verified entries."""
        return self._newest.head.size

    @property
    def policy(self) -> Policy:
        """The policy this replica verifies under."""
        return self._policy

    @property
    def time(self) -> str:
        """The contract's time; empty before the first entry."""
        return self._newest.head.time

    @property
    def checkpoint(self) -> VerifiedCheckpoint | None:
        """The last verified checkpoint; None before the first."""
        return self._newest.verified

    @property
    def checkpoint_note(self) -> bytes | None:
        """The note of the last verified checkpoint, with its cosignatures; None before the first."""
        newest = self.newest
        return None if newest is None else newest[1]

    @property
    def newest(self) -> tuple[VerifiedCheckpoint, bytes] | None:
        """The last verified checkpoint together with its note; None before the first."""
        newest = self._newest
        return None if newest.verified is None else (newest.verified, newest.head.note)

    @property
    def state(self) -> State:
        """The committed contract state of the last head, for ``ledger.contract.view``."""
        return self._shared

    @contextmanager
    def snapshot(self) -> Iterator[State]:
        """The contract state of one moment, for several reads that must agree; keep the block short."""
        with self._database.connect() as connection, connection.begin():
            yield PinnedState(connection, self._store)

    def extend(self, leaves: Iterable[bytes], checkpoint_note: bytes) -> VerifiedCheckpoint:
        """Take the leaves after the own ones, up to exactly the size of a checkpoint.

        Args:
            leaves: their bytes, in order; none to refresh the head. Streamed in bounded memory.
            checkpoint_note: a checkpoint under the policy's quorum; one older than the own is checked, not
            kept.

        Raises:
            NoteError, QuorumError: the checkpoint is not verified.
            ForkError: its root is not that of these leaves, or another genesis entry; nothing is kept.
            LogError: the leaves are too few or too many for it; nothing is kept.
        """
        verified = self._policy.verify_checkpoint(checkpoint_note)
        head = verified.checkpoint
        with self._lock:
            if head.size < self._newest.head.size:
                self._check_older(head, checkpoint_note)
                return verified
            if head.size == self._newest.head.size and not self._is_fresher(verified):
                self._check_older(head, checkpoint_note)
                return verified
            self._newest = _Newest(self._extend(iter(leaves), head, checkpoint_note), verified)
        return verified

    def leaf(self, index: int) -> bytes:
        """Bytes of an entry.

        Raises:
            LogError: no such entry here, or it has changed on the disk.
        """
        kept = self._single.get(index)
        if kept is not None:
            return kept
        found = self.leaves(index, index + 1)
        if not found:
            raise LogError(f"no entry {index} here yet: the replica has {self.size}")
        if len(self._single) < _SINGLE:
            self._single[index] = found[0]
        return found[0]

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Bytes of entries begin … end − 1, as far as they are here.

        Raises:
            LogError: one has changed on the disk.
        """
        end = min(end, self.size)
        with self._database.connect() as connection:
            found = self._store.leaves(connection, begin, end)
        return whole_leaves(found, begin, end, self._tiles.source())

    def entry(self, index: int) -> Entry:
        """The entry at ``index``, void or not.

        Raises:
            LogError: no such entry here.
            EntryError: it is void because it does not parse.
        """
        return parse(self.leaf(index))

    def find(self, entry_id: str) -> int | None:
        """Index of the entry with this id that counts, or None."""
        index = self._places.get(entry_id)
        if index is None:
            with self._database.connect() as connection:
                index = self._store.find(connection, entry_id)
            if index is not None and len(self._places) < _PLACES:
                self._places[entry_id] = index
        return index

    def of_type(self, entry_type: str, begin: int = 0) -> Iterator[tuple[int, Entry]]:
        """(index, entry) of the entries of a type that count, from ``begin`` on, in order."""
        while True:
            with self._database.connect() as connection:
                found = self._store.of_type(connection, entry_type, begin, TILE_WIDTH)
            for index, leaf in found:
                yield index, parse(leaf)
            if len(found) < TILE_WIDTH:
                return
            begin = found[-1][0] + 1

    def void_code(self, index: int) -> str | None:
        """The code for which the entry at ``index`` is void; None if it counts."""
        with self._database.connect() as connection:
            return self._store.void(connection, index)

    def is_void(self, index: int) -> bool:
        """Whether the entry at ``index`` changes nothing."""
        return self.void_code(index) is not None

    def voids(self) -> list[tuple[int, str]]:
        """(index, code) of every void entry."""
        with self._database.connect() as connection:
            return list(self._store.voids(connection))

    def source(self) -> HashSource:
        """Hashes of complete subtrees, for proofs of any size up to the own one."""
        return self._tiles.source()

    def receipt(self, index: int, checkpoint_note: bytes | None = None) -> Receipt:
        """The receipt of an entry under the last checkpoint, or under another verified one that holds it.

        Raises:
            MerkleError: the checkpoint is too small for the entry, or larger than this replica.
            LogError: no checkpoint yet.
        """
        note = self.checkpoint_note if checkpoint_note is None else checkpoint_note
        if note is None:
            raise LogError("no verified checkpoint yet: catch up with the log first")
        _, head = self._policy.verify_log(note)
        if head.size > self.size:
            raise MerkleError(f"the checkpoint has {head.size} entries, this replica {self.size}: catch up")
        return Receipt(index, tuple(inclusion_path(index, head.size, self.source())), note)

    def _verify_kept(self, head: TreeHead) -> VerifiedCheckpoint | None:
        """The stored checkpoint, unless the policy has changed since and no longer accepts it."""
        if not head.note:
            return None
        try:
            return self._policy.verify_checkpoint(head.note)
        except (NoteError, QuorumError):
            return None

    def _is_fresher(self, other: VerifiedCheckpoint) -> bool:
        quorum, verified = self._policy.quorum, self._newest.verified
        return verified is None or other.quorum_time(quorum) >= verified.quorum_time(quorum)

    def compare(self, note: bytes) -> bool:
        """Compare a checkpoint that the log has signed, wherever it comes from, with this replica.

        Returns:
            False when it is larger than the replica, so that nothing can be said yet.

        Raises:
            NoteError: not signed by the log: no evidence of anything.
            ForkError: it has another root; carries both notes.
        """
        _, seen = self._policy.verify_log(note)
        if seen.size > self.size:
            return False
        self._check_older(seen, note)
        return True

    def _check_older(self, head: Checkpoint, note: bytes) -> None:
        own = self._newest.head
        if root_at(head.size, own, self.source()) != head.root:
            raise ForkError(
                f"a signed checkpoint of size {head.size} has another root than this replica: "
                "the log has shown two histories; call the auditor",
                (own.note, note),
            )

    def _check_before(self, connection: Connection, head: Checkpoint, note: bytes) -> None:
        """Check that the new history contains the checkpoint verified before the replica was emptied."""
        before = self._before
        if before is None:
            return
        if head.size < before.size:
            raise LogError(
                f"the log shows {head.size} entries, this node has verified {before.size}: ask its operator"
            )
        if root_from(before.size, TileSource(StoredTiles(connection, self._store))) != before.root:
            text = "the log no longer shows the history that this node has verified: call the auditor"
            raise ForkError(text, (before.note, note))

    def _check_genesis(self, position: int, leaf: bytes) -> None:
        if position == 0 and self._genesis is not None and hashlib.sha256(leaf).digest() != self._genesis:
            raise ForkError(
                "the first entry is not this network's genesis: check the invitation and the address"
            )

    def _extend(self, leaves: Iterator[bytes], head: Checkpoint, note: bytes) -> TreeHead:
        """Store the leaves and the checkpoint in one transaction; return the new head."""
        writer = TileWriter(self._newest.head.size, self._tiles)
        changed: set[str] = set()
        try:
            with writing(self._database) as connection:
                self._values.use(connection)
                while chunk := list(itertools.islice(leaves, TILE_WIDTH)):
                    changed |= self._add(connection, writer, chunk, head.size)
                self._check_root(writer, head)
                if self._is_new:
                    self._check_before(connection, head, note)
                new = TreeHead(head.size, head.root, note, self._replay.time)
                self._values.seal(connection, new.size, new.time)
                self._store.swap_head(connection, VERIFIED, None if self._is_new else self._newest.head, new)
                self._store.put_head(connection, BEFORE, new)
                self._observe(Point.REPLICA_STORING)
            self._observe(Point.REPLICA_STORED)
        except BaseException:
            self._values.forget()
            self._replay.time = self._newest.head.time
            raise
        finally:
            self._values.use(None)
        self._is_new = False
        self._shared = self._shared.after(changed)
        return new

    def _add(
        self, connection: Connection, writer: TileWriter, chunk: Sequence[bytes], target: int
    ) -> set[str]:
        """Replay and store up to 256 leaves inside the transaction; returns the state keys they changed."""
        if writer.size + len(chunk) > target:
            raise LogError(f"more entries than the checkpoint of size {target} has: ask for exactly those")
        rows: list[EntryRow] = []
        for leaf in chunk:
            position = writer.size
            self._check_genesis(position, leaf)
            step = self._replay.step(leaf)
            digest = leaf_hash(leaf)
            entry = step.entry
            entry_id, entry_type = (None, None) if entry is None else (entry.id, entry.type)
            rows.append(EntryRow(position, leaf, digest, entry_id, entry_type, step.void))
            writer.append(digest)
        self._store.put_rows(connection, rows)
        self._store.put_tiles(connection, writer.take_changed())
        changed = set(self._values.changes)
        self._values.write(connection)
        return changed

    def _check_root(self, writer: TileWriter, head: Checkpoint) -> None:
        if writer.size != head.size:
            raise LogError(
                f"the checkpoint has {head.size} entries, {writer.size} are here: ask for the rest"
            )
        if root_from(head.size, TileSource(writer)) != head.root:
            own = self._newest.head
            root_at(own.size, own, TileSource(TileCache(self._database, self._store)))
            # Wrong entries under a genuine checkpoint look the same: the two notes alone are no evidence.
            raise ForkError(
                f"the root of these entries is not that of the cosigned checkpoint of size {head.size}: "
                "ask another node for them; where that fails too, call the auditor"
            )


def load_replica(
    database: Engine, store: TreeStore, policy: Policy
) -> tuple[TreeHead | None, TreeHead | None]:
    """The head of an undamaged replica (None for an empty one) and its last verified checkpoint, if any."""
    with database.connect() as connection:
        kept, before = _read(connection, store), newest_signed(connection, store, policy)
        length = store.length(connection)
    if kept is None and length == 0:
        return None, before
    if kept is not None and length == kept.size and _holds(database, store, policy, kept):
        return kept, before
    log.error("this node's copy of the ledger changed on the disk: it is fetched again from its start")
    with writing(database) as connection:
        store.clear(connection, leaves=True)
        if before is not None:
            store.put_head(connection, BEFORE, before)
    return None, before


def newest_signed(connection: Connection, store: TreeStore, policy: Policy) -> TreeHead | None:
    """The largest checkpoint under the log's signature in any stored note, None where there is none."""
    found = []
    for note in store.notes(connection):
        with suppress(NoteError):
            _, seen = policy.verify_log(note)
            found.append(TreeHead(seen.size, seen.root, note, NO_TIME))
    return max(found, key=lambda one: one.size, default=None)


def _read(connection: Connection, store: TreeStore) -> TreeHead | None:
    """The replica's head; None if there is no head row, or the stored one cannot be read."""
    try:
        return store.head(connection, VERIFIED)
    except LogError:
        return None


def _holds(database: Engine, store: TreeStore, policy: Policy, kept: TreeHead) -> bool:
    """Whether checkpoint, tiles and state are those that were stored together."""
    if not _is_signed(kept, policy):
        return False
    with database.connect() as connection:
        if not state_holds(connection, store, kept.size, kept.time):
            return False
    return tiles_hold(database, store, kept)


def _is_signed(kept: TreeHead, policy: Policy) -> bool:
    """Whether a stored head is that of a checkpoint which the log has signed."""
    try:
        _, seen = policy.verify_log(kept.note)
    except NoteError:
        return False
    return (seen.size, seen.root) == (kept.size, kept.root)
