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

from sqlalchemy import Engine

from ledger import contract
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.errors import LogError, MerkleError, QuarantineError
from ledger.fabric.blocks import DerivedBlock, Position
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter
from ledger.merkle import leaf_hash, root_from
from ledger.sequencer.stored_log import ORDERED, STAGED, LogWrite, StoredLog
from ledger.storage.database import LOG, writing
from ledger.storage.tree_store import EntryRow, TreeHead, TreeStore

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


def check_position(stored: StoredLog) -> None:
    """Check that the stored position is what was stored with these leaves.

    Raises:
        LogError: the database holds an embedded log.
        QuarantineError: the position has changed on the disk.
    """
    block, head, size = stored.named_head(BLOCK), stored.head, stored.staged.size
    if block is None and size and (head.size != size or head.note):
        raise LogError("this database holds an embedded log: join the Fabric network with a new home")
    if size if block is None else block != block_head(block.size, block.root, size):
        raise QuarantineError("the position in the chain of blocks has changed on the disk")


class DerivedLog:
    """The derived log of one node; one thread takes blocks, any number read and wait."""

    def __init__(
        self, database: Engine, apply: Apply = contract.apply, observe: Observe = unobserved
    ) -> None:
        """Open the log and finish what an interrupted run left undone.

        Args:
            database: with the tables of ``ledger.storage.database``.
            apply: the contract.
            observe: told each point of the work.

        Raises:
            LogError: the database holds an embedded log.
        """
        self._observe = observe
        # Notified by the follower's thread after each commit; guards `_released` and writes of `_recent`.
        # The size that waiters compare is that of the last head, which is replaced before the notification.
        self._grown = threading.Condition()
        # Position by leaf hash, of leaves derived lately; a look-up of one key needs no lock.
        self._recent: OrderedDict[bytes, int] = OrderedDict()
        self._released = False
        # Written by the follower's thread, read by any; see `StoredLog`.
        try:
            self._stored = _opened(database, apply, observe)
        except QuarantineError as error:
            log.warning("%s. It is derived again from the own peer's blocks", error)
            with writing(database) as connection:
                TreeStore(LOG).clear(connection, leaves=True)
            self._stored = _opened(database, apply, observe)
        self._stored.order()

    def load(self) -> None:
        """Load what the database holds, after any failure to write, and finish what is half done.

        Raises:
            LogError: the database holds something else than this log.
            QuarantineError: entries, heads or the position have changed on the disk.
        """
        self._stored.load()
        self._stored.order()

    @property
    def head(self) -> TreeHead:
        """The last head, without a note; size 0 before the first."""
        return self._stored.head

    @property
    def state(self) -> State:
        """The committed contract state after the last leaf."""
        return self._stored.state

    @property
    def position(self) -> Position:
        """Which block comes next."""
        block = self._stored.named_head(BLOCK)
        return Position() if block is None else Position(block.size, block.root)

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
        self._stored.order()
        begin, leaves = self._stored.staged.size, [leaf for block in blocks for leaf in block.leaves]
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
        tree = self._stored.last_tree()
        with self._stored.changing():
            rows, time = self._replayed(leaves)
            with self._stored.writing() as write:
                write.swap_head(BLOCK, block)
                if rows:
                    size = self._stored.staged.size + len(rows)
                    write.put_entries(rows, size, time)
                    self._observe(Point.STAGING)
                    root, tiles = self._hashed(write, tree, size)
                    for name in (STAGED, ORDERED):
                        write.swap_head(name, TreeHead(size, root, b"", time))
                    write.put_tiles(tiles)
                self._observe(Point.ORDERING)

    def _replayed(self, leaves: Sequence[bytes]) -> tuple[list[EntryRow], str]:
        """Rows of leaves that are ordered already, and the contract's time after them.

        Nothing is refused, each leaf keeps its place.
        """
        rows: list[EntryRow] = []
        with self._stored.replaying() as open_replay:
            replay = open_replay.replay
            for position, leaf in enumerate(leaves, self._stored.staged.size):
                step = replay.step(leaf)
                entry = step.entry
                name, kind = (None, None) if entry is None else (entry.id, entry.type)
                rows.append(EntryRow(position, leaf, leaf_hash(leaf), name, kind, step.void))
        return rows, replay.time

    def _hashed(
        self, write: LogWrite, tree: TileWriter, size: int
    ) -> tuple[bytes, dict[tuple[int, int], bytes]]:
        """Root and changed tiles after the leaves just written, each read and hashed again."""
        while tree.size < size:
            end = min(tree.size + TILE_WIDTH, size)
            stored = write.leaves(tree.size, end)
            for expected, (position, leaf, stored_hash) in enumerate(stored, tree.size):
                if position != expected or leaf_hash(leaf) != stored_hash:
                    raise QuarantineError(f"entry {expected} is not what was just stored: check the disk")
                tree.append(stored_hash)
            if tree.size != end:
                raise QuarantineError("entries are missing that were just stored: check the disk")
        self._observe(Point.REREAD)
        tiles = dict(tree.take_changed())
        return root_from(size, TileSource(tree)), tiles

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Leaves begin … end − 1 as far as they are under the last root.

        Raises:
            LogError: one is not what was stored; it is not given out.
        """
        return self._stored.leaves(begin, end)

    def content(self, tile: Tile) -> bytes:
        """Bytes of a public tile or bundle."""
        return self._stored.content(tile)

    def inclusion_paths(self, positions: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
        """Inclusion proofs of several leaves in one tree."""
        return self._stored.inclusion_paths(positions, size)

    def consistency_path(self, old: int, new: int) -> tuple[bytes, ...]:
        """Consistency proof between two sizes of this log."""
        return self._stored.consistency_path(old, new)

    def root_at(self, size: int) -> bytes:
        """Root of the first ``size`` leaves.

        Raises:
            MerkleError: there are not so many yet.
            LogError: the tiles are not those of the last root: a damaged disk is no evidence against the log.
        """
        derived = self.size
        if size > derived:
            raise MerkleError(f"only {derived} entries are derived here yet, not {size}")
        return self._stored.root_at(size)

    def wait_for_size(self, size: int, seconds: float) -> bool:
        """Wait until that many leaves are derived; False when they are not within ``seconds``."""
        with self._grown:
            self._grown.wait_for(lambda: self._released or self.size >= size, seconds)
            return self.size >= size

    def release(self) -> None:
        """Release all waiting threads, now and later, because no more blocks are read."""
        with self._grown:
            self._released = True
            self._grown.notify_all()

    def place(self, leaf_hash: bytes) -> int | None:
        """Position of the first leaf with this hash under the last root, or None."""
        found = self._recent.get(leaf_hash)
        if found is None:
            found = self._stored.known([leaf_hash]).get(leaf_hash)
        return found if found is not None and found < self.size else None

    def wait_for_leaf(self, leaf_hash: bytes, seconds: float) -> int | None:
        """Position of a leaf by its hash, once it is derived; None when it is not within ``seconds``."""
        deadline = time.monotonic() + seconds
        found = self.place(leaf_hash)
        with self._grown:
            while found is None:
                found = self._recent.get(leaf_hash)
                left = deadline - time.monotonic()
                if found is None and (self._released or left <= 0 or not self._grown.wait(left)):
                    break
        return self.place(leaf_hash) if found is None else found

    def void_code(self, position: int) -> str | None:
        """The code for which the leaf at a position is void; None if it counts."""
        return self._stored.void_code(position)


def _opened(database: Engine, apply: Apply, observe: Observe) -> StoredLog:
    """The stored log, checked and repaired."""
    stored = StoredLog(database, None, apply, observe, more_heads=(BLOCK, SIGNED), check=check_position)
    stored.repair()
    return stored
