"""A database that is gone in a home whose node has run is noticed, once, whatever is killed in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger.storage.database import open_database
from node.errors import ConfigurationError
from node.home import Home
from node.store import opening, tables
from node.store.opening import open_store

NOW = 1_795_312_800


def begin(home: Home) -> list[Any]:
    """Open the store as a node does at its start; the rows of ``restored``."""
    engine = open_database(f"sqlite:///{home.root / 'node.db'}")
    try:
        open_store(home, engine, NOW)
        with engine.connect() as connection:
            return list(connection.execute(select(tables.restored)))
    finally:
        engine.dispose()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_first_start_and_those_after_it_lose_nothing(home: Home) -> None:
    assert begin(home) == []
    assert json.loads(home.store.read_text())["begun"] == "2026-11-22T02:00:00Z"
    assert begin(home) == []


def test_a_home_from_before_the_marker_gets_it(home: Home) -> None:
    begin(home)
    home.store.unlink()
    assert begin(home) == []
    assert home.store.exists()


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_database_that_is_gone_counts_as_restored_from_the_beginning(home: Home, how: str) -> None:
    begin(home)
    for path in home.root.glob("node.db*"):
        path.unlink()
    if how == "empty":
        (home.root / "node.db").touch()
    [row] = begin(home)
    assert (row.moment, row.size, row.at, row.witness, row.fence) == (0, 0, NOW, 0, None)
    assert len(begin(home)) == 1
    (home.root / "node.db").unlink()
    [again] = begin(home)
    assert again.id != row.id


@pytest.mark.parametrize("step", ["migrate", "_note", "_write"])
def test_a_kill_in_between_forgets_nothing(home: Home, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    begin(home)
    (home.root / "node.db").unlink()
    real = getattr(opening, step)
    calls = []

    def killed(*arguments: Any) -> None:
        calls.append(arguments)
        if step != "_write":
            raise KeyboardInterrupt
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(opening, step, killed)
    with pytest.raises(KeyboardInterrupt):
        begin(home)
    monkeypatch.undo()
    assert len(begin(home)) == 1
    assert len(begin(home)) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"begun": "x", "lost": 3}', '{"lost": null}'])
def test_a_damaged_marker_is_refused(home: Home, text: str) -> None:
    begin(home)
    home.store.write_text(text)
    with pytest.raises(ConfigurationError, match="is damaged"):
        begin(home)
