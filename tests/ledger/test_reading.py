"""Reading a public folder in order: every well-formed entry once, whatever else stands between."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.embedded import Sequencer
from ledger.errors import TileError
from ledger.reading import read_entries
from tests.ledger.log_cases import World, leaf


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def log(world: World, count: int) -> tuple[Sequencer, list[bytes]]:
    sequencer = world.started()
    leaves = [leaf(f"c{number}") for number in range(count)]
    for one in leaves:
        sequencer.submit(one)
    return sequencer, leaves


def test_entries_come_in_order(world: World) -> None:
    _, leaves = log(world, 5)
    world.close()
    found = list(read_entries(world.public))
    assert [index for index, _ in found] == [0, 1, 2, 3, 4]
    assert [entry.leaf() for _, entry in found] == leaves


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TileError, match="no whole public log"):
        list(read_entries(tmp_path))


def test_a_bundle_is_missing(world: World) -> None:
    log(world, 3)
    world.close()
    for path in sorted((world.public / "tile" / "entries").rglob("*")):
        if path.is_file():
            path.unlink()
    with pytest.raises(TileError, match="no whole public log"):
        list(read_entries(world.public))


def test_a_bundle_is_cut(world: World) -> None:
    log(world, 3)
    world.close()
    for path in (world.public / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TileError):
        list(read_entries(world.public))


def test_what_is_no_entry_is_passed_over(world: World) -> None:
    _, leaves = log(world, 3)
    world.close()
    for path in (world.public / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(leaves[1], b"x" * len(leaves[1])))
    assert [index for index, _ in read_entries(world.public)] == [0, 2]
