"""What is damaged in a public log: every file that was changed is named, and of one change nothing else."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit.damage import find_damage
from ledger.audit.source import FolderSource
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, encode_bundle, tiles_of
from ledger.merkle import leaf_hash, root_from

SIZES = (1, 3, 256, 515, 65_536 + 300)
"""One file a level; full tiles only; two full ones and a partial one; three levels."""


def write(root: Path, size: int) -> Checkpoint:
    """The tiles of ``size`` entries."""
    leaves = [b"entry %d" % number for number in range(size)]
    writer = TileWriter(0, TileWriterOfNothing())
    kept: dict[tuple[int, int], bytes] = {}
    top = b""
    for begin in range(0, size, TILE_WIDTH):
        part = leaves[begin : begin + TILE_WIDTH]
        put(root, Tile(-1, begin // TILE_WIDTH, len(part)), encode_bundle(part))
        writer.extend(b"".join(map(leaf_hash, part)))
        top = root_from(writer.size, TileSource(writer))
        kept |= writer.take_changed()
    for tile in tiles_of(size):
        if tile.level >= 0:
            put(root, tile, kept[tile.level, tile.index][: 32 * tile.width])
    return Checkpoint("log.example", size, top)


class TileWriterOfNothing:
    """Tiles of the empty tree."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        raise AssertionError((level, index, width))


def put(root: Path, tile: Tile, data: bytes) -> None:
    file = root / tile.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Checkpoint]]:
    found = {}
    for size in SIZES:
        root = tmp_path_factory.mktemp("log") / str(size)
        found[size] = (root, write(root, size))
    return found


def named(root: Path, head: Checkpoint) -> set[str]:
    return {damage.path for damage in find_damage(FolderSource(root), head)}


def harm(file: Path, rng: random.Random) -> None:
    """Remove a file, cut it, or change a byte of it."""
    data = bytearray(file.read_bytes())
    match rng.randrange(4):
        case 0:
            file.unlink()
        case 1:
            file.write_bytes(data[:-1])
        case _:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            file.write_bytes(data)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_damaged(logs: dict[int, tuple[Path, Checkpoint]], size: int) -> None:
    told: list[tuple[int, int]] = []
    root, head = logs[size]
    assert list(find_damage(FolderSource(root), head, lambda *done: told.append(done))) == []
    assert told[-1] == (size, size)


@pytest.mark.parametrize("size", SIZES[:-1])
def test_one_damaged_file_is_named_and_no_other(
    logs: dict[int, tuple[Path, Checkpoint]], tmp_path: Path, size: int
) -> None:
    root, head = logs[size]
    rng = random.Random(size)
    for number, tile in enumerate(tiles_of(size)):
        if size == 1 and tile.level >= 0:
            continue  # the one hash of the tree: the root says which, below
        copy = Path(shutil.copytree(root, tmp_path / str(number)))
        harm(copy / tile.path, rng)
        assert named(copy, head) == {tile.path}


def test_of_three_levels_one_damaged_file_is_named(
    logs: dict[int, tuple[Path, Checkpoint]], tmp_path: Path
) -> None:
    root, head = logs[SIZES[-1]]
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    rng = random.Random(3)
    names = ("tile/0/000", "tile/0/257.p/44", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1")
    for name in (*names, "tile/entries/017", "tile/entries/257.p/44"):
        before = (copy / name).read_bytes()
        harm(copy / name, rng)
        assert named(copy, head) == {name}
        (copy / name).write_bytes(before)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_damaged_file_is_named(
    logs: dict[int, tuple[Path, Checkpoint]], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root, head = logs[data.draw(st.sampled_from(SIZES[:-1]))]
    copy = Path(shutil.copytree(root, tmp_path_factory.mktemp("copy") / "log"))
    files = [tile.path for tile in tiles_of(head.size)]
    chosen = data.draw(st.sets(st.sampled_from(files), min_size=1, max_size=5))
    rng = random.Random(data.draw(st.integers(0, 1 << 32)))
    for name in sorted(chosen):
        harm(copy / name, rng)
    assert chosen <= named(copy, head)


def test_files_of_no_log_are_named(logs: dict[int, tuple[Path, Checkpoint]], tmp_path: Path) -> None:
    root, head = logs[515]
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    (copy / ".DS_Store").write_bytes(b"")
    (copy / "tile" / "0" / "004").write_bytes(bytes(32 * 256))
    (copy / "tile" / "entries" / "001").write_bytes(b"")
    assert named(copy, head) == {".DS_Store", "tile/0/004", "tile/entries/001"}
