"""Finds what a disk has changed in a tree's database, and rebuilds it from the leaves where possible.

Checked before anything is signed or answered, in time that does not depend on the leaves' length:

    heads     sizes fit each other and the last leaf; a stored checkpoint is that of its row
    tiles     the root folded from them is the head's: every hash that a new root is made of takes part
    state     its digest (``ledger.storage.tree_store``) is the stored one, for this size and time

Tiles and state follow from the leaves, so they are rebuilt from them: each leaf is hashed again, replayed,
and the root must be the signed one. Leaves follow from nothing here: where they or a head have changed, the
tree is lost, and the caller says where another copy is.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, update

from ledger.contract.replay import NO_TIME, Apply, Replay
from ledger.errors import LogError, MerkleError, QuarantineError, TileError
from ledger.formats.tiles import TILE_WIDTH, TileSource, TileWriter
from ledger.merkle import HashSource, consistency_path, leaf_hash, root_from, verify_consistency
from ledger.storage.database import TreeTables, writing
from ledger.storage.sql_state import CachedState
from ledger.storage.tree_store import DIGEST_KEY, StoredTiles, TileCache, TreeHead, TreeStore, damaged

LOST = (
    "stored entries are not those that were signed: restore the newest database, or recover the log from an "
    "auditor's mirror"
)


def tiles_hold(database: Engine, store: TreeStore, head: TreeHead) -> bool:
    """Whether the stored tiles lead to the root of ``head``; read from the database, not from memory."""
    try:
        TileWriter(head.size, reader := TileCache(database, store))
        return root_from(head.size, TileSource(reader)) == head.root
    except (LogError, MerkleError, TileError):
        return False


def state_holds(connection: Connection, store: TreeStore, size: int, time: str) -> bool:
    """Whether the stored state is that of ``size`` leaves at ``time``.

    Only a tree without leaves has no digest: elsewhere one that is not found is one that the disk has hidden,
    and who knows what with it.
    """
    try:
        record = store.value(connection, DIGEST_KEY)
        if record is None:
            return size == 0
        return bool(record == store.state_digest(connection).record(size, time))
    except LogError:
        return False


def root_at(size: int, head: TreeHead, source: HashSource) -> bytes:
    """The root that the tree of ``head`` had at an earlier size, which may be evidence against the log.

    Raises:
        LogError: the tiles are not those of ``head``: a damaged disk is no evidence against the log.
    """
    root = root_from(size, source)
    try:
        path = consistency_path(size, head.size, source)
        verify_consistency(size, head.size, root, head.root, path)
    except MerkleError as error:
        raise LogError(damaged("a tile")) from error
    return root


def rebuild(
    database: Engine, tables: TreeTables, apply: Apply, signed: TreeHead, staged: tuple[str, TreeHead]
) -> None:
    """Rebuild tiles and state from the stored leaves, in one transaction.

    Args:
        database, tables: the tree.
        apply: the contract.
        signed: the head whose root the leaves must have.
        staged: name and row of the head that covers all leaves; its time is corrected.

    Raises:
        QuarantineError: the leaves have another root, or some are missing; nothing is changed.
    """
    store, (name, last) = TreeStore(tables), staged
    writer, values = TileWriter(0, TileCache(database, store)), CachedState(database, store)
    replay = Replay(values, apply, NO_TIME)
    with writing(database) as connection:
        store.clear(connection, leaves=False)
        values.use(connection)
        for begin in range(0, last.size, TILE_WIDTH):
            leaves = store.leaves(connection, begin, min(begin + TILE_WIDTH, last.size))
            for expected, (position, leaf, stored_hash) in enumerate(leaves, begin):
                if position != expected or leaf_hash(leaf) != stored_hash:
                    raise QuarantineError(LOST)
                if position < signed.size:
                    writer.append(stored_hash)
                replay.step(leaf)
            store.put_tiles(connection, writer.take_changed())
            values.write(connection)
        stored = TileSource(StoredTiles(connection, store))
        if writer.size != signed.size or root_from(signed.size, stored) != signed.root:
            raise QuarantineError(LOST)
        values.seal(connection, last.size, replay.time)
        row = tables.head.c
        connection.execute(update(tables.head).where(row.name == name).values(time=replay.time))
