"""A published set: how it is laid out, and every way a set or a line of evidence can be false."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.canonical import Json
from protocols.errors import CiphertextError, EvidenceError, PublicationError
from protocols.profiles import MAX_TAG, padded_rows
from protocols.psi import publication as pub

SECRET = bytes(range(32))
WIDTH = 6


def fill(tag: int) -> bytes:
    return tag.to_bytes(8, "big")[:WIDTH]


def member_leaves(rows: int, seed: int = 1) -> list[bytes]:
    source = random.Random(seed)
    drawn = sorted(source.getrandbits(64) for _ in range(rows))
    return list(pub.published_leaves(SECRET, [(tag, b"") for tag in drawn], rows))


def tree_of(leaves: Sequence[bytes]) -> merkle.MemoryTree:
    return merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves)


def check(leaves: Sequence[bytes], root: bytes | None = None, count: int | None = None) -> None:
    verifier = pub.SetVerifier(
        len(leaves) if count is None else count, tree_of(leaves).root() if root is None else root
    )
    for start in range(0, len(leaves), 7):
        verifier.feed(leaves[start : start + 7])
    verifier.finish()


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(1, MAX_TAG - 1), max_size=40).map(sorted))
def test_layout(tags: list[int]) -> None:
    leaves = list(pub.published_leaves(SECRET, [(tag, fill(tag)) for tag in tags], len(tags), fill))
    assert len(leaves) == padded_rows(len(tags) + 12) == len(tags) + 2 + pub.dummy_count(len(tags))
    assert {len(leaf) for leaf in leaves} == {8 + WIDTH}
    seen = [pub.leaf_tag(leaf) for leaf in leaves]
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0, MAX_TAG)
    assert set(tags) <= set(seen)
    assert all(pub.leaf_ciphertext(leaf) == fill(pub.leaf_tag(leaf)) for leaf in leaves)
    verifier = pub.SetVerifier(
        len(leaves), tree_of(leaves).root(), ciphertext_bytes=WIDTH, check_ciphertexts=lambda _: None
    )
    verifier.feed(leaves)
    verifier.finish()


@given(st.integers(0, 10**9))
def test_there_are_ten_dummies_at_least_and_the_total_is_a_step(rows: int) -> None:
    dummies = pub.dummy_count(rows)
    assert dummies >= 10
    assert padded_rows(rows + dummies + 2) == rows + dummies + 2


def test_dummies_repeat_for_a_secret_and_differ_between_secrets() -> None:
    assert pub.dummy_tag(SECRET, 3) == pub.dummy_tag(SECRET, 3)
    assert (
        len({pub.dummy_tag(secret, index) for secret in (SECRET, SECRET[::-1]) for index in range(50)}) == 100
    )
    with pytest.raises(PublicationError, match="32 bytes"):
        pub.dummy_tag(SECRET[:31], 0)


@pytest.mark.parametrize(
    ("rows", "count", "message"),
    [
        ([(5, b""), (5, b"")], 2, "equal"),
        ([(0, b"")], 1, "equal"),
        ([(MAX_TAG, b"")], 1, "equal"),
        ([(pub.dummy_tag(SECRET, 0), b"")], 1, "equal"),
        ([(1 << 63, b""), (5, b"")], 2, "ascending"),
        ([(5, b"")], 2, "announced"),
        ([(5, b""), (6, b"")], 1, "announced"),
        ([(5, b"x")], 1, "fixed width"),
        ([(-1, b"")], 1, "not in 0"),
        ([(-5, b"")], 1, "not in 0"),
        ([], -1, "negative"),
    ],
)
def test_rows_that_make_no_publication(rows: list[tuple[int, bytes]], count: int, message: str) -> None:
    with pytest.raises(PublicationError, match=message):
        list(pub.published_leaves(SECRET, rows, count))


def test_a_changed_byte_or_another_root() -> None:
    leaves = member_leaves(8)
    root = tree_of(leaves).root()
    check(leaves, root)
    tampered = [*leaves]
    tampered[4] = tampered[4][:-1] + bytes([tampered[4][-1] ^ 1])
    with pytest.raises(PublicationError, match="rule of root"):
        check(tampered, root)
    with pytest.raises(PublicationError, match="rule of root"):
        check(leaves, bytes(32))


def test_a_hidden_or_added_row() -> None:
    leaves = member_leaves(8)
    root = tree_of(leaves).root()
    with pytest.raises(PublicationError, match="rule of count"):
        check(leaves[:4] + leaves[5:], root, len(leaves))
    between = pub.encode_leaf(pub.leaf_tag(leaves[4]) + 1)
    with pytest.raises(PublicationError, match="rule of count"):
        check([*leaves[:5], between, *leaves[5:]], root, len(leaves))
    with pytest.raises(PublicationError, match="rule of root"):
        check([*leaves[:4], between, *leaves[5:]], root)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 12, 13, 14, 16, 17, 21])
def test_a_count_that_is_no_step(count: int) -> None:
    with pytest.raises(PublicationError, match="no padding step"):
        pub.SetVerifier(count, bytes(32))


def test_a_set_cut_or_stretched_to_another_step() -> None:
    leaves = member_leaves(8)
    assert len(leaves) == 20
    with pytest.raises(PublicationError, match="rule of sentinel"):
        check(leaves[:15])
    with pytest.raises(PublicationError, match="rule of count"):
        check(leaves, count=15)
    with pytest.raises(PublicationError, match="rule of count"):
        check(leaves, count=25)


def test_wrong_order_and_equal_tags() -> None:
    leaves = member_leaves(8)
    swapped = [*leaves[:3], leaves[4], leaves[3], *leaves[5:]]
    doubled = [*leaves[:4], leaves[3], *leaves[5:]]
    for wrong in (swapped, doubled):
        with pytest.raises(PublicationError, match="rule of order: leaf 4 "):
            check(wrong)


def test_missing_sentinels() -> None:
    leaves = member_leaves(8)
    with pytest.raises(PublicationError, match="the first leaf"):
        check([pub.encode_leaf(1), *leaves[1:]])
    with pytest.raises(PublicationError, match="the last leaf"):
        check([*leaves[:-1], pub.encode_leaf(MAX_TAG - 1)])


def test_leaves_of_another_shape() -> None:
    leaves = member_leaves(8)
    for wrong in (leaves[5] + b"\x00", leaves[5][:-1], b""):
        with pytest.raises(PublicationError, match="rule of width: leaf 5 "):
            check([*leaves[:5], wrong, *leaves[6:]])
    with pytest.raises(PublicationError, match="fewer than a tag"):
        pub.leaf_tag(b"1234567")


def test_ciphertexts_are_always_checked() -> None:
    with pytest.raises(PublicationError, match="ciphertext check"):
        pub.SetVerifier(20, bytes(32), ciphertext_bytes=WIDTH)
    with pytest.raises(PublicationError, match="ciphertext check"):
        pub.SetVerifier(20, bytes(32), check_ciphertexts=lambda _: None)
    leaves = list(pub.published_leaves(SECRET, [(7, b"badbad")], 1, fill))

    def refuse(ciphertexts: Sequence[bytes]) -> None:
        if b"badbad" in ciphertexts:
            raise CiphertextError("not a ciphertext")

    verifier = pub.SetVerifier(
        len(leaves), tree_of(leaves).root(), ciphertext_bytes=WIDTH, check_ciphertexts=refuse
    )
    with pytest.raises(CiphertextError):
        verifier.feed(leaves)


LEAVES = member_leaves(8)
TREE = tree_of(LEAVES)
COUNT, ROOT = len(LEAVES), TREE.root()


def proof(index: int) -> pub.MatchProof:
    return pub.prove_leaf(index, LEAVES[index], COUNT, TREE)


def tag_at(index: int) -> int:
    return pub.leaf_tag(LEAVES[index])


def test_every_leaf_but_the_sentinels_can_be_a_match() -> None:
    for index in range(COUNT):
        if pub.is_term_index(index, COUNT):
            pub.verify_match(tag_at(index), proof(index), COUNT, ROOT)
    assert [index for index in range(-1, COUNT + 1) if not pub.is_term_index(index, COUNT)] == [-1, 0, 19, 20]


@pytest.mark.parametrize("index", [0, COUNT - 1])
def test_a_sentinel_is_never_a_match(index: int) -> None:
    with pytest.raises(EvidenceError, match="sentinel"):
        pub.verify_match(tag_at(index), proof(index), COUNT, ROOT)
    with pytest.raises(EvidenceError, match="sentinel"):
        pub.verify_match(tag_at(index), replace(proof(index), index=1), COUNT, ROOT)


def test_matches_that_are_not() -> None:
    good = proof(5)
    cheats = [
        (tag_at(6), good),
        (tag_at(6), replace(good, leaf=LEAVES[6])),
        (tag_at(5), replace(good, index=6)),
        (tag_at(5), replace(good, index=-5)),
        (tag_at(5), replace(good, index=COUNT + 5)),
        (tag_at(5), replace(good, path=good.path[:-1])),
        (tag_at(5), replace(good, path=(*good.path, bytes(32)))),
        (tag_at(5), replace(good, path=(bytes(31), *good.path[1:]))),
        (tag_at(5), replace(good, path=good.path[::-1])),
        (tag_at(5), replace(good, leaf=LEAVES[5] + b"\x00")),
        (tag_at(5), replace(good, leaf=LEAVES[5][:7])),
        (77, pub.MatchProof(5, pub.encode_leaf(77), good.path)),
    ]
    for tag, cheat in cheats:
        with pytest.raises(EvidenceError):
            pub.verify_match(tag, cheat, COUNT, ROOT)
    other = tree_of(member_leaves(8, seed=2))
    with pytest.raises(EvidenceError, match="not under"):
        pub.verify_match(tag_at(5), good, COUNT, other.root())
    with pytest.raises(EvidenceError):
        pub.verify_match(tag_at(5), good, 40, ROOT)


def test_every_gap_proves_absence() -> None:
    for index in range(COUNT - 1):
        gap = pub.AbsenceProof(proof(index), proof(index + 1))
        pub.verify_absence(tag_at(index) + 1, gap, COUNT, ROOT)
        pub.verify_absence(tag_at(index + 1) - 1, gap, COUNT, ROOT)


def test_neighbours_that_are_not() -> None:
    left, right = proof(5), proof(6)
    inside = tag_at(5) + 1
    cheats = [
        (tag_at(5), pub.AbsenceProof(left, right)),
        (tag_at(6), pub.AbsenceProof(left, right)),
        (tag_at(7) + 1, pub.AbsenceProof(left, right)),
        (tag_at(6), pub.AbsenceProof(left, proof(7))),
        (inside, pub.AbsenceProof(right, left)),
        (inside, pub.AbsenceProof(left, left)),
        (tag_at(6), pub.AbsenceProof(left, replace(proof(7), index=6))),
        (inside, pub.AbsenceProof(left, replace(right, path=left.path))),
        (inside, pub.AbsenceProof(replace(left, path=()), right)),
        (inside, pub.AbsenceProof(left, replace(right, leaf=right.leaf[:3]))),
        (tag_at(6), pub.AbsenceProof(left, pub.MatchProof(6, pub.encode_leaf(tag_at(6) + 1), right.path))),
    ]
    for tag, cheat in cheats:
        with pytest.raises(EvidenceError):
            pub.verify_absence(tag, cheat, COUNT, ROOT)


def test_evidence_as_json() -> None:
    gap = pub.AbsenceProof(proof(5), proof(6))
    assert pub.match_from_json(pub.match_to_json(proof(5))) == proof(5)
    assert pub.absence_from_json(pub.absence_to_json(gap)) == gap


@pytest.mark.parametrize(
    "change",
    [
        {"index": True},
        {"index": -1},
        {"index": "5"},
        {"leaf": 5},
        {"leaf": "AA"},
        {"leaf": "a"},
        {"leaf": "a a"},
        {"path": "ab"},
        {"path": ["ab"]},
        {"path": [None]},
        {"path": ["00" * 32] * 64},
        {"more": 1},
    ],
)
def test_evidence_of_another_form_is_refused(change: dict[str, Json]) -> None:
    with pytest.raises(EvidenceError, match="malformed"):
        pub.match_from_json({**pub.match_to_json(proof(5)), **change})


def test_missing_members_are_refused() -> None:
    values: list[Json] = [None, [], {}, {"left": {}}, {"left": None, "right": None}]
    for value in values:
        with pytest.raises(EvidenceError, match="malformed"):
            pub.absence_from_json(value)
        with pytest.raises(EvidenceError, match="malformed"):
            pub.match_from_json(value)


def test_no_proof_outside_the_set() -> None:
    with pytest.raises(EvidenceError, match="rebuild"):
        pub.prove_leaf(COUNT, b"", COUNT, TREE)
