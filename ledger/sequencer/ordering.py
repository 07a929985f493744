"""Ordering: from admitted entries to a signed head, in one code path for normal work and recovery.

    stage   admit each entry against the state so far; in one transaction store leaves, state, staged size
    order   read the staged leaves again, recompute every hash from the stored bytes and compare; sign the new
            head; in one transaction compare-and-swap it for the last one and store the tiles

A stop between the two leaves staged entries; ``order`` signs them after the next start. What is signed comes
from the bytes as stored, never from memory: one flipped bit in a buffer once ended a public log. A head is
signed once for each size and stored before it is shown, so there is never a second text for a size. The
compare-and-swap fails when another process writes the same log. After a failure it is not known what was
stored: memory is dropped, and the database is loaded before anything else is done.

At a start heads, tiles and state are checked, and rebuilt from the leaves where they have changed on the
disk (``ledger.storage.repair``); before every head the tiles that it grows from must still give the last
one's root.

A log without a signer keeps heads without notes; ``ledger.fabric.derived`` fills one from a peer's blocks.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from ledger.contract.replay import Apply, Replay
from ledger.contract.state import State
from ledger.entries.entry import Entry, parse
from ledger.errors import (
    EntryError,
    EntryRefusedError,
    ForkError,
    LedgerError,
    LogError,
    MerkleError,
    NoteError,
    QuarantineError,
    TileError,
)
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint, verify_signed
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, encode_bundle
from ledger.merkle import HASH_BYTES, consistency_path, inclusion_path, leaf_hash, root_from
from ledger.storage.database import LOG, REFUSAL, writing
from ledger.storage.repair import LOST, rebuild, root_at, state_holds, tiles_hold
from ledger.storage.sql_state import CachedState, ReadState
from ledger.storage.tree_store import EMPTY_TREE_HEAD, EntryRow, TileCache, TreeHead, TreeStore, whole_leaves

STAGED = "staged"
ORDERED = "ordered"

log = logging.getLogger("hedui.log")


@dataclass(frozen=True)
class Candidate:
    """An entry that asks to be ordered.

    Attributes:
        leaf: its bytes.
        hashed: its RFC 6962 leaf hash.
        entry: the same, parsed.
    """

    leaf: bytes
    hashed: bytes
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
        return cls(digest, salt, candidate.hashed, code)


class OrderedLog:
    """The ordered entries of one log in one database; one thread writes, any number read."""

    _names: tuple[str, ...] = (STAGED, ORDERED)
    """Heads that are loaded together."""

    def __init__(
        self, database: Engine, signer: NoteSigner | None, apply: Apply, observe: Observe = unobserved
    ) -> None:
        """Load a log, and rebuild what its disk has changed.

        Args:
            database: with the tables of ``ledger.storage.database``.
            signer: the log key; None where heads are kept without notes.
            apply: the contract, which says what may be ordered.
            observe: told each point of the work.

        Raises:
            QuarantineError: entries or heads have changed on the disk.
        """
        self._database = database
        self._signer = signer
        self._apply = apply
        self._observe = observe
        self._store = TreeStore(LOG)
        # Safe for any thread: it has a lock of its own.
        self._tiles = TileCache(database, self._store)
        # Replaced by the writing thread alone (the sequencer's ordering thread, on Fabric the follower),
        # after the commit and as a whole; any thread reads it once a call. It never gets smaller.
        self._ordered = EMPTY_TREE_HEAD
        # The writing thread's alone: no lock, no other reader.
        self._values = CachedState(database, self._store)
        self._replay = Replay(self._values, apply)
        self._staged = EMPTY_TREE_HEAD
        self._heads: dict[str, TreeHead | None] = {}
        self._is_current = False
        self.load()
        self._repair()

    def load(self) -> None:
        """Load what the database holds; after a start, and after any failure.

        Raises:
            QuarantineError: a head is not what was stored.
        """
        try:
            with self._database.connect() as connection:
                self._heads = {name: self._store.head(connection, name) for name in self._names}
                length = self._store.length(connection)
        except LogError as error:
            raise QuarantineError(f"a stored head has changed on the disk: {LOST}") from error
        self._staged = self._heads[STAGED] or EMPTY_TREE_HEAD
        self._ordered = self._heads[ORDERED] or EMPTY_TREE_HEAD
        self._check_heads(length)
        self._values.forget()
        self._replay = Replay(self._values, self._apply, self._staged.time)
        self._is_current = True

    @property
    def head(self) -> TreeHead:
        """The last signed head; size 0 and no note before the first."""
        return self._ordered

    @property
    def pending(self) -> int:
        """Number of staged entries not yet under a signed head."""
        return self._staged.size - self._ordered.size

    @property
    def state(self) -> State:
        """The committed contract state after the last staged entry."""
        return ReadState(self._database, self._store)

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
        self._load_again()
        self._is_current = False
        rows: list[EntryRow] = []
        refusals: list[RefusedCandidate] = []
        with self._database.connect() as connection:
            known = self._store.positions(connection, [candidate.hashed for candidate in batch])
            self._values.use(connection)
            self._values.fetch(connection, [f"id/{candidate.entry.id}" for candidate in batch])
            try:
                outcomes = [self._admit(candidate, known, rows) for candidate in batch]
                for candidate, outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, EntryRefusedError) and candidate.entry.type == "query.intent":
                        self._record(
                            RefusedCandidate.of(candidate, outcome.code), record, known, rows, refusals
                        )
            finally:
                self._values.use(None)
        if rows:
            self._write_staged(rows, refusals)
        self._is_current = True
        return outcomes

    def order(self) -> TreeHead:
        """Bring every staged entry under a signed head.

        Raises:
            QuarantineError: a stored leaf is no longer what was staged, or a tile not what was ordered.
            LogError: another process has moved the head.
        """
        self._load_again()
        if not self.pending:
            return self._ordered
        writer = self._last_tree()
        for begin in range(self._ordered.size, self._staged.size, TILE_WIDTH):
            self._reread(writer, begin, min(begin + TILE_WIDTH, self._staged.size))
        self._observe(Point.REREAD)
        tiles = writer.take_changed()
        root = root_from(writer.size, TileSource(writer))
        new = TreeHead(writer.size, root, self._sign(writer.size, root), self._staged.time)
        self._observe(Point.SIGNED)
        self._is_current = False
        with writing(self._database) as connection:
            self._store.swap_head(connection, ORDERED, self._heads[ORDERED], new)
            self._store.put_tiles(connection, tiles)
            self._observe(Point.ORDERING)
        self._tiles.keep(tiles)
        self._heads[ORDERED] = self._ordered = new
        self._is_current = True
        return new

    def known(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Positions of the leaf hashes that are stored."""
        with self._database.connect() as connection:
            return self._store.positions(connection, hashes)

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as a signed head covers them.

        Raises:
            LogError: one is not what was stored; it is not given out.
        """
        end = min(end, self._ordered.size)
        with self._database.connect() as connection:
            found = self._store.leaves(connection, begin, end)
        return whole_leaves(found, begin, end, self._tiles.source())

    def content(self, tile: Tile) -> bytes:
        """Bytes of a public tile or bundle."""
        if tile.level < 0:
            begin = tile.index * TILE_WIDTH
            return encode_bundle(self.leaves(begin, begin + tile.width))
        return self._tiles.tile(tile.level, tile.index, tile.width)[: tile.width * HASH_BYTES]

    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        """Inclusion proofs of several entries in one tree."""
        source = self._tiles.source()
        return [tuple(inclusion_path(position, size, source)) for position in positions]

    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        """Consistency proof between two sizes of this log."""
        return tuple(consistency_path(old, new, self._tiles.source()))

    def judge(self, policy: Policy, note: bytes) -> None:
        """Compare a checkpoint that the log has signed, wherever it comes from, with this log.

        Raises:
            NoteError: not signed by the log: no evidence of anything.
            ForkError: it is larger than this log, or has another root; then it carries both notes.
        """
        _, seen = policy.verify_log(note)
        if seen.size > self._ordered.size:
            raise ForkError(f"a witness has seen {seen.size} entries, this log has {self._ordered.size}")
        if root_at(seen.size, self._ordered, self._tiles.source()) != seen.root:
            text = f"a witness has seen another tree of {seen.size} entries"
            raise ForkError(text, (self._ordered.note, note))

    def _load_again(self) -> None:
        """Load again after a failure: nothing half done is ever built upon."""
        if not self._is_current:
            self.load()

    def _check_heads(self, length: int) -> None:
        """The heads fit each other and the leaves, and the signed one is that of its note."""
        ordered = self._ordered
        if not ordered.size <= self._staged.size == length:
            raise QuarantineError(f"the stored heads do not fit the stored entries: {LOST}")
        if ordered.size == 0 or self._signer is None:
            return
        try:
            kept = verify_signed(Note.parse(ordered.note), self._signer.verifier)
        except NoteError as error:
            raise QuarantineError(f"the stored checkpoint has changed on the disk: {LOST}") from error
        if (kept.size, kept.root) != (ordered.size, ordered.root):
            raise QuarantineError(f"the stored head has changed on the disk: {LOST}")

    def _repair(self) -> None:
        """Rebuild tiles and state where they are not those of the leaves."""
        with self._database.connect() as connection:
            state = state_holds(connection, self._store, self._staged.size, self._staged.time)
        if state and tiles_hold(self._database, self._store, self._ordered):
            return
        log.error("the log's %s changed on the disk: rebuilt from its entries", "tiles" if state else "state")
        rebuild(self._database, LOG, self._apply, self._ordered, (STAGED, self._staged))
        self.load()

    def _last_tree(self) -> TileWriter:
        """The tree of the last head, whose root its tiles must give."""
        try:
            writer = TileWriter(self._ordered.size, self._tiles)
            root = root_from(self._ordered.size, self._tiles.source())
        except (MerkleError, TileError) as error:
            raise QuarantineError("tiles of the log are missing: start the node again") from error
        if root != self._ordered.root:
            raise QuarantineError(
                "tiles of the log have changed since they were stored: start the node again"
            )
        return writer

    def _admit(
        self, candidate: Candidate, known: dict[bytes, int], rows: list[EntryRow]
    ) -> int | LedgerError:
        """Position of a candidate, new or known, or the contract's refusal."""
        position = known.get(candidate.hashed)
        if position is not None:
            return position
        try:
            self._replay.admit(candidate.entry)
        except EntryRefusedError as error:
            return error
        position = self._staged.size + len(rows)
        entry = candidate.entry
        rows.append(EntryRow(position, candidate.leaf, candidate.hashed, entry.id, entry.type, None))
        known[candidate.hashed] = position
        return position

    def _record(
        self,
        refusal: RefusedCandidate,
        record: Callable[[RefusedCandidate], bytes | None],
        known: dict[bytes, int],
        rows: list[EntryRow],
        refusals: list[RefusedCandidate],
    ) -> None:
        leaf = record(refusal)
        if leaf is None:
            return
        try:
            candidate = Candidate.parse(leaf)
        except EntryError as error:
            raise QuarantineError(f"the log's own entry is malformed: {error}") from error
        if isinstance(self._admit(candidate, known, rows), int):
            refusals.append(refusal)

    def _sign(self, size: int, root: bytes) -> bytes:
        """Note of a new head; empty where this log does not sign."""
        if self._signer is None:
            return b""
        return sign_checkpoint(Checkpoint(self._signer.verifier.name, size, root), self._signer).format()

    def _write_staged(
        self,
        rows: Sequence[EntryRow],
        refusals: Sequence[RefusedCandidate],
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        new = TreeHead(self._staged.size + len(rows), self._ordered.root, b"", self._replay.time)
        with writing(self._database) as connection:
            if also is not None:
                also(connection)
            self._store.swap_head(connection, STAGED, self._heads[STAGED], new)
            self._store.put_rows(connection, rows)
            self._values.write(connection)
            self._values.seal(connection, new.size, new.time)
            if refusals:
                connection.execute(REFUSAL.insert(), [vars(refusal) for refusal in refusals])
            self._observe(Point.STAGING)
        self._heads[STAGED] = self._staged = new

    def _reread(self, writer: TileWriter, begin: int, end: int) -> None:
        """Add the stored leaves begin … end − 1 to the tree, each hashed again."""
        with self._database.connect() as connection:
            stored = self._store.leaves(connection, begin, end)
        for expected, (position, leaf, hashed) in zip(range(begin, end), stored, strict=False):
            if position != expected or leaf_hash(leaf) != hashed:
                raise QuarantineError(
                    f"stored entry {expected} has changed since it was staged: restore the database"
                )
            writer.append(hashed)
        if writer.size != end:
            raise QuarantineError(f"stored entries {begin} to {end} are not all there: restore the database")
