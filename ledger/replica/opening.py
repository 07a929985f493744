"""Opening a replica: load what it holds, or empty it where the disk has changed it.

Everything in a replica can be fetched again and is verified again, so nothing is repaired in place. Only the
last verified checkpoint is kept when a replica is emptied: the history fetched again must hold it, or a
damaged disk would be a way to be shown another one. It is stored twice, under two names. What was verified is
the largest checkpoint that any stored note carries under the log's signature, with the note's own size and
root; no row is looked up by its name for that. So one flipped bit leaves one of the two.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from sqlalchemy import Connection, Engine

from ledger.contract.replay import NO_TIME
from ledger.errors import LogError, NoteError
from ledger.formats.policy import Policy
from ledger.storage.database import writing
from ledger.storage.repair import state_holds, tiles_hold
from ledger.storage.tree_store import TreeHead, TreeStore

VERIFIED = "verified"
"""Name of a replica's head."""
BEFORE = "before"
"""The last verified checkpoint once more; the only one of a replica that had to be emptied."""

log = logging.getLogger("hedui.replica")


def load_replica(
    database: Engine, store: TreeStore, policy: Policy
) -> tuple[TreeHead | None, TreeHead | None]:
    """The head of a whole replica, None for an empty one, and the last checkpoint it had verified, if any."""
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
    """The replica's head, None as well where what is stored is none."""
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
