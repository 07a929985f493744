"""Sealed messages: equal to RFC 9180 by an independent reading of it, and nothing else opens them."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import CannotOpenError, MalformedKeyError
from keys.sealing import DOMAIN, OVERHEAD_BYTES, SealingKey, seal

KEY = SealingKey.generate()
INFO = b"network and dataset"


@given(st.binary(max_size=500), st.binary(max_size=80), st.binary(max_size=80))
def test_round_trip(plaintext: bytes, info: bytes, aad: bytes) -> None:
    sealed = seal(KEY.public, plaintext, info=info, aad=aad)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert SealingKey.from_private(KEY.private).open(sealed, info=info, aad=aad) == plaintext


def _extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, "sha256")


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    data = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    assert length <= 32
    return hmac.digest(prk, data + b"\x01", "sha256")[:length]


def rfc9180_open(
    private: bytes, sealed: bytes, info: bytes, aad: bytes, *, aead: int, key_bytes: int
) -> bytes:
    """RFC 9180 sections 4.1, 5.1 and 5.2: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, base mode, AES-GCM."""
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01" + aead.to_bytes(2, "big")
    key, enc = X25519PrivateKey.from_private_bytes(private), sealed[:32]
    shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
    context = enc + key.public_key().public_bytes_raw()
    secret = _expand(kem, _extract(kem, b"", b"eae_prk", shared), b"shared_secret", context, 32)
    schedule = b"\x00" + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", info)
    prk = _extract(suite, secret, b"secret", b"")
    aead_key = _expand(suite, prk, b"key", schedule, key_bytes)
    nonce = _expand(suite, prk, b"base_nonce", schedule, 12)
    return AESGCM(aead_key).decrypt(nonce, sealed[32:], aad)


def test_the_independent_reading_opens_rfc_9180_a_1_1() -> None:
    sealed = bytes.fromhex(
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
        "6d8770ac83d07bea87e13c512a"
    )
    private = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    plaintext = rfc9180_open(private, sealed, info, b"Count-0", aead=1, key_bytes=16)
    assert plaintext == b"Beauty is truth, truth beauty"


@given(st.binary(max_size=100), st.binary(max_size=40), st.binary(max_size=40))
def test_the_independent_reading_opens_ours(plaintext: bytes, info: bytes, aad: bytes) -> None:
    sealed = seal(KEY.public, plaintext, info=info, aad=aad)
    context = b"".join(len(part).to_bytes(4, "big") + part for part in (DOMAIN, info, aad))
    assert rfc9180_open(KEY.private, sealed, context, b"", aead=2, key_bytes=32) == plaintext


def test_every_byte_counts() -> None:
    sealed = seal(KEY.public, b"secret", info=INFO)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(CannotOpenError):
            KEY.open(bytes(changed), info=INFO)


def test_cut_short_or_longer() -> None:
    sealed = seal(KEY.public, b"secret", info=INFO)
    for end in range(len(sealed)):
        with pytest.raises(CannotOpenError):
            KEY.open(sealed[:end], info=INFO)
    with pytest.raises(CannotOpenError):
        KEY.open(sealed + b"\x00", info=INFO)


@pytest.mark.parametrize(
    ("info", "aad"),
    [(b"", b"aad"), (INFO + b"x", b"aad"), (INFO, b""), (INFO, b"aae"), (INFO + b"aad", b""), (b"aad", INFO)],
)
def test_another_context(info: bytes, aad: bytes) -> None:
    sealed = seal(KEY.public, b"secret", info=INFO, aad=b"aad")
    with pytest.raises(CannotOpenError, match="seal it again"):
        KEY.open(sealed, info=info, aad=aad)


def test_another_key() -> None:
    with pytest.raises(CannotOpenError):
        SealingKey.generate().open(seal(KEY.public, b"secret", info=INFO), info=INFO)


def test_two_seals_differ() -> None:
    assert seal(KEY.public, b"", info=INFO) != seal(KEY.public, b"", info=INFO)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(31),
        bytes(33),
        bytes(32),
        b"\x01" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ],
)
def test_keys_of_wrong_length_or_small_order(public: bytes) -> None:
    with pytest.raises(MalformedKeyError):
        seal(public, b"secret", info=INFO)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_private_key_of_wrong_length(length: int) -> None:
    with pytest.raises(MalformedKeyError, match="backup"):
        SealingKey.from_private(bytes(length))


def test_the_private_key_is_not_shown() -> None:
    assert KEY.private.hex() not in repr(KEY)
    assert KEY.public.hex() in repr(KEY)
