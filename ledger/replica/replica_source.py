"""A node's verified replica as a ``LogSource``: the files of a public log, built from the database tables.

Every node holds the whole log. Where the sequencer's database is lost and no mirror is recent enough, a
mirror taken from the home of any node that has followed the log is one to recover from. The replica is read
at one head; entries that the node verifies meanwhile are for the next run.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine
from typing_extensions import override

from ledger.audit.source import LogSource
from ledger.errors import TileError, TileMissingError
from ledger.formats.policy import Policy
from ledger.formats.tiles import CHECKPOINT, POLICY, TILE_HEIGHT, TILE_WIDTH, Tile, TileSource, encode_bundle
from ledger.merkle import HASH_BYTES
from ledger.replica.replica import VERIFIED
from ledger.storage.database import REPLICA
from ledger.storage.tree_store import EMPTY_TREE_HEAD, StoredTiles, TreeStore, whole_leaves


class ReplicaSource(LogSource):
    """The files of a public log, made from a node's replica."""

    def __init__(self, database: Engine, policy: Policy, place: str) -> None:
        """The replica in a database.

        Args:
            database: with the tables of ``ledger.storage.database``; disposed of by ``close``.
            policy: the network's.
            place: what messages call it.

        Raises:
            TileMissingError: the node has verified nothing yet.
        """
        self._database = database
        self._policy = policy
        self._place = place
        self._store = TreeStore(REPLICA)
        with database.connect() as connection:
            self._head = self._store.head(connection, VERIFIED) or EMPTY_TREE_HEAD
        if not self._head.size:
            raise TileMissingError(
                f"the node of {place} has no verified entry yet: let it follow the log first"
            )

    @property
    @override
    def place(self) -> str:
        return self._place

    def names(self) -> Iterator[str] | None:
        """None: the files are built on request and are not listed."""
        return None

    @override
    def close(self) -> None:
        self._database.dispose()

    @override
    def fetch(self, name: str, limit: int) -> bytes:
        if name == POLICY:
            data = self._policy.format().encode()
        elif name == CHECKPOINT:
            data = self._head.note
        else:
            data = self._tile(name)
        if len(data) > limit:
            raise TileError(f"{name} of {self._place} has more than {limit} bytes")
        return data

    def _tile(self, name: str) -> bytes:
        try:
            tile = Tile.parse(name)
        except TileError:
            raise TileMissingError(f"the replica of {self._place} holds no {name}") from None
        begin, end = tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width
        if end > self._head.size >> TILE_HEIGHT * max(tile.level, 0):
            raise TileMissingError(f"the replica of {self._place} holds no {name}")
        with self._database.connect() as connection:
            if tile.level < 0:
                tree = TileSource(StoredTiles(connection, self._store))
                found = self._store.leaves(connection, begin, end)
                return encode_bundle(whole_leaves(found, begin, end, tree))
            return self._store.tile(connection, tile.level, tile.index)[: tile.width * HASH_BYTES]
