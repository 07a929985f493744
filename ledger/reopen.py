"""Opening a replica: take up what it holds, or empty it where the disk has changed it.

Everything in a replica can be fetched again and is verified again, so nothing is repaired in place. Only the
last verified checkpoint is kept apart when a replica is emptied: the history fetched anew must hold it, or a
damaged disk would be a way to be shown another one.
"""

from __future__ import annotations

import logging

from sqlalchemy import Engine

from ledger.database import writing
from ledger.errors import NoteError
from ledger.policy import Policy
from ledger.repair import state_holds, tiles_hold
from ledger.store import Head, TreeStore

VERIFIED = "verified"
"""Name of a replica's head."""
_BEFORE = "before"
"""The last checkpoint of a replica that had to be emptied."""

log = logging.getLogger("hedui.replica")


def take_up(engine: Engine, store: TreeStore, policy: Policy) -> tuple[Head | None, Head | None]:
    """The head of a whole replica, and the one it had before it was emptied, None where there is none."""
    with engine.connect() as connection:
        kept = store.head(connection, VERIFIED)
        before = store.head(connection, _BEFORE)
        length = store.length(connection)
    if kept is None and length == 0:
        return None, before if _is_signed(before, policy) else None
    if kept is not None and length == kept.size and _holds(engine, store, policy, kept):
        return kept, before
    log.error("this node's copy of the ledger changed on the disk: it is fetched again from its start")
    signed = [one for one in (before, kept) if one is not None and _is_signed(one, policy)]
    newest = max(signed, key=lambda one: one.size, default=None)
    with writing(engine) as connection:
        store.clear(connection, leaves=True)
        if newest is not None:
            store.swap_head(connection, _BEFORE, None, newest)
    return None, newest


def _holds(engine: Engine, store: TreeStore, policy: Policy, kept: Head) -> bool:
    """Whether checkpoint, tiles and state are those that were stored together."""
    if not _is_signed(kept, policy):
        return False
    with engine.connect() as connection:
        if not state_holds(connection, store, kept.size, kept.time):
            return False
    return tiles_hold(engine, store, kept)


def _is_signed(kept: Head | None, policy: Policy) -> bool:
    """Whether a stored head is that of a checkpoint which the log has signed."""
    if kept is None:
        return False
    try:
        _, seen = policy.verify_log(kept.note)
    except NoteError:
        return False
    return (seen.size, seen.root) == (kept.size, kept.root)
