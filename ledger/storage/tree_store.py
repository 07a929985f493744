"""One tree in a database: its leaves, tiles, heads and the contract's state. No rules, no threads of its own.

Tiles that were used lately are kept in memory, in bounded number: proofs near the head seldom touch the
database. A tile only ever grows at its end, so a longer one serves every older size too. The writer updates
the cache after the commit.

**State digest**: a digest of the contract's state is kept beside it, so that a flipped bit on the disk never
decides a question::

    term(key, value) = SHA-256(u32 length of key ‖ key ‖ value) as an integer
    sum              = Σ term over every key of the state, mod 2^256

The sum does not depend on the order of the keys, so one changed value costs two terms, whatever the size of
the state. It stands with the tree's size and the contract's time in the state table itself, under a key no
contract uses, and is committed with every change. At a start the whole table is summed again: about a second
for a million keys.

It finds what a disk or a hand has changed, lost or added, and is no proof against an attacker who can write
the database: that is what replay and witnesses are for.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Insert, LargeBinary, Table, bindparam, cast, select, update
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from ledger.canonical import decode, encode
from ledger.contract.replay import NO_TIME
from ledger.errors import CanonicalError, LogError
from ledger.formats.tiles import TileReader, TileSource
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, HashSource, leaf_hash
from ledger.storage.database import TreeTables

_STATE_BYTES = 1 << 24
_TILES = 512
_ROWS = 5_000
DIGEST_KEY = "state-digest"
"""Its row in the state table; the contract's keys are those of ``ledger.contract.state``."""
_MODULUS = 1 << 256


@dataclass(frozen=True)
class TreeHead:
    """A row of the head table.

    Attributes:
        size: leaves.
        root: 32 bytes.
        note: checkpoint note; empty where none belongs to this head.
        time: the contract's time after the last leaf.
    """

    size: int
    root: bytes
    note: bytes
    time: str


EMPTY_TREE_HEAD = TreeHead(0, EMPTY_ROOT, b"", NO_TIME)


@dataclass(frozen=True)
class EntryRow:
    """A leaf to be stored.

    Attributes:
        position: its index.
        leaf: its bytes.
        leaf_hash: its RFC 6962 hash.
        entry_id: the entry's id, None where it does not parse.
        entry_type: the entry's type, likewise.
        void: code of its refusal, None where it counts.
    """

    position: int
    leaf: bytes
    leaf_hash: bytes
    entry_id: str | None
    entry_type: str | None
    void: str | None


class TreeStore:
    """Reads and writes of one tree; each call takes the connection of the transaction it belongs to."""

    def __init__(self, tables: TreeTables) -> None:
        self._tables = tables
        entry, tile, state, head = tables.entry, tables.tile, tables.state, tables.head
        self._value = select(state.c.value).where(state.c.key == bindparam("key"))
        self._tile = select(tile.c.hashes).where(
            tile.c.level == bindparam("level"), tile.c.position == bindparam("position")
        )
        self._leaves = (
            select(entry.c.position, entry.c.leaf, entry.c.leaf_hash)
            .where(entry.c.position >= bindparam("begin"), entry.c.position < bindparam("end"))
            .order_by(entry.c.position)
        )
        # As bytes: a flipped bit may make a text of bytes, or no text of a text, which SQLite cannot give.
        read = {
            name: cast(head.c[name], LargeBinary).label(name) for name in ("name", "root", "note", "time")
        }
        self._heads = select(read["name"], head.c.size, read["root"], read["note"], read["time"])

    def head(self, connection: Connection, name: str) -> TreeHead | None:
        """The head called ``name``, or None.

        The few rows are read through as well: a flipped bit in the index hides one, or shows another's.

        Raises:
            LogError: what is stored is no head, or the table has another than the index shows.
        """
        found = connection.execute(self._heads.where(self._tables.head.c.name == name)).all()
        if found != [row for row in connection.execute(self._heads) if row.name == name.encode()]:
            raise LogError(damaged("a head"))
        if not found:
            return None
        _, size, root, note, time = found[0]
        if not isinstance(size, int):
            raise LogError(damaged("a head"))
        return TreeHead(size, root, note, time.decode("ascii", "replace"))

    def notes(self, connection: Connection) -> list[bytes]:
        """The note of every head, whatever the index shows."""
        return [row.note for row in connection.execute(self._heads)]

    def put_head(self, connection: Connection, name: str, head: TreeHead) -> None:
        """Store a head that is compared with nothing."""
        connection.execute(upsert(connection, self._tables.head, "name"), {"name": name, **vars(head)})

    def swap_head(self, connection: Connection, name: str, old: TreeHead | None, new: TreeHead) -> None:
        """Replace head ``old`` by ``new``.

        Raises:
            LogError: the stored head is not ``old``: another process writes this tree.
        """
        table = self._tables.head
        if old is None:
            done = insert_new(connection, table, "name", {"name": name, **vars(new)})
        else:
            same = (table.c.name == name, table.c.size == old.size, table.c.root == old.root)
            done = connection.execute(update(table).where(*same).values(**vars(new))).rowcount == 1
        if not done:
            raise LogError("another process writes this log: stop one of the two")

    def tile(self, connection: Connection, level: int, position: int) -> bytes:
        """Hashes of a tile so far; empty where there is none."""
        found = connection.execute(self._tile, {"level": level, "position": position}).scalar()
        return b"" if found is None else stored_bytes(found)

    def put_tiles(self, connection: Connection, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Store tiles (level, position) → hashes, in place of shorter ones."""
        rows = [{"level": key[0], "position": key[1], "hashes": value} for key, value in tiles.items()]
        if rows:
            connection.execute(upsert(connection, self._tables.tile, "level", "position"), rows)

    def put_rows(self, connection: Connection, rows: Sequence[EntryRow]) -> None:
        """Store leaves."""
        if rows:
            connection.execute(self._tables.entry.insert(), [vars(row) for row in rows])

    def leaves(self, connection: Connection, begin: int, end: int) -> list[tuple[int, bytes, bytes]]:
        """(position, leaf, stored hash) of positions begin … end − 1 that exist, in order."""
        rows = connection.execute(self._leaves, {"begin": begin, "end": end})
        return [(row.position, stored_bytes(row.leaf), stored_bytes(row.leaf_hash)) for row in rows]

    def length(self, connection: Connection) -> int:
        """One more than the last position; 0 without leaves."""
        column = self._tables.entry.c.position
        last = connection.execute(select(column).order_by(column.desc()).limit(1)).scalar()
        return 0 if last is None else last + 1

    def clear(self, connection: Connection, *, leaves: bool) -> None:
        """Remove tiles and state; heads and leaves as well where ``leaves`` says so."""
        tables = self._tables
        for table in (tables.tile, tables.state, *((tables.entry, tables.head) if leaves else ())):
            connection.execute(table.delete())

    def positions(self, connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Lowest position of each of these leaf hashes that is stored."""
        table = self._tables.entry
        query = select(table.c.leaf_hash, table.c.position).where(table.c.leaf_hash.in_(hashes))
        rows = connection.execute(query.order_by(table.c.position.desc()))
        return {row.leaf_hash: row.position for row in rows}

    def find(self, connection: Connection, entry_id: str) -> int | None:
        """Position of the entry with this id that counts, or None."""
        table = self._tables.entry
        query = select(table.c.position).where(table.c.entry_id == entry_id, table.c.void.is_(None))
        return connection.execute(query.order_by(table.c.position)).scalars().first()

    def of_type(
        self, connection: Connection, entry_type: str, begin: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """(position, leaf) of up to ``limit`` entries of a type that count, from ``begin`` on.

        Raises:
            LogError: a leaf is not what was stored.
        """
        table = self._tables.entry
        query = select(table.c.position, table.c.leaf, table.c.leaf_hash).where(
            table.c.entry_type == entry_type, table.c.void.is_(None), table.c.position >= begin
        )
        found: list[tuple[int, bytes]] = []
        for row in connection.execute(query.order_by(table.c.position).limit(limit)):
            if leaf_hash(stored_bytes(row.leaf)) != row.leaf_hash:
                raise LogError(f"{damaged(f'entry {row.position}')}")
            found.append((row.position, row.leaf))
        return found

    def void(self, connection: Connection, position: int) -> str | None:
        """The code of a void leaf; None if the leaf counts."""
        table = self._tables.entry
        return connection.execute(select(table.c.void).where(table.c.position == position)).scalar()

    def voids(self, connection: Connection) -> Iterator[tuple[int, str]]:
        """(position, code) of every void leaf, in order."""
        table = self._tables.entry
        query = select(table.c.position, table.c.void).where(table.c.void.is_not(None))
        for row in connection.execute(query.order_by(table.c.position)):
            yield row.position, row.void

    def value(self, connection: Connection, key: str) -> Any:
        """The contract's value under ``key``, or None.

        Raises:
            LogError: what is stored is no value.
        """
        found = connection.execute(self._value, {"key": key}).scalar()
        return None if found is None else _value(found)

    def values(self, connection: Connection, keys: Collection[str]) -> dict[str, Any]:
        """The contract's values under those of ``keys`` that have one.

        Raises:
            LogError: what is stored is no value.
        """
        table = self._tables.state
        rows = connection.execute(select(table.c.key, table.c.value).where(table.c.key.in_(keys)))
        return {row.key: _value(row.value) for row in rows}

    def state_digest(self, connection: Connection) -> StateDigest:
        """The digest of the state as look-ups find it: read through by its index, from end to end.

        Raises:
            LogError: the index is out of order, or holds something else than texts and bytes.
        """
        return StateDigest.of(self._states(connection))

    def _states(self, connection: Connection) -> Iterator[tuple[str, bytes]]:
        """(key, value) of the whole state.

        SQLite is told to go through the index: it then takes the keys from there, and a key that look-ups
        would miss is missed here as well.
        """
        table = self._tables.state
        query = select(table.c.key, table.c.value).order_by(table.c.key)
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            query = query.with_hint(table, f"INDEXED BY sqlite_autoindex_{table.name}_1", "sqlite")
        before = ""
        for key, value in connection.execute(query, execution_options={"yield_per": _ROWS}):
            if not isinstance(key, str) or (is_sqlite and key <= before):
                raise LogError(damaged("the index of the state"))
            before = key
            yield key, stored_bytes(value)

    def put_values(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Store the contract's values."""
        rows = [{"key": key, "value": encode(value)} for key, value in values.items()]
        if rows:
            connection.execute(upsert(connection, self._tables.state, "key"), rows)


def whole_leaves(
    found: Sequence[tuple[int, bytes, bytes]], begin: int, end: int, tree: HashSource
) -> list[bytes]:
    """The leaves of every position begin … end − 1, each hashed again and compared with ``tree``.

    A damaged page hides whole rows, and an index that leads to another row gives that row's leaf and hash
    under this one's position: so neither the number of rows nor the stored hash is relied on.

    Args:
        found: as ``TreeStore.leaves`` gives them; its transaction has ended where ``tree`` reads in another
        one, which would wait for a writer that waits for the first.

    Raises:
        LogError: a leaf is not what was stored, or is not found.
    """
    for expected, (position, leaf, _) in enumerate(found, begin):
        if position != expected or leaf_hash(leaf) != tree.hash(0, expected):
            raise LogError(damaged(f"entry {expected}"))
    if begin + len(found) < end:
        raise LogError(damaged(f"entry {begin + len(found)}"))
    return [leaf for _, leaf, _ in found]


def damaged(what: str) -> str:
    """The error for a database whose content is not what was stored, with the remedy."""
    return (
        f"the database of the ledger is damaged: {what} has changed on the disk. Start the node again, which "
        "rebuilds what can be rebuilt; else restore the database or recover the log from a mirror"
    )


def stored_bytes(value: object) -> bytes:
    """A column of bytes as it was read; one flipped bit makes another type of it in SQLite.

    Raises:
        LogError: it holds something else.
    """
    if not isinstance(value, bytes):
        raise LogError(damaged("a row"))
    return value


def _value(stored: object) -> Any:
    try:
        return decode(stored_bytes(stored), max_bytes=_STATE_BYTES, max_depth=16)
    except CanonicalError as error:
        raise LogError(damaged("a value of the state")) from error


def upsert(connection: Connection, table: Table, *keys: str) -> Insert:
    """An insert that replaces the row with the same ``keys``."""
    statement = _insert(connection, table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    replacing: Insert = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return replacing


def insert_new(connection: Connection, table: Table, key: str, values: Mapping[str, Any]) -> bool:
    """Insert a row; False, and no change, when there is one with this key."""
    statement = (
        _insert(connection, table).on_conflict_do_nothing(index_elements=[key]).returning(table.c[key])
    )
    return connection.execute(statement, values).first() is not None


def _insert(connection: Connection, table: Table) -> Any:
    """The dialect's own insert, which knows conflicts."""
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)


class TileCache(TileReader):
    """A ``TileReader`` over the stored tiles that keeps those used last, 8 KiB each; safe for threads."""

    def __init__(self, database: Engine, store: TreeStore) -> None:
        self._database = database
        self._store = store
        # Guards `_kept`. Not held while the database is read: two threads may read the same tile.
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        with self._lock:
            found = self._kept.get((level, index))
            if found is not None and len(found) >= width * HASH_BYTES:
                self._kept.move_to_end((level, index))
                return found
        with self._database.connect() as connection:
            read = self._store.tile(connection, level, index)
        if read:
            self.keep({(level, index): read})
        return read

    def keep(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Take tiles that were read or committed; a longer one of the same place wins."""
        with self._lock:
            for key, value in tiles.items():
                if len(value) >= len(self._kept.get(key, b"")):
                    self._kept[key] = value
                self._kept.move_to_end(key)
            while len(self._kept) > _TILES:
                self._kept.popitem(last=False)

    def source(self) -> HashSource:
        """A fresh ``HashSource``, for one proof or a few of the same time."""
        return TileSource(self)


class StoredTiles(TileReader):
    """A ``TileReader`` over the stored tiles as one transaction sees them."""

    def __init__(self, connection: Connection, store: TreeStore) -> None:
        self._connection = connection
        self._store = store

    @override
    def tile(self, level: int, index: int, width: int) -> bytes:
        del width
        return self._store.tile(self._connection, level, index)


@dataclass(frozen=True)
class StateDigest:
    """The digest that a whole state table must give.

    Attributes:
        count: number of keys.
        sum: of their terms, below 2^256.
    """

    count: int
    sum: int

    def changed(self, key: str, old: bytes | None, new: bytes) -> StateDigest:
        """The digest after the value of ``key`` has become ``new``; ``old`` is None where there was none."""
        total = self.sum + _term(key, new)
        if old is None:
            return StateDigest(self.count + 1, total % _MODULUS)
        return StateDigest(self.count, (total - _term(key, old)) % _MODULUS)

    def record(self, size: int, time: str) -> dict[str, Any]:
        """The value kept under ``DIGEST_KEY`` for a tree of ``size`` leaves at the contract's ``time``."""
        return {"count": self.count, "size": size, "sum": f"{self.sum:064x}", "time": time}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> StateDigest:
        """The digest that a record holds; one that cannot be read is that of no state."""
        try:
            return cls(int(record["count"]), int(record["sum"], 16))
        except (KeyError, TypeError, ValueError):
            return cls(-1, -1)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, bytes]]) -> StateDigest:
        """The digest of (key, value) rows; the digest's own row is left out."""
        count = total = 0
        for key, value in rows:
            if key != DIGEST_KEY:
                count += 1
                total += _term(key, value)
        return cls(count, total % _MODULUS)


EMPTY_STATE = StateDigest(0, 0)


def _term(key: str, value: bytes) -> int:
    name = key.encode("utf-8")
    return int.from_bytes(hashlib.sha256(len(name).to_bytes(4, "big") + name + value).digest(), "big")
