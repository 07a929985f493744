"""Reading a public folder in order: every well-formed entry once, whatever else stands between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.audit.source import ATTEMPTS, FolderSource, read_entries, read_leaves
from ledger.audit.verify import verify_folder
from ledger.errors import TileError
from ledger.sequencer.sequencer import Sequencer
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.sequencer.log_cases import POLICY, World, cheap, leaf


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


class Moving:
    """A folder source before which the log moves on: ``moves`` are made one before each fetch of a tile."""

    def __init__(self, root: Path, moves: list[Callable[[], None]]) -> None:
        self._folder = FolderSource(root)
        self.moves = moves

    @property
    def place(self) -> str:
        return self._folder.place

    def fetch(self, name: str, limit: int) -> bytes:
        if name.startswith("tile/") and self.moves:
            self.moves.pop(0)()
        return self._folder.fetch(name, limit)

    def names(self) -> Iterator[str] | None:
        return self._folder.names()


def test_a_partial_tile_that_has_gone_is_read_from_the_full_one(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(*(leaf() for _ in range(200)))
    source = Moving(log.root, [lambda: log.add(*(leaf() for _ in range(100)))])
    assert list(read_leaves(source)) == log.leaves[:200]


def test_where_the_full_one_is_not_there_either_the_newer_checkpoint_is_taken_up(tmp_path: Path) -> None:
    log = Growing(tmp_path / "public")
    log.add(leaf(), leaf())

    def move() -> None:
        log.add(leaf())
        log.time += 60
        log.add()

    assert list(read_leaves(Moving(log.root, [move]))) == log.leaves
    assert len(log.leaves) == 3
    assert [index for index, _ in read_entries(Moving(log.root, [move, move]), 1)] == [1, 2, 3, 4]
    with pytest.raises(TileError, match="no whole public log"):
        list(read_leaves(Moving(log.root, [move] * (3 * ATTEMPTS))))


def test_readers_and_a_publisher_without_any_grace(tmp_path: Path) -> None:
    """The race itself: the publisher removes at once what it has superseded, and nobody loses a read."""
    log = Growing(tmp_path / "public")
    log.time = float("inf")
    log.add(leaf())
    leaves, done = [leaf() for _ in range(400)], threading.Event()

    def publish() -> None:
        for place in range(0, 400, 4):
            log.time = place * 60.0
            log.add(*leaves[place : place + 4])
        done.set()

    sizes: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(publish)

        def read() -> None:
            while not done.is_set():
                found = list(read_leaves(FolderSource(log.root)))
                assert found == log.leaves[: len(found)]
                verify_folder(log.root, policy=POLICY.format().encode(), apply=cheap)
                sizes.append(len(found))

        readers = [pool.submit(read) for _ in range(2)]
        for future in (writing, *readers):
            future.result()
    assert sizes
