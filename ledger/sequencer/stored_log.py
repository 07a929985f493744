"""The log as one database holds it: entries, heads, tiles and the contract's state, with reading and proofs.

``StoredLog`` is the part that the logs of both engines hold: ``ledger.sequencer.ordering.OrderedLog``, which
stages admitted entries, and ``ledger.fabric.derived.DerivedLog``, which fills it from a peer's blocks.

After a failure it is not known what was stored: memory is dropped, and the database is loaded before anything
else is done. The compare-and-swap of a head fails when another process writes the same log.

At a start heads, tiles and state are checked, and rebuilt from the leaves where they have changed on the
disk (``ledger.storage.repair``); before every head the tiles that it grows from must still give the last
one's root.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from ledger.contract.replay import Apply, Replay
from ledger.contract.state import State
from ledger.errors import LogError, MerkleError, NoteError, QuarantineError, TileError
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint, verify_signed
from ledger.formats.note import Note, NoteSigner
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, encode_bundle
from ledger.merkle import HASH_BYTES, consistency_path, inclusion_path, leaf_hash, root_from
from ledger.storage import repair
from ledger.storage.database import LOG, writing
from ledger.storage.sql_state import CachedState, ReadState
from ledger.storage.tree_store import EMPTY_TREE_HEAD, EntryRow, TileCache, TreeHead, TreeStore, whole_leaves

STAGED = "staged"
"""Name of the head row that covers all stored entries."""

ORDERED = "ordered"
"""Name of the head row with the last root."""

log = logging.getLogger("hedui.log")


class OpenReplay:
    """The replay of the next entries, which reads the state through one connection.

    ``StoredLog.replaying`` gives it; the writing thread alone uses it.
    """

    def __init__(self, connection: Connection, store: TreeStore, values: CachedState, replay: Replay) -> None:
        """Args: ``replay`` continues after the last stored entry."""
        self._connection = connection
        self._store = store
        self._values = values
        self.replay = replay

    def positions(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Positions of the leaf hashes that are stored."""
        return self._store.positions(self._connection, hashes)

    def fetch(self, keys: Collection[str]) -> None:
        """Read several keys of the state at once, so that the contract finds them in memory."""
        self._values.fetch(self._connection, keys)


class LogWrite:
    """One transaction that changes a stored log; the log's memory follows once it is committed.

    ``StoredLog.writing`` gives it; the writing thread alone uses it.
    """

    def __init__(
        self,
        connection: Connection,
        store: TreeStore,
        values: CachedState,
        heads: Mapping[str, TreeHead | None],
    ) -> None:
        """Args: ``heads`` are the stored heads by name before the transaction."""
        self._store = store
        self._values = values
        self.connection = connection
        self.heads = dict(heads)
        self.tiles: dict[tuple[int, int], bytes] = {}

    def swap_head(self, name: str, new: TreeHead) -> None:
        """Replace the head ``name``.

        Raises:
            LogError: another process has moved it.
        """
        self._store.swap_head(self.connection, name, self.heads[name], new)
        self.heads[name] = new

    def put_entries(self, rows: Sequence[EntryRow], size: int, time: str) -> None:
        """Store the next entries with the state after them.

        Args:
            rows: the entries, which have been replayed.
            size: number of entries after them.
            time: the contract's time after them.
        """
        self._store.put_rows(self.connection, rows)
        self._values.write(self.connection)
        self._values.seal(self.connection, size, time)

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Store the changed tiles by (level, index)."""
        self._store.put_tiles(self.connection, tiles)
        self.tiles.update(tiles)

    def leaves(self, begin: int, end: int) -> Sequence[tuple[int, bytes, bytes]]:
        """(position, leaf, leaf hash) of entries begin … end − 1, read back from the database."""
        return self._store.leaves(self.connection, begin, end)


def check_nothing(stored: StoredLog) -> None:
    """Check nothing more than ``StoredLog.load`` does."""
    del stored


class StoredLog:
    """The entries, heads, tiles and state of one log in one database; one thread writes, any number read."""

    def __init__(
        self,
        database: Engine,
        signer: NoteSigner | None,
        apply: Apply,
        observe: Observe = unobserved,
        *,
        more_heads: Collection[str] = (),
        check: Callable[[StoredLog], None] = check_nothing,
    ) -> None:
        """Load a log; the owner calls ``repair`` next.

        Args:
            database: with the tables of ``ledger.storage.database``.
            signer: the log key; None where heads are kept without notes.
            apply: the contract, for the replay.
            observe: told each point of the work.
            more_heads: names of head rows that are loaded beside ``STAGED`` and ``ORDERED``.
            check: called at the end of each ``load``; raises ``LogError`` for what the owner cannot use.

        Raises:
            QuarantineError: a head is not what was stored.
        """
        self._database = database
        self._signer = signer
        self._apply = apply
        self._observe = observe
        self._names = (STAGED, ORDERED, *more_heads)
        self._check = check
        self._store = TreeStore(LOG)
        # Safe for any thread: it has a lock of its own.
        self._tiles = TileCache(database, self._store)
        # Replaced by the writing thread alone (the sequencer's ordering thread, on Fabric the follower),
        # after the commit and as a whole; any thread reads it once per call. It never gets smaller.
        self._ordered = EMPTY_TREE_HEAD
        # The writing thread's alone: no lock, no other reader.
        self._values = CachedState(database, self._store)
        self._replay = Replay(self._values, apply)
        self._staged = EMPTY_TREE_HEAD
        self._heads: dict[str, TreeHead | None] = {}
        self._is_current = False
        self.load()

    def load(self) -> None:
        """Load what the database holds; after a start, and after any failure.

        Raises:
            QuarantineError: a head is not what was stored.
            LogError: of the owner's check.
        """
        try:
            with self._database.connect() as connection:
                heads = {name: self._store.head(connection, name) for name in self._names}
                length = self._store.length(connection)
        except LogError as error:
            raise QuarantineError(f"a stored head has changed on the disk: {repair.LOST}") from error
        self._keep_heads(heads)
        self._check_heads(length)
        self._values.forget()
        self._replay = Replay(self._values, self._apply, self._staged.time)
        self._check(self)
        self._is_current = True

    def load_again(self) -> None:
        """Load again after a failure: nothing half done is ever built upon."""
        if not self._is_current:
            self.load()

    def repair(self) -> None:
        """Rebuild tiles and state where they are not those of the leaves.

        Raises:
            QuarantineError: the leaves have changed on the disk as well.
        """
        with self._database.connect() as connection:
            state = repair.state_holds(connection, self._store, self._staged.size, self._staged.time)
        if state and repair.tiles_hold(self._database, self._store, self._ordered):
            return
        log.error("the log's %s changed on the disk: rebuilt from its entries", "tiles" if state else "state")
        repair.rebuild(self._database, LOG, self._apply, self._ordered, (STAGED, self._staged))
        self.load()

    @property
    def head(self) -> TreeHead:
        """The last head; size 0 and no note before the first. Any thread may read it."""
        return self._ordered

    @property
    def staged(self) -> TreeHead:
        """The head that covers all stored entries, whose root may be an older one."""
        return self._staged

    def named_head(self, name: str) -> TreeHead | None:
        """The head row ``name``, one of those that are loaded; None where there is none yet."""
        return self._heads[name]

    @property
    def pending(self) -> int:
        """Number of stored entries not yet under the last head."""
        return self._staged.size - self._ordered.size

    @property
    def state(self) -> State:
        """The committed contract state after the last stored entry."""
        return ReadState(self._database, self._store)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """For a block that changes what is in memory: where it fails, ``load_again`` loads the database."""
        self._is_current = False
        yield
        self._is_current = True

    @contextmanager
    def replaying(self) -> Iterator[OpenReplay]:
        """The replay of the next entries; what it changes in the state is held back for ``writing``."""
        with self._database.connect() as connection:
            self._values.use(connection)
            try:
                yield OpenReplay(connection, self._store, self._values, self._replay)
            finally:
                self._values.use(None)

    @contextmanager
    def writing(self) -> Iterator[LogWrite]:
        """A transaction, within ``changing``: all of it is stored and kept in memory, or nothing."""
        with writing(self._database) as connection:
            write = LogWrite(connection, self._store, self._values, self._heads)
            yield write
        self._tiles.keep(write.tiles)
        self._keep_heads(write.heads)

    def order(self) -> TreeHead:
        """Bring every stored entry under a head, signed where there is a signer.

        Raises:
            QuarantineError: a stored leaf is no longer what was staged, or a tile not what was ordered.
            LogError: another process has moved the head.
        """
        self.load_again()
        if not self.pending:
            return self._ordered
        writer = self.last_tree()
        for begin in range(self._ordered.size, self._staged.size, TILE_WIDTH):
            self._reread(writer, begin, min(begin + TILE_WIDTH, self._staged.size))
        self._observe(Point.REREAD)
        tiles = writer.take_changed()
        root = root_from(writer.size, TileSource(writer))
        new = TreeHead(writer.size, root, self._sign(writer.size, root), self._staged.time)
        self._observe(Point.SIGNED)
        with self.changing(), self.writing() as write:
            write.swap_head(ORDERED, new)
            write.put_tiles(tiles)
            self._observe(Point.ORDERING)
        return new

    def last_tree(self) -> TileWriter:
        """The tree of the last head, to append to.

        Raises:
            QuarantineError: its tiles do not give the head's root.
        """
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

    def known(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Positions of the leaf hashes that are stored."""
        with self._database.connect() as connection:
            return self._store.positions(connection, hashes)

    def void_code(self, position: int) -> str | None:
        """The code for which the leaf at a position is void; None if it counts."""
        with self._database.connect() as connection:
            return self._store.void(connection, position)

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as the last head covers them.

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

    def root_at(self, size: int) -> bytes:
        """Root of the first ``size`` leaves, at most as many as the last head covers.

        Raises:
            LogError: the tiles are not those of the last head: a damaged disk is no evidence against the log.
        """
        return repair.root_at(size, self._ordered, self._tiles.source())

    def _keep_heads(self, heads: dict[str, TreeHead | None]) -> None:
        """Replace the heads in memory by the stored ones."""
        self._heads = heads
        self._staged = heads[STAGED] or EMPTY_TREE_HEAD
        self._ordered = heads[ORDERED] or EMPTY_TREE_HEAD

    def _check_heads(self, length: int) -> None:
        """The heads fit each other and the leaves, and the signed one is that of its note."""
        ordered = self._ordered
        if not ordered.size <= self._staged.size == length:
            raise QuarantineError(f"the stored heads do not fit the stored entries: {repair.LOST}")
        if ordered.size == 0 or self._signer is None:
            return
        try:
            kept = verify_signed(Note.parse(ordered.note), self._signer.verifier)
        except NoteError as error:
            raise QuarantineError(f"the stored checkpoint has changed on the disk: {repair.LOST}") from error
        if (kept.size, kept.root) != (ordered.size, ordered.root):
            raise QuarantineError(f"the stored head has changed on the disk: {repair.LOST}")

    def _sign(self, size: int, root: bytes) -> bytes:
        """Note of a new head; empty where this log does not sign."""
        if self._signer is None:
            return b""
        return sign_checkpoint(Checkpoint(self._signer.verifier.name, size, root), self._signer).format()

    def _reread(self, writer: TileWriter, begin: int, end: int) -> None:
        """Add the stored leaves begin … end − 1 to the tree, each hashed again."""
        with self._database.connect() as connection:
            stored = self._store.leaves(connection, begin, end)
        for expected, (position, leaf, stored_hash) in zip(range(begin, end), stored, strict=False):
            if position != expected or leaf_hash(leaf) != stored_hash:
                raise QuarantineError(
                    f"stored entry {expected} has changed since it was staged: restore the database"
                )
            writer.append(stored_hash)
        if writer.size != end:
            raise QuarantineError(f"stored entries {begin} to {end} are not all there: restore the database")
