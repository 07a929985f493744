"""A set on disk: bisection finds what a plain search finds, and every proof leads to the root."""

from __future__ import annotations

import bisect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from node.errors import StoreError
from node.store.setfiles import PublishedSet, is_whole, write_set
from protocols.errors import EvidenceError
from protocols.profiles import MAX_TAG
from protocols.psi.publication import AbsenceProof, MatchProof, verify_absence, verify_match

TAGS = st.sets(st.integers(1, MAX_TAG - 1) | st.integers(1, 40), max_size=70)


def leaves_of(tags: list[int], width: int) -> list[bytes]:
    return [tag.to_bytes(8, "big") + bytes([at % 256]) * width for at, tag in enumerate(tags)]


@settings(max_examples=60)
@given(TAGS, st.integers(0, 5), st.data())
def test_look_up_is_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, chosen: set[int], width: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("set")
    tags = sorted({0, MAX_TAG, *chosen})
    leaves = leaves_of(tags, width)
    facts = write_set(folder, "tax.x", "2026-11.1", "amount" if width else "member", iter(leaves))
    tree = merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves)
    assert (facts.count, facts.root, facts.ciphertext_bytes) == (len(tags), tree.root().hex(), width)
    held = PublishedSet(folder)
    near = st.sampled_from(tags).map(lambda tag: min(MAX_TAG - 1, tag + 1))
    wanted = data.draw(st.lists(st.sampled_from(tags) | near | st.integers(1, MAX_TAG - 1), max_size=8))
    for tag in [*wanted, tags[len(tags) // 2]]:
        at = bisect.bisect_left(tags, tag)
        assert held.position(tag) == at
        found = held.look_up(tag)
        if tags[at] == tag:
            assert found == MatchProof(at, leaves[at], tuple(merkle.inclusion_path(at, len(tags), tree)))
            if 0 < at < len(tags) - 1:
                verify_match(tag, found, len(tags), tree.root())
            continue
        assert isinstance(found, AbsenceProof)
        assert (found.left.leaf, found.right.leaf) == (leaves[at - 1], leaves[at])
        verify_absence(tag, found, len(tags), tree.root())
        with pytest.raises(EvidenceError):
            verify_absence(tag, found, len(tags), bytes(32))
    assert [held.leaf(at) for at in range(len(tags))] == leaves
    held.close()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8191, 8193])
def test_trees_of_any_size(tmp_path: Path, count: int) -> None:
    leaves = [tag.to_bytes(8, "big") for tag in range(count)]
    facts = write_set(tmp_path, "tax.x", "2026-11.1", "member", leaves)
    tree = merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves)
    assert facts.root == tree.root().hex()
    held = PublishedSet(tmp_path)
    for at in {0, 1, count // 2, count - 2, count - 1} & set(range(count)):
        found = held.look_up(at)
        assert isinstance(found, MatchProof)
        merkle.verify_inclusion(at, count, merkle.leaf_hash(found.leaf), list(found.path), tree.root())
    held.close()


def test_sets_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="without leaves"):
        write_set(tmp_path, "tax.x", "l", "member", [])
    with pytest.raises(StoreError, match="one width"):
        write_set(tmp_path, "tax.x", "l", "amount", [bytes(9), bytes(10)])
    with pytest.raises(StoreError, match="publish or download it again"):
        PublishedSet(tmp_path)


@pytest.mark.parametrize("name", ["tags.bin", "tree.bin", "ciphertexts.bin", "set.json"])
def test_a_set_with_a_file_missing(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, "tax.x", "l", "amount", leaves_of([0, 5, MAX_TAG], 3))
    assert is_whole(tmp_path)
    (tmp_path / name).unlink()
    assert not is_whole(tmp_path)
    with pytest.raises(StoreError, match="holds no whole set"):
        PublishedSet(tmp_path)


@pytest.mark.parametrize("name", ["tags.bin", "tree.bin", "ciphertexts.bin"])
def test_a_set_with_a_file_cut_short(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, "tax.x", "l", "amount", leaves_of([0, 5, MAX_TAG], 3))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    assert not is_whole(tmp_path)
    with pytest.raises(StoreError, match="holds no whole set"):
        PublishedSet(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"dataset": 1}', "\x00"])
def test_a_damaged_description(tmp_path: Path, text: str) -> None:
    write_set(tmp_path, "tax.x", "l", "member", leaves_of([0, 5, MAX_TAG], 0))
    (tmp_path / "set.json").write_text(text)
    with pytest.raises(StoreError):
        PublishedSet(tmp_path)


def test_a_source_that_breaks_leaves_no_set(tmp_path: Path) -> None:
    def leaves() -> object:
        yield bytes(8)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_set(tmp_path, "tax.x", "l", "member", leaves())  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        PublishedSet(tmp_path)
