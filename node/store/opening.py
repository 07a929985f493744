"""A database that is gone, or empty, in a home whose node has run: taken for one restored from the beginning.

    HOME/store.json   {"v": 1, "begun": RFC 3339 of the first start, "lost": id of a loss not noted yet, null}

An empty database looks like that of a node that never ran. Taken for that, the node would answer questions
again, release shares again and cosign from nothing. So the first start leaves a file in the home. Where it is
there and the database has no tables, a row goes into ``restored`` like after ``hedui node restore``, with
moment and size 0, and the node comes back behind a fence (``node.tlog.restore_fence``). The loss is in the
file before the tables are made: a kill in between forgets nothing.
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any

from sqlalchemy import Engine, insert, inspect, select

from ledger.entries.times import format_time
from ledger.storage.database import writing
from node.errors import ConfigurationError
from node.home import Home, read_document, write_file
from node.store import tables
from node.store.migrate import migrate

log = logging.getLogger("hedui.store")


def open_store(home: Home, database: Engine, now: int) -> bool:
    """Bring the database to the newest revision; whether its loss was noted now.

    Args:
        home: of the node. database: its database. now: POSIX seconds.

    Raises:
        StoreError: the database is of a newer program. ConfigurationError: store.json is damaged.
    """
    known = _read(home)
    is_empty = not inspect(database).has_table(tables.outbox.name)
    if known is None:
        moment = format_time(now)
        migrate(database)
        _write(home, {"v": 1, "begun": moment, "lost": None})
        return False
    if is_empty and known["lost"] is None:
        known = {**known, "lost": secrets.token_hex(16)}
        _write(home, known)
    migrate(database)
    if known["lost"] is None:
        return False
    _note(database, str(known["lost"]), now)
    _write(home, {**known, "lost": None})
    log.error(
        "this node's database was empty, though the node has run before: it comes back as one restored from "
        "the beginning. Where there is a backup, stop it and restore that: it has forgotten less"
    )
    return True


def _note(database: Engine, loss: str, now: int) -> None:
    """The marker that ``node.tlog.restore_fence`` reads; once a loss."""
    row = {"id": loss, "backup": "lost", "moment": 0, "size": 0, "at": now, "witness": 0}
    with writing(database) as connection:
        noted = select(tables.restored.c.id).where(tables.restored.c.id == loss)
        if connection.execute(noted).first() is None:
            connection.execute(insert(tables.restored).values(**row))


def _read(home: Home) -> dict[str, Any] | None:
    if not home.store.exists():
        return None
    value = read_document(home.store, "begun", "is damaged: restore it from the newest backup of the home")
    lost = value.get("lost")
    if lost is not None and not isinstance(lost, str):
        raise ConfigurationError(f"{home.store} is damaged: restore it from the newest backup of the home")
    return {**value, "lost": lost}


def _write(home: Home, value: dict[str, Any]) -> None:
    write_file(home.store, json.dumps(value).encode() + b"\n")
