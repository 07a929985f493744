"""Hedged nonces: equal to HKDF by another implementation, and every input counts."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from protocols.encoding import fields
from protocols.errors import EncodingError
from protocols.hedged import DOMAIN, MAX_NONCE_BYTES, hedged_nonce

SECRET = bytes(range(32))
FRESH = bytes(32)
secret_bytes = st.binary(min_size=16, max_size=80)
fresh_bytes = st.binary(min_size=32, max_size=32)


@given(secret_bytes, st.binary(max_size=300), fresh_bytes, st.integers(1, 400))
def test_is_hkdf_sha512(secret: bytes, transcript: bytes, fresh: bytes, length: int) -> None:
    info = fields(DOMAIN, length.to_bytes(4, "big"))
    expected = HKDF(SHA512(), length, DOMAIN, info).derive(fields(secret, fresh, transcript))
    assert hedged_nonce(secret, transcript, length=length, fresh=fresh) == expected


def test_known_answer() -> None:
    nonce = hedged_nonce(SECRET, b"transcript", fresh=FRESH)
    assert nonce.hex() == (
        "a0e79735857f00556336c2ad3212063283c96108e7a96322f004e02ede213379"
        "bbd2c0358c5636c7328c88bf6d5f4c422ebf34dcd022c15bf8c98b68efa1c4c4"
    )


@pytest.mark.parametrize("length", [1, 32, 63, 64, 65, 128, 900, MAX_NONCE_BYTES])
def test_length(length: int) -> None:
    assert len(hedged_nonce(SECRET, b"t", length=length)) == length


def test_lengths_are_unrelated() -> None:
    assert not hedged_nonce(SECRET, b"t", length=64, fresh=FRESH).startswith(
        hedged_nonce(SECRET, b"t", length=32, fresh=FRESH)
    )


def test_fresh_every_call() -> None:
    assert len({hedged_nonce(SECRET, b"t") for _ in range(100)}) == 100


def test_clones_with_one_random_state_share_a_nonce_only_for_one_statement() -> None:
    assert hedged_nonce(SECRET, b"a", fresh=FRESH) == hedged_nonce(SECRET, b"a", fresh=FRESH)
    assert hedged_nonce(SECRET, b"a", fresh=FRESH) != hedged_nonce(SECRET, b"b", fresh=FRESH)


@given(secret_bytes, st.binary(min_size=1, max_size=60), fresh_bytes, st.data())
def test_every_byte_of_every_input_counts(
    secret: bytes, transcript: bytes, fresh: bytes, data: st.DataObject
) -> None:
    base = hedged_nonce(secret, transcript, fresh=fresh)
    parts = [secret, transcript, fresh]
    which = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(parts[which]) - 1))
    changed = bytearray(parts[which])
    changed[at] ^= data.draw(st.integers(1, 255))
    parts[which] = bytes(changed)
    assert hedged_nonce(parts[0], parts[1], fresh=parts[2]) != base


def test_no_shift_between_secret_and_transcript() -> None:
    joined = bytes(48)
    nonces = {hedged_nonce(joined[:cut], joined[cut:], fresh=FRESH) for cut in range(16, 49)}
    assert len(nonces) == 33


@pytest.mark.parametrize("length", [0, -1, MAX_NONCE_BYTES + 1])
def test_bad_length(length: int) -> None:
    with pytest.raises(EncodingError, match="bytes"):
        hedged_nonce(SECRET, b"t", length=length)


@pytest.mark.parametrize("fresh", [b"", bytes(31), bytes(33)])
def test_bad_fresh(fresh: bytes) -> None:
    with pytest.raises(EncodingError, match="fresh"):
        hedged_nonce(SECRET, b"t", fresh=fresh)


@pytest.mark.parametrize("secret", [b"", bytes(15)])
def test_short_secret(secret: bytes) -> None:
    with pytest.raises(EncodingError, match="secret"):
        hedged_nonce(secret, b"t")
