"""Upgrades: an old database with data comes to the newest revision, whatever happens, on both engines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text

from ledger.storage.database import METADATA, open_database
from node.errors import StoreError
from node.store import tables
from node.store.database import Store, note
from node.store.opening import MIGRATIONS, current_revision, migrate

ROOT = Path(__file__).resolve().parents[3]
BREAKING = """
import os, signal
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "9000", {down!r}, None, None
def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO later VALUES (1)")
    op.execute("DELETE FROM journal")
    {end}
"""
LEAF = b'{"body":{"count":1}}'
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'node.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_database(url)
    yield made
    made.dispose()


def first(engine: Engine) -> None:
    """A database of the first version, with data."""
    migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO outbox VALUES ('a', :leaf, 'waiting', 1)"), {"leaf": LEAF})
        connection.execute(
            text(
                "INSERT INTO journal (at, peer, query, dataset, result, reported) VALUES (1,'o','','d','r',0)"
            )
        )


def works(engine: Engine) -> None:
    """At the newest revision, with what was there before, and writable."""
    store = Store(engine)
    assert [row["peer"] for row in store.all(tables.journal)] == ["o"]
    assert store.one(tables.outbox, id="a") == {"id": "a", "leaf": LEAF, "state": "waiting", "created": 1}
    with store.writing() as connection:
        note(connection, 2, "p", "", "d", "answered", reported=True)
    assert store.all(tables.restored) == []


def revision_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return current_revision(connection)


def with_revision(folder: Path, end: str, engine: Engine) -> Path:
    """The program's revisions and a further one."""
    scripts = folder / "scripts"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    newest = revision_of(engine)
    (scripts / "versions" / "9000_later.py").write_text(BREAKING.format(down=newest, end=end))
    return scripts


def test_the_first_version_with_data_comes_to_the_newest(engine: Engine) -> None:
    first(engine)
    migrate(engine)
    migrate(engine)
    works(engine)


def test_the_revisions_make_the_tables_the_program_uses(engine: Engine) -> None:
    """What ``node.store.tables`` and ``ledger.storage.database`` say, no more and no less."""
    migrate(engine)
    both = MetaData()
    for metadata in (tables.metadata, METADATA):
        for table in metadata.sorted_tables:
            table.to_metadata(both)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), both) == []


def test_certificates_of_an_older_version_are_found_by_their_consents(engine: Engine) -> None:
    """More than the migration reads at once, and one that rests on no consent."""
    consents = {f"{number:032x}": [f"c{number}", "shared"] for number in range(1100)} | {"none": []}
    rows = [
        {"query": query, "document": json.dumps({"certificate": {}, "openings": {"consents": found}})}
        for query, found in consents.items()
    ]
    migrate(engine, "0004")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO certificate VALUES (:query, '', :document)"), rows)
    migrate(engine)
    store = Store(engine)
    found = {(row["consent"], row["query"]) for row in store.all(tables.certificate_consent)}
    assert found == {(consent, query) for query, named in consents.items() for consent in named}
    assert store.all(tables.last_intent) == []


def test_a_newer_database_is_refused_with_a_remedy(engine: Engine, tmp_path: Path) -> None:
    migrate(engine)
    scripts = with_revision(tmp_path, "", engine)
    migrate(engine, scripts=scripts)
    assert revision_of(engine) == "9000"
    with pytest.raises(StoreError, match=r"9000.*install"):
        migrate(engine)


def test_a_revision_that_fails_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    first(engine)
    migrate(engine)
    before = revision_of(engine)
    scripts = with_revision(tmp_path, "raise KeyError", engine)
    with pytest.raises(KeyError):
        migrate(engine, scripts=scripts)
    assert revision_of(engine) == before
    assert "later" not in inspect(engine).get_table_names()
    works(engine)


def test_a_killed_upgrade_begins_again(engine: Engine, url: str, tmp_path: Path) -> None:
    first(engine)
    newest = current_head(tmp_path)
    migrate(engine)
    scripts = with_revision(tmp_path, KILL, engine)
    program = (
        "import sys; from pathlib import Path; from ledger.storage.database import open_database; "
        "from node.store.opening import migrate; "
        "migrate(open_database(sys.argv[1]), scripts=Path(sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, url, str(scripts)], cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert revision_of(engine) == newest
    assert "later" not in inspect(engine).get_table_names()
    works(engine)
    (scripts / "versions" / "9000_later.py").write_text(BREAKING.format(down=newest, end=""))
    migrate(engine, scripts=scripts)
    assert revision_of(engine) == "9000"


def current_head(folder: Path) -> str:
    engine = open_database(f"sqlite:///{folder / 'other.db'}")
    migrate(engine)
    found = revision_of(engine)
    engine.dispose()
    assert found is not None
    return found
