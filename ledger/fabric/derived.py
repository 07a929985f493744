"""The log a node derives from its own peer's blocks: same tables, tiles, roots and replay as an ordered log.

    take    in one transaction: leaves with their void codes, the contract's state, tiles and root (from the
            stored bytes, read and hashed again), the position in the chain of blocks

A stop loses and repeats nothing: the position says which block comes next. Two processes on one database
fail when they write. What a disk has changed is found at a start (``ledger.storage.repair``); where entries
or heads have changed, everything is derived again from the first block, since nothing here is the only copy.

The root at a size is a function of the blocks alone. So nodes whose peers agree have the same root, and
those whose peers disagree about one flag have different ones from that leaf on: that is what they find out
when they cosign.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from ledger import contract
from ledger.contract.replay import Apply
from ledger.errors import LogError, MerkleError, QuarantineError
from ledger.fabric.blocks import DerivedBlock, Position
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.tiles import TILE_WIDTH, TileSource, TileWriter
from ledger.merkle import leaf_hash, root_from
from ledger.sequencer.ordering import ORDERED, STAGED, OrderedLog
from ledger.storage.database import LOG, writing
from ledger.storage.repair import root_at
from ledger.storage.tree_store import EMPTY_TREE_HEAD, EntryRow, TreeHead, TreeStore

BLOCK = "block"
"""Head row of the position: size is the next block's number, root the header hash of the one before, note a
digest of both and of the number of leaves: nothing else would show that a disk has changed it."""

SIGNED = "signed"
"""Head row of the last signed head, where this node is the assembler."""

_RECENT = 1 << 16
"""Leaf hashes kept in memory for those who wait for theirs."""

_NO_HASH = bytes(32)

log = logging.getLogger("hedui.fabric")


def block_head(number: int, last: bytes, leaves: int) -> TreeHead:
    """The position before block ``number``, with ``leaves`` derived so far."""
    digest = hashlib.sha256(f"{number}\n{last.hex()}\n{leaves}\n".encode()).digest()
    return TreeHead(number, last, digest, "")


class DerivedLog(OrderedLog):
    """The derived log of one node; one thread takes blocks, any number read and wait."""

    _names = (STAGED, ORDERED, BLOCK, SIGNED)

    def __init__(
        self, database: Engine, apply: Apply = contract.apply, observe: Observe = unobserved
    ) -> None:
        """Open it and finish what a stop left half done.

        Args:
            database: with the tables of ``ledger.storage.database``.
            apply: the contract.
            observe: told each point of the work.

        Raises:
            LogError: the database holds an embedded log.
        """
        # The follower's thread alone: the stored position in the chain of blocks.
        self._block: TreeHead | None = None
        # Notified by the follower's thread after each commit; guards `_released` and writes of `_recent`.
        # The size that waiters compare is that of the last head, which is replaced before the notification.
        self._grown = threading.Condition()
        # Position by leaf hash, of leaves derived lately; a look-up of one key needs no lock.
        self._recent: OrderedDict[bytes, int] = OrderedDict()
        self._released = False
        try:
            super().__init__(database, None, apply, observe)
        except QuarantineError as error:
            log.warning("%s. It is derived again from the own peer's blocks", error)
            with writing(database) as connection:
                TreeStore(LOG).clear(connection, leaves=True)
            super().__init__(database, None, apply, observe)
        self.order()

    def load(self) -> None:
        """Load what the database holds; after a start, and after any failure to write."""
        super().load()
        self._block = self._heads[BLOCK]
        self._check_block()

    def _check_block(self) -> None:
        """The position is what was stored with these leaves."""
        block, ordered, size = self._block, self._ordered, self._staged.size
        if block is None and size and (ordered.size != size or ordered.note):
            raise LogError("this database holds an embedded log: join the Fabric network with a new home")
        if size if block is None else block != block_head(block.size, block.root, size):
            raise QuarantineError("the position in the chain of blocks has changed on the disk")

    @property
    def position(self) -> Position:
        """Which block comes next."""
        if self._block is None:
            return Position()
        return Position(self._block.size, self._block.root)

    @property
    def size(self) -> int:
        """Leaves under the last root."""
        return self.head.size

    def take(self, blocks: Sequence[DerivedBlock]) -> None:
        """Add the leaves of the next blocks, and their root.

        Args:
            blocks: at least one, following one another and ``position``.

        Raises:
            LogError: another process has written this log.
            QuarantineError: a stored leaf is no longer what was staged.
        """
        self.order()
        begin, leaves = self._staged.size, [leaf for block in blocks for leaf in block.leaves]
        after = blocks[-1].after
        self._store_blocks(leaves, block_head(after.next, after.last or _NO_HASH, begin + len(leaves)))
        self._observe(Point.ORDERED)
        with self._grown:
            for place, leaf in enumerate(leaves, begin):
                self._recent.setdefault(leaf_hash(leaf), place)
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            self._grown.notify_all()

    def _store_blocks(self, leaves: Sequence[bytes], block: TreeHead) -> None:
        """Write leaves and position, read the leaves again, write tiles and root: all or nothing."""
        writer = self._last_tree()
        self._is_current = False
        rows = self._replayed(leaves)
        heads = dict(self._heads)
        tiles: dict[tuple[int, int], bytes] = {}
        with writing(self._database) as connection:
            self._store.swap_head(connection, BLOCK, self._block, block)
            if rows:
                size, time = self._staged.size + len(rows), self._replay.time
                self._store.put_rows(connection, rows)
                self._values.write(connection)
                self._values.seal(connection, size, time)
                self._observe(Point.STAGING)
                root, tiles = self._hashed(connection, writer, size)
                for name in (STAGED, ORDERED):
                    new = TreeHead(size, root, b"", time)
                    self._store.swap_head(connection, name, self._heads[name], new)
                    heads[name] = new
                self._store.put_tiles(connection, tiles)
            self._observe(Point.ORDERING)
        self._tiles.keep(tiles)
        self._block, self._heads = block, heads
        self._staged, self._ordered = heads[STAGED] or EMPTY_TREE_HEAD, heads[ORDERED] or EMPTY_TREE_HEAD
        self._is_current = True

    def _replayed(self, leaves: Sequence[bytes]) -> list[EntryRow]:
        """Rows of leaves that are ordered already: nothing is refused, each keeps its place."""
        rows: list[EntryRow] = []
        with self._database.connect() as connection:
            self._values.use(connection)
            try:
                for position, leaf in enumerate(leaves, self._staged.size):
                    step = self._replay.step(leaf)
                    entry = step.entry
                    name, kind = (None, None) if entry is None else (entry.id, entry.type)
                    rows.append(EntryRow(position, leaf, leaf_hash(leaf), name, kind, step.void))
            finally:
                self._values.use(None)
        return rows

    def _hashed(
        self, connection: Connection, writer: TileWriter, size: int
    ) -> tuple[bytes, dict[tuple[int, int], bytes]]:
        """Root and changed tiles after the leaves just written, each read and hashed again."""
        while writer.size < size:
            end = min(writer.size + TILE_WIDTH, size)
            stored = self._store.leaves(connection, writer.size, end)
            for expected, (position, leaf, hashed) in enumerate(stored, writer.size):
                if position != expected or leaf_hash(leaf) != hashed:
                    raise QuarantineError(f"entry {expected} is not what was just stored: check the disk")
                writer.append(hashed)
            if writer.size != end:
                raise QuarantineError("entries are missing that were just stored: check the disk")
        self._observe(Point.REREAD)
        tiles = dict(writer.take_changed())
        return root_from(size, TileSource(writer)), tiles

    def root_at(self, size: int) -> bytes:
        """Root of the first ``size`` leaves.

        Raises:
            MerkleError: there are not so many yet.
            LogError: the tiles are not those of the last root: a damaged disk is no evidence against the log.
        """
        head = self.head
        if size > head.size:
            raise MerkleError(f"only {head.size} entries are derived here yet, not {size}")
        return root_at(size, head, self._tiles.source())

    def wait_for_size(self, size: int, seconds: float) -> bool:
        """Wait until that many leaves are derived; False when they are not within ``seconds``."""
        with self._grown:
            self._grown.wait_for(lambda: self._released or self.size >= size, seconds)
            return self.size >= size

    def release(self) -> None:
        """Release all waiting threads, now and later: no more blocks are read."""
        with self._grown:
            self._released = True
            self._grown.notify_all()

    def place(self, hashed: bytes) -> int | None:
        """Position of the first leaf with this hash under the last root, or None."""
        found = self._recent.get(hashed)
        if found is None:
            found = self.known([hashed]).get(hashed)
        return found if found is not None and found < self.size else None

    def wait_for_leaf(self, hashed: bytes, seconds: float) -> int | None:
        """Position of a leaf by its hash, once it is derived; None when it is not within ``seconds``."""
        deadline = time.monotonic() + seconds
        found = self.place(hashed)
        with self._grown:
            while found is None:
                found = self._recent.get(hashed)
                left = deadline - time.monotonic()
                if found is None and (self._released or left <= 0 or not self._grown.wait(left)):
                    break
        return self.place(hashed) if found is None else found

    def void_code(self, position: int) -> str | None:
        """Why the leaf at a position changes nothing; None where it counts."""
        with self._database.connect() as connection:
            return self._store.void(connection, position)
