"""Opening of a node's database: migrated to this version, and detected where it was lost.

    HOME/store.json   {"v": 1, "begun": time of the first start,
                       "lost": id of a loss not recorded yet, or null}

An empty database looks like that of a node that has never run. If it were taken for one, the node would
answer questions again, release shares again and cosign without a record. So the first start writes a file
into the home. If that file exists and the database has no tables, the database counts as restored from a
backup of the very beginning: a row with moment and size 0 is written into ``restored``, as after ``hedui node
restore``, and the node starts behind a fence (``node.tlog.restore_fence``). The loss is written to the file
before the tables are created, so that a kill in between does not hide it.

**Migrations** (alembic) run at every start. All revisions run in one transaction, on both kinds of database:
after a kill, the database is at its old revision with its old tables, and the next start runs them again. A
database that a newer program has upgraded is refused, since this version does not know its schema.
"""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, insert, inspect, select

from ledger.entries.times import format_time
from ledger.storage.database import writing
from node.errors import ConfigurationError, StoreError
from node.home import Home, read_document, write_file
from node.store import tables

log = logging.getLogger("hedui.store")
MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "head"


def open_store(home: Home, database: Engine, now: int) -> bool:
    """Upgrade the database to the newest revision, and record its loss if it was lost.

    Args:
        home: the node's home.
        database: its database.
        now: POSIX seconds.

    Returns:
        Whether a loss was recorded now.

    Raises:
        StoreError: the database was upgraded by a newer program.
        ConfigurationError: store.json is damaged.
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
        "this node's database is empty, although the node has run before: it starts as if restored from a "
        "backup of its beginning. If there is a backup, stop the node and restore it: less is lost"
    )
    return True


def _note(database: Engine, loss: str, now: int) -> None:
    """Write the row that ``node.tlog.restore_fence`` reads, once for each loss."""
    row = {"id": loss, "backup": "lost", "moment": 0, "size": 0, "at": now, "witness": 0}
    with writing(database) as connection:
        recorded = select(tables.restored.c.id).where(tables.restored.c.id == loss)
        if connection.execute(recorded).first() is None:
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


def migrate(database: Engine, revision: str = HEAD, *, scripts: Path = MIGRATIONS) -> None:
    """Upgrade the database to a revision, by default the newest, in one transaction.

    Raises:
        StoreError: the database is newer than this program.
    """
    with writing(database) as connection:
        upgrade(connection, revision, scripts=scripts)


def upgrade(connection: Connection, revision: str = HEAD, *, scripts: Path = MIGRATIONS) -> None:
    """Upgrade the database inside the caller's transaction.

    Args:
        connection: of a transaction that writes.
        revision: the last one to apply; not the newest only while an older backup is restored.
        scripts: folder of the revisions.

    Raises:
        StoreError: the database is newer than this program.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts))
    require_known(current_revision(connection), scripts=scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def current_revision(connection: Connection) -> str | None:
    """Revision the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def require_known(revision: str | None, *, scripts: Path = MIGRATIONS) -> None:
    """Check that a revision is known to this program.

    Raises:
        StoreError: it is not, since a newer program has upgraded the database.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"the database is at revision {revision}, which this version of hedui does not know: install the "
            "version that upgraded it, or a newer one, or restore a backup made before the upgrade"
        )
