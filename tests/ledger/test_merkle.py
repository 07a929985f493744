"""RFC 6962 trees: third-party vectors, every small proof, and proofs that are cut, changed or moved."""

from __future__ import annotations

import base64
import hashlib
import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ledger.errors import MerkleError
from ledger.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    RootStream,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_from,
    verify_consistency,
    verify_inclusion,
)

SIZE = 34
TREE = MemoryTree(leaf_hash(bytes([number])) for number in range(SIZE))


def unbase64(text):
    return base64.b64decode(text or "")


@pytest.mark.shared
def test_third_party_inclusion_vectors(vectors):
    cases = json.loads((vectors / "merkle-inclusion.json").read_text())
    assert len(cases) == 98
    assert "single-entry/empty-root-and-leaf" in {case["name"] for case in cases if case["wantErr"]}
    for case in cases:
        path = [unbase64(node) for node in case["proof"] or []]
        arguments = (
            case["leafIdx"],
            case["treeSize"],
            unbase64(case["leafHash"]),
            path,
            unbase64(case["root"]),
        )
        if case["wantErr"]:
            with pytest.raises(MerkleError):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)


@pytest.mark.shared
def test_third_party_consistency_vectors(vectors):
    cases = json.loads((vectors / "merkle-consistency.json").read_text())
    assert len(cases) == 98
    assert "additional/sizes-are-equal-one-and-proof-is-empty" in {case["name"] for case in cases}
    for case in cases:
        path = [unbase64(node) for node in case["proof"] or []]
        roots = (unbase64(case["root1"]), unbase64(case["root2"]))
        # Its "roots" have 12 bytes: a strict implementation may refuse them, and this one does.
        loose = case["name"] == "additional/sizes-are-equal-one-and-proof-is-empty"
        if case["wantErr"] or loose:
            with pytest.raises(MerkleError):
                verify_consistency(case["size1"], case["size2"], *roots, path)
        else:
            verify_consistency(case["size1"], case["size2"], *roots, path)


def test_definitions():
    assert hashlib.sha256().digest() == EMPTY_ROOT
    left, right = leaf_hash(b""), leaf_hash(b"x")
    assert left.hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()
    assert MemoryTree().root() == RootStream().root() == EMPTY_ROOT == root_from(0, MemoryTree())


def test_every_proof_of_small_trees_verifies():
    stream = RootStream()
    for size in range(1, SIZE + 1):
        stream.append(TREE.hash(0, size - 1))
        root = TREE.root(size)
        assert stream.root() == root
        for index in range(size):
            verify_inclusion(index, size, TREE.hash(0, index), inclusion_path(index, size, TREE), root)
        for old in range(size + 1):
            verify_consistency(old, size, TREE.root(old), root, consistency_path(old, size, TREE))


@given(st.integers(1, SIZE), st.data())
def test_a_changed_inclusion_proof_fails(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, TREE)
    root = TREE.root(size)
    for cheat in cheats(path):
        with pytest.raises(MerkleError):
            verify_inclusion(index, size, TREE.hash(0, index), cheat, root)
    other = data.draw(st.integers(-1, size).filter(lambda place: place != index))
    with pytest.raises(MerkleError):
        verify_inclusion(other, size, TREE.hash(0, index), path, root)


@given(st.integers(2, SIZE), st.data())
def test_a_changed_consistency_proof_fails(size, data):
    old = data.draw(st.integers(1, size - 1))
    path = consistency_path(old, size, TREE)
    for cheat in cheats(path):
        with pytest.raises(MerkleError):
            verify_consistency(old, size, TREE.root(old), TREE.root(size), cheat)
    with pytest.raises(MerkleError):
        verify_consistency(old, size, leaf_hash(b"other"), TREE.root(size), path)
    with pytest.raises(MerkleError):
        verify_consistency(old, size, TREE.root(old), leaf_hash(b"other"), path)


def cheats(path):
    """The proof with a node too many, too few, too short, or changed."""
    yield [*path, leaf_hash(b"more")]
    yield [leaf_hash(b"more"), *path]
    for place, node in enumerate(path):
        yield path[:place] + path[place + 1 :]
        yield [*path[:place], bytes([node[0] ^ 1]) + node[1:], *path[place + 1 :]]
        yield [*path[:place], node[:-1], *path[place + 1 :]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: inclusion_path(3, 3, TREE),
        lambda: inclusion_path(-1, 3, TREE),
        lambda: inclusion_path(0, SIZE + 1, TREE),
        lambda: consistency_path(4, 3, TREE),
        lambda: consistency_path(-1, 3, TREE),
        lambda: root_from(-1, TREE),
        lambda: root_from(SIZE + 1, TREE),
        lambda: TREE.hash(1, SIZE),
        lambda: verify_consistency(0, 3, EMPTY_ROOT, TREE.root(3), [leaf_hash(b"")]),
        lambda: verify_consistency(0, 3, leaf_hash(b""), TREE.root(3), []),
        lambda: verify_consistency(0, 0, EMPTY_ROOT, leaf_hash(b""), []),
        lambda: verify_consistency(3, 2, TREE.root(3), TREE.root(2), []),
        lambda: verify_consistency(3, 3, TREE.root(3), TREE.root(2), []),
        lambda: verify_consistency(2, 3, TREE.root(2), TREE.root(3), []),
        lambda: verify_consistency(3, 5, TREE.root(3), TREE.root(5), []),
    ],
)
def test_what_is_out_of_range_is_refused(call):
    with pytest.raises(MerkleError):
        call()
