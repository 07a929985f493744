"""Backup and restore of a home: what is in the file, what is refused, what a kill leaves, both databases."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.errors import SealedFileDamagedError, WrongPassphraseError
from keys.vault import Vault
from ledger.storage.database import LOG, open_database
from node.cli import root as command
from node.config import read_configuration
from node.errors import ConfigurationError, StoreError, UsageError
from node.store import tables
from node.store.database import Store, note
from node.store.setfiles import write_set
from node.upkeep.restore import restore, verify
from tests.node.upkeep.backup_cases import (
    NOW,
    WORDS,
    backed_up,
    files_of,
    killed,
    make_home,
    marker,
    rows_of,
    stat_mode,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


def test_what_is_backed_up_comes_back(home: Path, tmp_path: Path) -> None:
    made = backed_up(home, tmp_path / "b")
    assert (made.left_out, made.missing_sets) == (["reports"], ["tax.owner/2026-11.1"])
    assert (made.head.member, made.head.size, made.head.network, made.head.moment) == (
        "tax",
        41,
        "other",
        NOW,
    )
    assert stat_mode(tmp_path / "b") == 0o600
    assert verify(tmp_path / "b", WORDS).head == made.head
    head = restore(tmp_path / "b", tmp_path / "new", WORDS, NOW + 5)
    old, new = files_of(home), files_of(tmp_path / "new")
    kept = {
        name
        for name in old
        if not name.startswith(("ledger/", "reports/", "publications/tax.owner/2026-11.2/", "."))
        and name not in {"node.log", "keys/passphrase", "publications/tax.owner/2026-11.1/build.db"}
        and not Path(name).name.startswith(".")
    }
    assert set(new) == kept
    assert {"card.json", "network.json", "node.toml", "keys/vault.json", "openings/2026-1.json"} < kept
    assert {name for name in kept if name != "node.db" and old[name] != new[name]} == set()
    urls = [f"sqlite:///{folder / 'node.db'}" for folder in (home, tmp_path / "new")]
    assert rows_of(urls[0]) == rows_of(urls[1])
    (row,) = marker(urls[1])
    assert (row.backup, row.moment, row.size, row.at, row.fence, row.witness) == (
        head.id, NOW, 41, NOW + 5, None, 0,
    )  # fmt: skip
    passphrase = (home / "keys" / "passphrase").read_bytes().strip()
    assert Vault(tmp_path / "new" / "keys", passphrase).names() == Vault(home / "keys", passphrase).names()
    assert not list(tmp_path.glob(".new*")), "nothing beside the home is left"
    assert not list((home / ".backup").iterdir())


def test_a_backup_is_of_one_moment_while_the_node_writes(home: Path, tmp_path: Path) -> None:
    """A writer adds pairs of rows in one transaction; no copy ever holds half of a pair."""
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(home / "node.db", timeout=30)) as database:
            number = 0
            while not stop.is_set():
                number += 1
                with database:
                    for half in ("a", "b"):
                        row = (f"pair-{number}-{half}", b"", "waiting", number)
                        database.execute("INSERT INTO outbox VALUES (?, ?, ?, ?)", row)
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(30)
        for number in range(3):
            backed_up(home, tmp_path / f"b{number}")
    finally:
        stop.set()
        writer.join()
    for number in range(3):
        restore(tmp_path / f"b{number}", tmp_path / f"n{number}", WORDS, NOW)
        with contextlib.closing(sqlite3.connect(tmp_path / f"n{number}" / "node.db")) as database:
            (count,) = database.execute("SELECT COUNT(*) FROM outbox WHERE id LIKE 'pair-%'").fetchone()
        assert count % 2 == 0
        assert count > 0


def test_what_is_refused_before_anything_is_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(UsageError, match="a backup never replaces another"):
        backed_up(home, tmp_path / "there")
    for target in (home / "inside", tmp_path / "no" / "folder"):
        with pytest.raises(ConfigurationError):
            backed_up(home, target)
    backed_up(home, tmp_path / "b")
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    for target in (full, tmp_path / "there", tmp_path / "no" / "folder"):
        with pytest.raises(ConfigurationError):
            restore(tmp_path / "b", target, WORDS, NOW)
    with pytest.raises(WrongPassphraseError):
        restore(tmp_path / "b", tmp_path / "new", b"other", NOW)
    with pytest.raises(ConfigurationError):
        verify(tmp_path / "absent", WORDS)
    with pytest.raises(SealedFileDamagedError):
        verify(tmp_path / "there", WORDS)
    (home / "keys" / "elsewhere").symlink_to(tmp_path / "there")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        backed_up(home, tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "full", "home", "there"]


def test_a_restore_into_an_empty_folder_is_fine(home: Path, tmp_path: Path) -> None:
    backed_up(home, tmp_path / "b")
    (tmp_path / "new").mkdir()
    restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)
    assert (tmp_path / "new" / "node.toml").is_file()


# Kills.


@pytest.mark.parametrize("at", ["_read_store", "_write", "sync_folder"])
def test_a_killed_backup_is_made_again(home: Path, tmp_path: Path, at: str) -> None:
    killed(f"backup:{at}", home, tmp_path / "b")
    (tmp_path / "b").unlink(missing_ok=True)
    backed_up(home, tmp_path / "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "home"]
    assert verify(tmp_path / "b", WORDS).members > 5


@pytest.mark.parametrize("at", ["_restore_store", "_mark", "_sync_tree"])
def test_a_killed_restore_leaves_no_home_and_begins_again(home: Path, tmp_path: Path, at: str) -> None:
    backed_up(home, tmp_path / "b")
    killed(f"restore:{at}", tmp_path / "b", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)
    assert len(marker(f"sqlite:///{tmp_path / 'new' / 'node.db'}")) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "home", "new"]


def test_one_backup_and_one_restore_at_a_time(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(home, tmp_path / "b")

    def meanwhile(attempt: Callable[[], Any]) -> Callable[..., Any]:
        def inner(*_: Any, **__: Any) -> None:
            with pytest.raises(StoreError, match="another"):
                attempt()
            raise KeyError

        return inner

    monkeypatch.setattr("node.upkeep.backup._plan", meanwhile(lambda: backed_up(home, tmp_path / "c")))
    with pytest.raises(KeyError):
        backed_up(home, tmp_path / "d")
    again = meanwhile(lambda: restore(tmp_path / "b", tmp_path / "new", WORDS, NOW))
    monkeypatch.setattr("node.upkeep.restore._extract", again)
    with pytest.raises(KeyError):
        restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)


# Databases.


def test_a_database_outside_the_home_comes_back_as_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    home = make_home(tmp_path / "home", store=url)
    backed_up(home, tmp_path / "b")
    before = rows_of(url)
    with pytest.raises(StoreError, match="holds rows"):
        restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)
    (tmp_path / "elsewhere.db").unlink()
    restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)
    assert rows_of(url) == before
    restore(tmp_path / "b", tmp_path / "third", WORDS, NOW, store="sqlite:///node.db")
    assert rows_of(f"sqlite:///{tmp_path / 'third' / 'node.db'}") == before


def test_an_absolute_path_into_the_home_is_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", store=f"sqlite:///{tmp_path / 'home' / 'own.db'}")
    with pytest.raises(ConfigurationError, match="absolute"):
        backed_up(home, tmp_path / "b")


@pytest.mark.postgres
@pytest.mark.parametrize("move", [False, True])
def test_a_node_on_postgresql(tmp_path: Path, postgres_url: str, move: bool) -> None:
    """Back up from PostgreSQL, restore into it emptied, or into SQLite."""
    home = make_home(tmp_path / "home", store=postgres_url)
    backed_up(home, tmp_path / "b")
    before = rows_of(postgres_url)
    with pytest.raises(StoreError, match="holds rows"):
        restore(tmp_path / "b", tmp_path / "new", WORDS, NOW)
    engine = open_database(postgres_url)
    with engine.begin() as connection:
        for metadata in (tables.metadata, LOG.entry.metadata):
            metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    store = "sqlite:///node.db" if move else None
    restore(tmp_path / "b", tmp_path / "new", WORDS, NOW, store=store)
    url = read_store(tmp_path / "new")
    assert url.startswith("sqlite" if move else "postgresql")
    assert rows_of(url) == before
    restored = open_database(url)
    with Store(restored).writing() as connection:
        note(connection, 3, "office", "", "x", "numbers go on", reported=True)
    restored.dispose()
    numbers = sorted(row[0] for row in rows_of(url)["journal"])
    assert numbers == [1, 2, 3]
    engine.dispose()


@pytest.mark.postgres
def test_from_sqlite_to_postgresql_and_a_kill_after_the_database_was_loaded(
    home: Path, tmp_path: Path, postgres_url: str
) -> None:
    backed_up(home, tmp_path / "b")
    before = rows_of(f"sqlite:///{home / 'node.db'}")
    killed("restore:_sync_tree", tmp_path / "b", tmp_path / "new", postgres_url)
    restore(tmp_path / "b", tmp_path / "new", WORDS, NOW, store=postgres_url)
    assert rows_of(postgres_url) == before
    assert len(marker(postgres_url)) == 1
    assert not (tmp_path / "new" / "node.db").exists()
    assert read_store(tmp_path / "new") == postgres_url


def read_store(root: Path) -> str:
    (root / "keys" / "passphrase").write_bytes(b"x")
    return read_configuration(root).store_url


# The command.


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["hedui", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        command.run()
    return int(end.value.code or 0)


def test_a_set_that_is_whole_is_not_named(home: Path, tmp_path: Path) -> None:
    write_set(home / "publications/tax.owner/2026-11.1", "tax.owner", "2026-11.1", "member", [bytes(8)])
    assert backed_up(home, tmp_path / "b").missing_sets == []


def test_the_commands(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HEDUI_PASSPHRASE", raising=False)
    words = tmp_path / "words"
    words.write_text("five random words of mine\n")
    assert run(monkeypatch, "node", "backup", home, tmp_path / "b") == 0
    assert run(monkeypatch, "node", "backup", home, tmp_path / "c", "--passphrase-file", words) == 0
    assert "contains neither" in capsys.readouterr().out
    for empty in ("", "\n"):
        (tmp_path / "none").write_text(empty)
        given = ("--passphrase-file", tmp_path / "none")
        assert run(monkeypatch, "node", "backup", home, tmp_path / "d", *given) == 2
        assert not (tmp_path / "d").exists()
        assert "contains no passphrase" in capsys.readouterr().err
    assert run(monkeypatch, "node", "restore", tmp_path / "c", tmp_path / "new") == 2
    assert run(monkeypatch, "node", "restore", tmp_path / "b", "--verify", "--passphrase-file", words) == 1
    assert "wrong_passphrase" in capsys.readouterr().err
    assert run(monkeypatch, "node", "restore", tmp_path / "c", "--verify", "--passphrase-file", words) == 0
    assert " files; node tax" in capsys.readouterr().out
    assert run(monkeypatch, "node", "restore", tmp_path / "c") == 2
    assert "name the HOME" in capsys.readouterr().err
    damaged = tmp_path / "damaged"
    damaged.write_bytes((tmp_path / "c").read_bytes()[:-1])
    for words_too in (("--verify",), (tmp_path / "new",)):
        assert run(monkeypatch, "node", "restore", damaged, *words_too, "--passphrase-file", words) == 1
        assert "sealed_file_damaged" in capsys.readouterr().err
    assert (
        run(monkeypatch, "node", "restore", tmp_path / "c", tmp_path / "new", "--passphrase-file", words) == 0
    )
    said = capsys.readouterr().out
    assert "keys/passphrase" in said
    assert "Publish again" in said
    assert run(monkeypatch, "node", "rejoin", tmp_path / "new", words) == 2
