"""Recovery of a sequencer's log from a verified copy, after a restored backup or a lost disk.

The start gate keeps a log in quarantine when a witness has seen more than the database holds. What is
missing there stands in every mirror. ``recover_log`` puts the whole log back in one transaction: the tables
of the log are emptied and filled again by replaying the copy's entries, so that leaves, tiles, state and
heads are what they would be had the log ordered them itself.

Rules
- The copy is verified from its first entry under the pinned policy and genesis, before anything is changed.
- It must hold everything that was ever signed here: a copy smaller than the signed head, than this node's
  own verified replica, or than the checkpoint published here, is refused; so is one in which the signed head
  or the published checkpoint has another root. The notes of such a fork are handed to ``evidence`` first.
- Entries that were staged and never signed are dropped. Those that the copy has not are returned, for the
  operator to tell their submitters; none of these has a receipt for them.
- A replica that the copy extends is left to catch up by itself; one that the copy does not extend, while the
  log does, is emptied and follows the log again: the notes of that fork are kept as evidence too.

The new head is the copy's checkpoint with the log's own signature alone: the same text, so there is still one
for that size. Cosignatures are asked for again after the start gate, which judges the recovered log like any
other: where a witness has cosigned more than the copy holds, the log stays in quarantine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlalchemy import Connection, Engine
from typing_extensions import override

from ledger import contract
from ledger.audit.mirror_files import CheckedTiles
from ledger.audit.source import NOTE_LIMIT, LogSource, read_leaves
from ledger.audit.verify import OnEntries, verify_source
from ledger.contract.replay import Apply, Replay
from ledger.entries.entry import parse
from ledger.errors import EntryError, ForkError, LogError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy
from ledger.formats.tiles import CHECKPOINT, TILE_WIDTH, TileReader, TileSource, TileWriter
from ledger.merkle import leaf_hash, root_from
from ledger.replica.replica import VERIFIED, newest_signed
from ledger.sequencer.stored_log import ORDERED, STAGED
from ledger.storage.database import LOG, REPLICA, writing
from ledger.storage.sql_state import CachedState
from ledger.storage.tree_store import EMPTY_TREE_HEAD, EntryRow, TreeHead, TreeStore

StoreEvidence: TypeAlias = Callable[[str, bytes, bytes], str]
"""Told what was found, the note kept here and the copy's; says where both are kept now."""


@dataclass(frozen=True)
class Dropped:
    """A staged entry that was never signed and is not in the copy.

    Attributes:
        position: where it was staged.
        id, type: of the entry.
        leaf: its bytes.
    """

    position: int
    id: str | None
    type: str | None
    leaf: bytes


@dataclass(frozen=True)
class Recovered:
    """The result of a recovery.

    Attributes:
        size: entries of the log now.
        before: entries under a signed head before.
        dropped: staged entries that are lost.
        fork: where the evidence lies that this node's replica was of another tree; it has been emptied.
    """

    size: int
    before: int
    dropped: tuple[Dropped, ...]
    fork: str | None


def recover_log(
    database: Engine,
    source: LogSource,
    policy: Policy,
    evidence: StoreEvidence,
    *,
    genesis_digest: bytes | None = None,
    published: bytes | None = None,
    progress: OnEntries | None = None,
    apply: Apply = contract.apply,
) -> Recovered:
    """Restore the log of a stopped sequencer from a copy.

    Args:
        database: the sequencer's database. source: the copy. policy: pinned. evidence: keeps notes of a fork.
        genesis_digest: SHA-256 of the genesis leaf. published: the checkpoint in the public folder, where
        there is one. progress: told how far verification is, then the tables. apply: the contract.

    Raises:
        VerificationError: the copy does not verify.
        ForkError: the copy is of another tree than what was signed here; nothing is changed.
        LogError: the copy is older than what is here, or changed meanwhile; nothing is changed.
    """
    pinned = policy.format().encode()
    found = verify_source(source, progress, policy=pinned, genesis_digest=genesis_digest, apply=apply)
    note, head = policy.verify_log(source.fetch(CHECKPOINT, NOTE_LIMIT))
    if (head.size, head.root) != (found.size, found.root):
        raise _changed(source)
    log, replica = TreeStore(LOG), TreeStore(REPLICA)
    with database.connect() as connection:
        ordered = _last_head(connection, log, ORDERED, policy)
        own = _last_head(connection, replica, VERIFIED, policy)
        kept = _Waiting(log.leaves(connection, ordered.size, log.length(connection)))
    against = _Copy(source, note, head, evidence, policy.log)
    against.must_hold("this log's signed head", ordered)
    if published is not None:
        seen = policy.verify_log(published)[1]
        against.must_hold("the checkpoint published here", TreeHead(seen.size, seen.root, published, ""))
    against.must_reach("this node's verified replica", own)
    fork = None if against.extends(own) else against.keep("this node's verified replica", own)
    with writing(database) as connection:
        log.clear(connection, leaves=True)
        tables = _Tables(connection, log, apply)
        leaves = itertools.islice(read_leaves(source), head.size)
        while chunk := list(itertools.islice(leaves, TILE_WIDTH)):
            tables.add(chunk)
            kept.seen(chunk)
            if progress is not None:
                progress(tables.writer.size, head.size)
        tables.close(against)
        if fork is not None:
            replica.clear(connection, leaves=True)
    return Recovered(head.size, ordered.size, kept.dropped(), fork)


def _last_head(connection: Connection, store: TreeStore, name: str, policy: Policy) -> TreeHead:
    """A stored head; where the disk has changed it, the newest checkpoint that is stored."""
    try:
        return store.head(connection, name) or EMPTY_TREE_HEAD
    except LogError:
        return newest_signed(connection, store, policy) or EMPTY_TREE_HEAD


class _Copy:
    """The verified copy, and how what is here compares with it."""

    def __init__(
        self, source: LogSource, note: Note, head: Checkpoint, evidence: StoreEvidence, log_key: VerifierKey
    ) -> None:
        self.source = source
        self.head = head
        self.note = note.only(log_key)
        self._whole = note.format()
        self._tiles = CheckedTiles(source, head)
        self._evidence = evidence

    def must_reach(self, what: str, here: TreeHead) -> None:
        """Refuse a copy that is older than what is here.

        Raises:
            LogError: it is.
        """
        if here.size > self.head.size:
            raise LogError(
                f"the copy has {self.head.size} entries, {what} has {here.size}: recover from a newer copy"
            )

    def must_hold(self, what: str, here: TreeHead) -> None:
        """Refuse a copy that is older, or of another tree.

        Raises:
            LogError, ForkError: it is.
        """
        self.must_reach(what, here)
        if not self.extends(here):
            place = self.keep(what, here)
            raise ForkError(
                f"the copy does not extend {what}: the log key has signed two trees. Both notes are in "
                f"{place}: show them to the members, who decide; nothing is changed"
            )

    def extends(self, here: TreeHead) -> bool:
        """Whether the copy begins with the tree that is here."""
        return self._tiles.root(here.size) == here.root

    def keep(self, what: str, here: TreeHead) -> str:
        """Keep both notes as evidence."""
        return self._evidence(what, here.note, self._whole)


class _Waiting:
    """Staged entries without a signed head, as long as the copy has not shown them."""

    def __init__(self, leaves: Sequence[tuple[int, bytes, bytes]]) -> None:
        self._leaves = {leaf: position for position, leaf, _ in leaves}

    def seen(self, leaves: Sequence[bytes]) -> None:
        """Note that the copy has these leaves."""
        for leaf in leaves:
            self._leaves.pop(leaf, None)

    def dropped(self) -> tuple[Dropped, ...]:
        """The staged entries that the copy does not have."""
        return tuple(_dropped(position, leaf) for leaf, position in self._leaves.items())


def _dropped(position: int, leaf: bytes) -> Dropped:
    try:
        entry = parse(leaf)
    except EntryError:
        return Dropped(position, None, None, leaf)
    return Dropped(position, entry.id, entry.type, leaf)


class _Tables(TileReader):
    """The log's tables while they are filled again, in one transaction."""

    def __init__(self, connection: Connection, store: TreeStore, apply: Apply) -> None:
        self._connection = connection
        self._store = store
        self._values = CachedState(connection.engine, store)
        self._values.use(connection)
        self._replay = Replay(self._values, apply)
        self.writer = TileWriter(0, self)

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        del width
        return self._store.tile(self._connection, level, index)

    def add(self, leaves: Sequence[bytes]) -> None:
        """Replay and store up to 256 leaves."""
        rows: list[EntryRow] = []
        for leaf in leaves:
            step, digest = self._replay.step(leaf), leaf_hash(leaf)
            entry_id, entry_type = (None, None) if step.entry is None else (step.entry.id, step.entry.type)
            rows.append(EntryRow(self.writer.size, leaf, digest, entry_id, entry_type, step.void))
            self.writer.append(digest)
        self._store.put_rows(self._connection, rows)
        self._values.write(self._connection)
        self._store.put_tiles(self._connection, self.writer.take_changed())

    def close(self, copy: _Copy) -> None:
        """Write the heads.

        Raises:
            LogError: the leaves are not those that were verified.
        """
        size, head = self.writer.size, copy.head
        if size != head.size or root_from(size, TileSource(self)) != head.root:
            raise _changed(copy.source)
        new = TreeHead(size, head.root, copy.note.format(), self._replay.time)
        self._values.seal(self._connection, size, new.time)
        self._store.swap_head(self._connection, STAGED, None, replace(new, note=b""))
        self._store.swap_head(self._connection, ORDERED, None, new)


def _changed(source: LogSource) -> LogError:
    return LogError(f"{source.place} has changed meanwhile: run the recovery again")
