"""python-paillier's formats and the plain private key, without python-paillier."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CiphertextError, EncodingError, SumKeyError
from protocols.profiles import PAILLIER_2048_TEST, PaillierProfile
from protocols.sums.paillier import PaillierPrivateKey, PaillierPublicKey
from protocols.sums.phe_format import (
    EncryptedNumber,
    decode_integer,
    encode_integer,
    encrypted_from_json,
    encrypted_to_json,
    private_from_jwk,
    private_to_jwk,
    public_from_jwk,
    public_to_jwk,
)

N = (1 << 127) - 1


@pytest.fixture(scope="module")
def private(small: PaillierProfile, small_primes_pair: tuple[int, int]) -> PaillierPrivateKey:
    return PaillierPrivateKey(*small_primes_pair, small)


def test_keys_survive_the_format(private: PaillierPrivateKey, small: PaillierProfile) -> None:
    data = private_to_jwk(private, "test")
    assert private_from_jwk(data, small) == private
    assert public_from_jwk(public_to_jwk(private.public, "test"), small) == private.public
    assert data["pub"] == public_to_jwk(private.public, "test")


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"alg": "PAI-GN2"},
        {"n": 5},
        {"n": "="},
        {"n": "a"},
        {"n": "AA+/"},
        {"n": ""},
        {"n": "AQAB"},
        {"n": "é"},
    ],
)
def test_a_malformed_public_key_is_refused(
    public: PaillierPublicKey, small: PaillierProfile, change: dict[str, Any]
) -> None:
    with pytest.raises(SumKeyError):
        public_from_jwk({**public_to_jwk(public, "x"), **change}, small)


@pytest.mark.parametrize(
    "change",
    [{"kty": "RSA"}, {"key_ops": ["encrypt"]}, {"key_ops": 5}, {"p": "AQAB"}, {"pub": None}, {"q": None}],
)
def test_a_malformed_private_key_is_refused(
    private: PaillierPrivateKey, small: PaillierProfile, change: dict[str, Any]
) -> None:
    with pytest.raises(SumKeyError):
        private_from_jwk({**private_to_jwk(private, "x"), **change}, small)


def test_a_public_part_of_another_key_is_refused(
    private: PaillierPrivateKey, small: PaillierProfile, maker: dict[str, Any]
) -> None:
    p = private.p
    other = PaillierPrivateKey(p, (1 << 256) - 189, small)
    data = {**private_to_jwk(private, "x"), "pub": public_to_jwk(other.public, "x")}
    with pytest.raises(SumKeyError, match="another"):
        private_from_jwk(data, small)


def test_factors_that_are_no_key_are_refused(private: PaillierPrivateKey, small: PaillierProfile) -> None:
    for p, q in [(private.p, private.p), (private.p, private.q + 2), (2, private.q), (private.p, 3), (-5, 7)]:
        with pytest.raises(SumKeyError):
            PaillierPrivateKey(p, q, small)
    with pytest.raises(SumKeyError):
        PaillierPrivateKey(private.p, private.q, PAILLIER_2048_TEST)
    assert str(private.p) not in repr(private)


@given(value=st.integers(-(10**15), 10**15))
def test_decryption_inverts_encryption(private: PaillierPrivateKey, value: int) -> None:
    n = private.p * private.q
    ciphertext = (1 + encode_integer(value, n) * n) * pow(7, n, n * n) % (n * n)
    assert decode_integer(private.decrypt(ciphertext), n) == value


@pytest.mark.parametrize("kind", ["zero", "n", "square", "above", "factor"])
def test_the_private_key_never_touches_a_malformed_ciphertext(private: PaillierPrivateKey, kind: str) -> None:
    n = private.p * private.q
    value = {"zero": 0, "n": n, "square": n * n, "above": n * n + 1, "factor": 3 * private.q}[kind]
    with pytest.raises(CiphertextError):
        private.decrypt(value)
    with pytest.raises(CiphertextError):
        encrypted_from_json({"v": str(value), "e": 0}, private.public)


def test_encrypted_numbers_survive_the_format(public: PaillierPublicKey) -> None:
    number = EncryptedNumber(public.encrypt(-5, 77))
    assert encrypted_to_json(number)["e"] == 0
    assert encrypted_from_json(encrypted_to_json(number), public) == number
    largest = EncryptedNumber(public.n_square - 1)
    assert encrypted_from_json(encrypted_to_json(largest), public) == largest


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"v": "5"},
        {"e": 0},
        {"v": 5, "e": 0},
        {"v": "5", "e": "0"},
        {"v": "5", "e": 0.0},
        {"v": "5", "e": True},
        {"v": "-5", "e": 0},
        {"v": "", "e": 0},
        {"v": "0x5", "e": 0},
        {"v": "٥", "e": 0},
        {"v": "9" * 400, "e": 0},
        {"v": "9" * 100_000, "e": 0},
    ],
)
def test_a_malformed_encrypted_number_is_refused(public: PaillierPublicKey, data: dict[str, object]) -> None:
    with pytest.raises(EncodingError):
        encrypted_from_json(data, public)


@given(value=st.integers(-(N // 3) + 1, N // 3 - 1))
def test_integers_survive_encoding(value: int) -> None:
    assert decode_integer(encode_integer(value, N), N) == value


def test_encoding_follows_phe() -> None:
    assert encode_integer(-5, N) == N - 5
    assert decode_integer(3, N, 2) == 768
    assert decode_integer(N - 48, N, -1) == -3
    for m, exponent in [(N, 0), (-1, 0), (24, -2), (1, 257), (1, -257)]:
        with pytest.raises(EncodingError):
            decode_integer(m, N, exponent)
    for value in (N // 3, -(N // 3), N):
        with pytest.raises(EncodingError):
            encode_integer(value, N)
