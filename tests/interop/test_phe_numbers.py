"""Keys, sums and negatives both ways with python-paillier (phe), in one process."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import CiphertextError
from protocols.profiles import PAILLIER_2048_TEST
from protocols.sums.paillier import PaillierPrivateKey, PaillierPublicKey
from protocols.sums.phe_format import EncryptedNumber as OurNumber
from protocols.sums.phe_format import (
    decode_integer,
    encode_integer,
    encrypted_from_json,
    encrypted_to_json,
    private_from_jwk,
    private_to_jwk,
    public_from_jwk,
)
from protocols.sums.threshold import combine, deal, decode, partial

phe: Any = pytest.importorskip(
    "phe", reason="phe is not installed: install the interop extra to compare with it"
)
pytestmark = pytest.mark.interop

MAKER = Path(__file__).parents[1] / "vectors" / "make_paillier.py"
AMOUNTS = (0, 1, -1, 523_400, -99, 10**12, -(10**12))


@pytest.fixture(scope="module")
def ours() -> PaillierPrivateKey:
    """The key of the vectors, 2048 bits."""
    p, q = (int(prime, 16) for prime in runpy.run_path(str(MAKER))["PRIMES"]["paillier-2048-test"])
    return PaillierPrivateKey(p, q, PAILLIER_2048_TEST)


@pytest.fixture(scope="module")
def theirs() -> tuple[Any, Any]:
    """A key pair made by phe, 2048 bits."""
    public, private = phe.generate_paillier_keypair(n_length=2048)
    return public, private


def phe_key(key: PaillierPrivateKey) -> tuple[Any, Any]:
    public = phe.PaillierPublicKey(key.p * key.q)
    return public, phe.PaillierPrivateKey(public, key.p, key.q)


def our_key(private: Any) -> PaillierPrivateKey:
    """phe's key through the JSON format."""
    public = {"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "kid": ""}
    public["n"] = phe.util.int_to_base64(private.public_key.n)
    data = {"kty": "DAJ", "key_ops": ["decrypt"], "kid": "", "pub": public}
    data |= {"p": phe.util.int_to_base64(private.p), "q": phe.util.int_to_base64(private.q)}
    return private_from_jwk(json.loads(json.dumps(data)), PAILLIER_2048_TEST)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_phe_reads_what_we_encrypt_and_we_what_phe_encrypts(ours: PaillierPrivateKey, amount: int) -> None:
    public, private = phe_key(ours)
    mine = ours.public.encrypt_row(bytes(32), b"x", amount, b"row")
    assert private.decrypt(phe.EncryptedNumber(public, mine, 0)) == amount
    number = public.encrypt(amount)
    assert number.exponent == 0
    n = public.n
    assert decode_integer(ours.decrypt(number.ciphertext()), n) == amount
    assert encode_integer(amount, n) == phe.EncodedNumber.encode(public, amount).encoding


def test_our_numbers_are_formatted_as_phe_formats_its_own(ours: PaillierPrivateKey) -> None:
    data = private_to_jwk(ours, "key")
    assert data["p"] == phe.util.int_to_base64(ours.p)
    assert phe.util.base64_to_int(data["q"]) == ours.q


def test_phe_adds_our_ciphertexts_and_we_add_phes(ours: PaillierPrivateKey) -> None:
    public, private = phe_key(ours)
    ciphertexts = [ours.public.encrypt_row(bytes(32), b"%d" % a, a, b"row") for a in AMOUNTS]
    numbers = [phe.EncryptedNumber(public, ciphertext, 0) for ciphertext in ciphertexts]
    assert private.decrypt(sum(numbers[1:], numbers[0])) == sum(AMOUNTS)
    assert private.decrypt(numbers[3] - numbers[4]) == 523_400 + 99
    signs = (1, 1, -1, 1, -1, -1, 1)
    mixed = [
        (public.encrypt(amount).ciphertext() if place % 2 else ciphertexts[place], signs[place])
        for place, amount in enumerate(AMOUNTS)
    ]
    expected = sum(amount * sign for amount, sign in zip(AMOUNTS, signs, strict=True))
    total = ours.public.combine(mixed)
    assert decode_integer(ours.decrypt(total), public.n) == expected
    assert private.decrypt(phe.EncryptedNumber(public, total, 0)) == expected


def test_a_key_of_phe_works_here(theirs: tuple[Any, Any]) -> None:
    public, private = theirs
    key = our_key(private)
    assert {key.p, key.q} == {private.p, private.q}
    for amount in AMOUNTS:
        assert decode_integer(key.decrypt(public.encrypt(amount).ciphertext()), public.n) == amount
        mine = key.public.encrypt(amount, 1 << 1023 | 12345)
        assert private.decrypt(phe.EncryptedNumber(public, mine, 0)) == amount


def test_a_threshold_key_opens_what_phe_encrypted_and_summed(ours: PaillierPrivateKey) -> None:
    dealt = deal(PAILLIER_2048_TEST, ["office", "a", "b"], 2, (ours.p, ours.q), ceremony=bytes(32))
    public = phe.PaillierPublicKey(dealt.key.public.n)
    total = public.encrypt(523_400) + public.encrypt(-700_000) + public.encrypt(1)
    ciphertext = total.ciphertext()
    opened = combine(
        dealt.key, {share.holder: partial(dealt.key, share, ciphertext) for share in dealt.shares[1:]}
    )
    assert decode(dealt.key.public, opened, 3) == 523_401 - 700_000


def test_public_keys_and_numbers_survive_json(theirs: tuple[Any, Any]) -> None:
    public, private = theirs
    data = {"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": phe.util.int_to_base64(public.n)}
    key = public_from_jwk(data, PAILLIER_2048_TEST)
    assert key == PaillierPublicKey.of_modulus(public.n, PAILLIER_2048_TEST)
    text = json.dumps(encrypted_to_json(OurNumber(key.encrypt(-41, 3))))
    number = json.loads(text)
    assert private.decrypt(phe.EncryptedNumber(public, int(number["v"]), number["e"])) == -41
    assert encrypted_from_json(number, key).ciphertext == key.encrypt(-41, 3)


@pytest.mark.parametrize("kind", ["zero", "n"])
def test_phe_gives_its_key_away_where_we_refuse(ours: PaillierPrivateKey, kind: str) -> None:
    """Why the core is ours: phe opens 0 and n to (p + q)⁻¹ mod n, and p + q with p·q are the factors."""
    _, private = phe_key(ours)
    n = ours.p * ours.q
    malformed = {"zero": 0, "n": n}[kind]
    assert pow(private.raw_decrypt(malformed), -1, n) == ours.p + ours.q
    with pytest.raises(CiphertextError):
        ours.decrypt(malformed)
