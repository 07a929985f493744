"""Schema migrations of a node's database with alembic; run at every start.

All revisions run in one transaction, on both kinds of database: after a kill, the database is at its old
revision with its old tables, and the next start runs them again. A database that a newer program has upgraded
is refused, since this version does not know its schema.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from ledger.storage.database import writing
from node.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "head"


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
