"""Known answers of ``tests/vectors/psi.json``: made again, recomputed with hashlib alone, and refusals."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import EncodingError, GroupError
from protocols.psi import golomb, group, publication

FOLDER = Path(__file__).parents[2] / "vectors"
VECTORS: dict[str, Any] = json.loads((FOLDER / "psi.json").read_text())


def test_the_file_is_what_its_maker_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_psi", FOLDER / "make_psi.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.text() == (FOLDER / "psi.json").read_text()


def length_prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def test_tags_and_dummies_follow_from_hashlib_alone() -> None:
    for row in VECTORS["rows"]:
        parts = [b"hedui/tag/v1", VECTORS["dataset"].encode(), VECTORS["publication"].encode()]
        digest = hashlib.sha512(length_prefixed(*parts, bytes.fromhex(row["element"]))).digest()
        assert digest[:8].hex() == row["tag"]
    expected = {row["tag"] for row in VECTORS["rows"]} | {"00" * 8, "ff" * 8}
    for index in range(VECTORS["count"] - len(expected)):
        message = length_prefixed(b"dummy", index.to_bytes(8, "big"))
        expected.add(hmac.digest(bytes.fromhex(VECTORS["secret"]), message, "sha256")[:8].hex())
        if len(expected) == VECTORS["count"]:
            break
    assert sorted(expected) == VECTORS["leaves"]


def test_the_root_follows_from_hashlib_alone() -> None:
    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return hashlib.sha256(b"\x00" + leaves[0]).digest()
        split = 1
        while 2 * split < len(leaves):
            split *= 2
        return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()

    assert root([bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]).hex() == VECTORS["root"]


def test_the_set_its_download_and_its_match_verify() -> None:
    root, count = bytes.fromhex(VECTORS["root"]), VECTORS["count"]
    leaves = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
    verifier = publication.SetVerifier(count, root)
    verifier.feed(leaves)
    verifier.finish()
    assert golomb.decode(bytes.fromhex(VECTORS["golomb"]), count) == [
        publication.leaf_tag(leaf) for leaf in leaves
    ]
    proof = publication.match_from_json(VECTORS["match"])
    publication.verify_match(int(VECTORS["rows"][0]["tag"], 16), proof, count, root)


@pytest.mark.parametrize("name", VECTORS["refused"]["points"])
def test_refused_points(name: str) -> None:
    with pytest.raises(GroupError):
        group.check_points([bytes.fromhex(VECTORS["refused"]["points"][name])])


@pytest.mark.parametrize("name", VECTORS["refused"]["golomb"])
def test_refused_downloads(name: str) -> None:
    with pytest.raises(EncodingError):
        golomb.decode(bytes.fromhex(VECTORS["refused"]["golomb"][name]), VECTORS["count"])
