"""The committed vectors: made again, read as a stranger would, recomputed with plain integers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import ProtocolError
from protocols.profiles import PAILLIER_2048_TEST, PaillierProfile
from protocols.sums.modulus import check_modulus
from protocols.sums.shareproof import ListContext, verify
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import combine, decode

FILE = Path(__file__).parents[2] / "vectors" / "paillier.json"
CASES: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    vector: dict[str, Any] = CASES[request.param]
    return vector


def profile_of(case: dict[str, Any], small: PaillierProfile) -> PaillierProfile:
    return small if case["sumkey"]["suite"] == small.name else PAILLIER_2048_TEST


def test_the_file_is_what_its_maker_makes(maker: dict[str, Any]) -> None:
    assert maker["build"]() == FILE.read_text(encoding="utf-8")


def test_a_stranger_verifies_and_opens_the_total(case: dict[str, Any], small: PaillierProfile) -> None:
    key = SumKey.from_body(case["sumkey"], profile_of(case, small))
    public = key.public
    secret = bytes.fromhex(case["publication_secret"])
    terms = []
    for row in case["rows"]:
        ciphertext = public.from_bytes(bytes.fromhex(row["ciphertext"]))
        assert ciphertext == public.encrypt_row(secret, row["identifier"].encode(), row["amount"], b"row")
        terms.append((ciphertext, row["sign"]))
    total = public.combine(terms)
    assert public.to_bytes(total).hex() == case["total_ciphertext"]
    context = case["context"]
    bound = ListContext(context["network"], context["query"], bytes.fromhex(context["list_digest"]))
    values = {}
    for holder, opening in case["openings"].items():
        key.share_from_bytes(bytes.fromhex(case["shares"][holder]), holder)
        values[holder] = int(opening["partial"], 16)
        verify(key, holder, total, values[holder], bytes.fromhex(opening["proof"]), bound)
    del values["office"]
    assert decode(public, combine(key, values), len(terms)) == case["total"]


def test_plain_integers_agree(case: dict[str, Any]) -> None:
    p, q = int(case["p"], 16), int(case["q"], 16)
    n, phi = p * q, (p - 1) * (q - 1)
    square, delta = n * n, 6

    def decrypt(ciphertext: int) -> int:
        opened = (pow(ciphertext, phi, square) - 1) // n * pow(phi, -1, n) % n
        return opened - n if opened > n // 2 else opened

    assert int(case["sumkey"]["modulus"], 16) == n
    assert math.gcd(n, phi) == 1
    assert [decrypt(int(row["ciphertext"], 16)) for row in case["rows"]] == [
        r["amount"] for r in case["rows"]
    ]
    total = int(case["total_ciphertext"], 16)
    assert decrypt(total) == case["total"] == sum(row["amount"] * row["sign"] for row in case["rows"])
    v = int(case["sumkey"]["v"], 16)
    for holder, data in case["shares"].items():
        share = int(data[-n.bit_length() // 2 :], 16)
        assert pow(v, delta * share, square) == int(case["sumkey"]["verification"][holder], 16)
        assert pow(total, 2 * delta * share, square) == int(case["openings"][holder]["partial"], 16)


def test_every_negative_vector_fails_with_its_code(case: dict[str, Any], small: PaillierProfile) -> None:
    profile = profile_of(case, small)
    key = SumKey.from_body(case["sumkey"], profile)
    for vector in case["must_fail"]["ciphertexts"]:
        with pytest.raises(ProtocolError) as caught:
            key.public.check_ciphertexts([int(vector["value"], 16)])
        assert caught.value.code == vector["expect"], vector["class"]
    for vector in case["must_fail"]["moduli"]:
        with pytest.raises(ProtocolError) as caught:
            check_modulus(int(vector["value"], 16), profile)
        assert caught.value.code == vector["expect"], vector["class"]
