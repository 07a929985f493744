"""The contract's state in a database: for the one writer of a tree, and for its readers.

Values that were used lately are kept in memory, in bounded number: the contract's reads seldom touch the
database. The writer drops its uncommitted values when the transaction fails.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Engine
from typing_extensions import override

from ledger.canonical import encode
from ledger.contract.state import State
from ledger.errors import LogError
from ledger.storage.tree_store import DIGEST_KEY, EMPTY_STATE, StateDigest, TreeStore, damaged

_VALUES = 50_000
_ABSENT = object()


class CachedState(State):
    """The contract's state for the one writer of a tree: reads through memory, holds writes back.

    It keeps the state's digest as well (``ledger.storage.tree_store``): ``write`` stores the changes and
    ``seal`` the digest, both in the caller's transaction.
    """

    def __init__(self, database: Engine, store: TreeStore) -> None:
        self._database = database
        self._store = store
        # No lock: all of it belongs to the one thread that writes the tree at that time. Values and keys
        # without one that were read or written; the changes held back, with the values before them; the
        # digest after the last `write`; the connection to read through.
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._absent: set[str] = set()
        self._before: dict[str, Any] = {}
        self._digest: StateDigest | None = None
        self._connection: Connection | None = None
        self.changes: dict[str, Any] = {}

    def use(self, connection: Connection | None) -> None:
        """Read through this connection from now on; None: one of its own for each read."""
        self._connection = connection

    @override
    def get(self, key: str) -> Any:
        return self.changes[key] if key in self.changes else self._get_written(key)

    def fetch(self, connection: Connection, keys: Collection[str]) -> None:
        """Read several keys at once, so that ``get`` finds them in memory."""
        known = (self.changes, self._kept, self._absent)
        wanted = [key for key in keys if not any(key in place for place in known)]
        found = self._store.values(connection, wanted) if wanted else {}
        for key, value in found.items():
            self._keep(key, value)
        self._absent.update(key for key in wanted if key not in found)

    @override
    def put(self, key: str, value: Any) -> None:
        if key not in self.changes:
            self._before[key] = self._get_written(key)
        self.changes[key] = value

    def write(self, connection: Connection) -> None:
        """Store the changes held back; they are read from memory from now on."""
        digest = self._current(connection)
        for key, value in self.changes.items():
            old = self._before[key]
            digest = digest.changed(key, None if old is None else encode(old), encode(value))
        self._store.put_values(connection, self.changes)
        self._digest = digest
        self._absent.clear()
        self._before = {}
        for key, value in self.changes.items():
            self._keep(key, value)
        self.changes = {}

    def seal(self, connection: Connection, size: int, time: str) -> None:
        """Store the digest of the state after ``size`` leaves at the contract's ``time``."""
        record = self._current(connection).record(size, time)
        self._store.put_values(connection, {DIGEST_KEY: record})

    def forget(self) -> None:
        """Drop everything in memory, after a transaction that was not or may not have been committed."""
        self.changes = {}
        self._before = {}
        self._absent.clear()
        self._kept.clear()
        self._digest = None

    def _current(self, connection: Connection) -> StateDigest:
        """The digest in memory, else the stored one; only a state without keys has none yet.

        Raises:
            LogError: the stored one is gone; a new one would hide what has gone with it.
        """
        if self._digest is None:
            record = self._store.value(connection, DIGEST_KEY)
            if record is None and self._store.state_digest(connection) != EMPTY_STATE:
                raise LogError(damaged("the digest of the state"))
            self._digest = EMPTY_STATE if record is None else StateDigest.of_record(record)
        return self._digest

    def _get_written(self, key: str) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self._absent:
            return None
        if self._connection is not None:
            value = self._store.value(self._connection, key)
        else:
            with self._database.connect() as connection:
                value = self._store.value(connection, key)
        if value is None:
            self._absent.add(key)
        else:
            self._keep(key, value)
        return value

    def _keep(self, key: str, value: Any) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > _VALUES:
            self._kept.popitem(last=False)


class ReadOnlyState(State):
    """A state that is read and never written, for ``ledger.contract.view``."""

    def put(self, key: str, value: Any) -> None:
        """Refuse: only replay writes.

        Raises:
            LogError: always.
        """
        del key, value
        raise LogError("the state is read here, not written: append an entry")


class ReadState(ReadOnlyState):
    """The committed state; each read is its own transaction."""

    def __init__(self, database: Engine, store: TreeStore) -> None:
        self._database = database
        self._store = store

    @override
    def get(self, key: str) -> Any:
        with self._database.connect() as connection:
            return self._store.value(connection, key)


class SharedState(ReadOnlyState):
    """The committed state of one head, kept in memory as far as it was read; safe for threads.

    ``after`` gives the state of the next head with what has not changed: a value read once is read from the
    database again only when an entry has changed it.
    """

    def __init__(self, database: Engine, store: TreeStore, kept: Mapping[str, Any] | None = None) -> None:
        self._database = database
        self._store = store
        # Filled by any thread that reads; single operations of a dict, which are atomic. A value of the next
        # head may get in while that one is committed: `after` drops every key that it has changed.
        self._kept: dict[str, Any] = {} if kept is None else dict(kept)

    @override
    def get(self, key: str) -> Any:
        value = self._kept.get(key, _ABSENT)
        if value is _ABSENT:
            with self._database.connect() as connection:
                value = self._store.value(connection, key)
            if len(self._kept) < _VALUES:
                self._kept[key] = value
        return value

    def after(self, changed: Collection[str]) -> SharedState:
        """The state of the next head, in which only ``changed`` keys have other values."""
        kept = {} if len(self._kept) >= _VALUES else self._kept
        unchanged = {key: value for key, value in kept.copy().items() if key not in changed}
        return SharedState(self._database, self._store, unchanged)


class PinnedState(ReadOnlyState):
    """The state as one open transaction sees it."""

    def __init__(self, connection: Connection, store: TreeStore) -> None:
        self._connection = connection
        self._store = store

    @override
    def get(self, key: str) -> Any:
        return self._store.value(self._connection, key)
