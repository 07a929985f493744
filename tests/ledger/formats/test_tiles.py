"""Tiles and bundles: names, contents for every size, and malformed ones."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ledger.errors import MerkleError, TileError
from ledger.formats.tiles import (
    TILE_WIDTH,
    Tile,
    TileSource,
    TileWriter,
    decode_bundle,
    encode_bundle,
    fold,
    tiles_of,
)
from ledger.merkle import HASH_BYTES, MemoryTree, consistency_path, inclusion_path, leaf_hash, root_from


class Tiles:
    """Tiles in a dict."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int, width: int) -> bytes:
        return self.kept.get((level, index), b"")


def test_the_specifications_examples():
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Tile(-1, 5, 17).path == "tile/entries/005.p/17"
    names = list(tiles_of(70_000))
    assert sum(1 for tile in names if tile.level == 0 and tile.width == 256) == 273
    partial = {tile.path for tile in names if tile.width < 256 and tile.level >= 0}
    assert partial == {"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert {tile.path for tile in tiles_of(256)} == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}
    assert list(tiles_of(0)) == []


@given(st.integers(-1, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_names_read_back(level, index, width):
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/x000/000",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/-1/000",
        "tile/0/001/000",
        "tile/entries/x001",
        "tile/entry/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
    ],
)
def test_other_names_are_refused(path):
    with pytest.raises(TileError):
        Tile.parse(path)


@given(st.integers(0, 70_000), st.integers(0, 3000))
def test_what_changes_between_two_sizes_is_what_the_larger_has_and_the_smaller_has_not(old, more):
    new = old + more
    assert set(tiles_of(new, old)) == set(tiles_of(new)) - set(tiles_of(old))


@pytest.mark.parametrize("chunk", [1, 100, 256, 700])
def test_a_writer_keeps_every_proof(chunk):
    size = 3 * 256 + 60 if chunk > 1 else 300
    tree, tiles, written = MemoryTree(), Tiles(), 0
    while written < size:
        writer = TileWriter(written, tiles)
        for number in range(written, min(size, written + chunk)):
            tree.append(leaf_hash(b"%d" % number))
            writer.append(leaf_hash(b"%d" % number))
        written = writer.size
        changed = writer.take_changed()
        assert root_from(written, TileSource(writer)) == tree.root()
        tiles.kept.update(changed)
    source = TileSource(tiles)
    for index in range(0, size, 7):
        assert inclusion_path(index, size, source) == inclusion_path(index, size, tree)
        assert consistency_path(index, size, source) == consistency_path(index, size, tree)
    widths = {key: len(value) // HASH_BYTES for key, value in tiles.kept.items()}
    assert {Tile(level, index, width) for (level, index), width in widths.items()} == {
        tile for tile in tiles_of(size) if tile.level >= 0
    }


def test_a_source_reads_a_tile_again_when_it_has_grown():
    tiles = Tiles()
    tiles.kept[0, 0] = leaf_hash(b"0")
    source = TileSource(tiles)
    source.hash(0, 0)
    tiles.kept[0, 0] += leaf_hash(b"1")
    assert source.hash(0, 1) == leaf_hash(b"1")
    with pytest.raises(MerkleError):
        source.hash(0, 2)
    with pytest.raises(MerkleError):
        source.hash(2, 0)


def test_a_writer_refuses_tiles_that_are_short():
    with pytest.raises(TileError):
        TileWriter(3, Tiles())


def test_fold_is_the_root_of_a_full_subtree():
    hashes = [leaf_hash(b"%d" % number) for number in range(TILE_WIDTH)]
    assert fold(b"".join(hashes)) == MemoryTree(hashes).root()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_bundles_read_back(leaves):
    data = encode_bundle(leaves)
    assert decode_bundle(data, len(leaves)) == leaves
    for width in (len(leaves) - 1, len(leaves) + 1):
        with pytest.raises(TileError):
            decode_bundle(data, width)
    for cut in (data[:-1], data + b"\x00", data + b"\x00\x00"):
        with pytest.raises(TileError):
            decode_bundle(cut, len(leaves))


def test_bundles_have_limits():
    for leaves in ([], [b""] * 257, [b"x" * 65536]):
        with pytest.raises(TileError):
            encode_bundle(leaves)
    assert decode_bundle(encode_bundle([b"x" * 65535]), 1) == [b"x" * 65535]
