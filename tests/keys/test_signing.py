"""Signatures: RFC 8032 vectors, every changed byte found, keys nobody honest could have refused."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from hypothesis import given
from hypothesis import strategies as st

from keys import signing
from keys.errors import BadSignatureError, MalformedKeyError, UnknownAlgorithmError
from keys.signing import ALGORITHMS, ED25519, PublicKey, SigningKey

# RFC 8032 section 7.1, TEST 1 to 3: seed, public key, message, signature
RFC8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC8032)
def test_rfc8032(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public.raw.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public.verify(bytes.fromhex(message), bytes.fromhex(signature))


def test_id() -> None:
    key = SigningKey.generate().public
    assert key.id == hashlib.sha256(b"ed25519\x00" + key.raw).hexdigest()[:32]


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_round_trip(seed: bytes, message: bytes) -> None:
    key = SigningKey.from_seed(seed)
    PublicKey(key.alg, key.public.raw).verify(message, key.sign(message))
    assert key.seed == seed


@given(st.binary(min_size=1, max_size=60), st.data())
def test_changed_byte(message: bytes, data: st.DataObject) -> None:
    key = SigningKey.generate()
    parts = [bytearray(message), bytearray(key.sign(message))]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadSignatureError):
        key.public.verify(bytes(parts[0]), bytes(parts[1]))


def test_every_byte_of_a_signature_counts() -> None:
    key = SigningKey.generate()
    signature = key.sign(b"message")
    for at in range(64):
        changed = bytearray(signature)
        changed[at] ^= 1
        with pytest.raises(BadSignatureError):
            key.public.verify(b"message", bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128])
def test_signature_of_another_length(length: int) -> None:
    key = SigningKey.generate()
    with pytest.raises(BadSignatureError, match="64 bytes"):
        key.public.verify(b"", (key.sign(b"") * 2)[:length])


def test_another_key() -> None:
    signature = SigningKey.generate().sign(b"message")
    with pytest.raises(BadSignatureError, match="another key"):
        SigningKey.generate().public.verify(b"message", signature)


def test_s_plus_order_is_refused() -> None:
    key = SigningKey.generate()
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(BadSignatureError):
        key.public.verify(b"message", signature[:32] + scalar.to_bytes(32, "little"))


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Addition on edwards25519, affine."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def _decode(raw: bytes) -> tuple[int, int]:
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (P - x if x & 1 != raw[31] >> 7 and x else x), y


def _torsion() -> list[tuple[int, int]]:
    """The eight points of order dividing 8, from a point of order 8·l times l."""
    for y in range(2, 100):
        try:
            base = _decode(y.to_bytes(32, "little"))
        except AssertionError:
            continue
        point, result, scalar = base, (0, 1), ORDER
        while scalar:
            if scalar & 1:
                result = _add(result, point)
            point, scalar = _add(point, point), scalar >> 1
        points = [(0, 1)]
        while (following := _add(points[-1], result)) != (0, 1):
            points.append(following)
        if len(points) == 8:
            return points
    raise AssertionError("no point of order 8 found")


def test_keys_of_small_order_are_refused() -> None:
    points = _torsion()
    assert {y for _, y in points} == set(signing._SMALL_ORDER_Y)
    for _, y in points:
        for sign in (0, 1):
            with pytest.raises(MalformedKeyError, match="small order"):
                PublicKey(ED25519, (y | sign << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("y", [P, P + 1, P + 2, 2**255 - 1])
def test_keys_not_canonical_are_refused(y: int) -> None:
    with pytest.raises(MalformedKeyError, match="canonical"):
        PublicKey(ED25519, y.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_lengths(length: int) -> None:
    with pytest.raises(MalformedKeyError, match="32 bytes"):
        PublicKey(ED25519, b"\x09" * length)
    with pytest.raises(MalformedKeyError, match="32 bytes"):
        SigningKey.from_seed(b"\x09" * length)


@pytest.mark.parametrize("alg", ["", "Ed25519", "rsa", "none", "ed25519 "])
def test_unknown_algorithm(alg: str) -> None:
    with pytest.raises(UnknownAlgorithmError, match="known: ed25519"):
        PublicKey(alg, bytes(32))
    with pytest.raises(UnknownAlgorithmError):
        SigningKey.generate(alg)


def test_the_seed_is_not_shown() -> None:
    key = SigningKey.generate()
    for text in (repr(key), str(key), f"{key}"):
        assert key.seed.hex() not in text
        assert repr(key.seed) not in text
        assert key.public.id in text


class MlDsa65:
    """FIPS 204, to show that a second algorithm fits the table."""

    seed_bytes, public_bytes, signature_bytes = 32, 1952, 3309

    def check_public(self, raw: bytes) -> None:
        """Every encoding of the right length is a key."""

    def public(self, seed: bytes) -> bytes:
        """Raw public key."""
        return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Randomised signature."""
        return MLDSA65PrivateKey.from_seed_bytes(seed).sign(message)

    def verify(self, raw: bytes, message: bytes, signature: bytes) -> None:
        """Raise InvalidSignature."""
        MLDSA65PublicKey.from_public_bytes(raw).verify(signature, message)


def test_a_second_algorithm_stands_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: signing.Algorithm = MlDsa65()
    monkeypatch.setattr(signing, "ALGORITHMS", {**ALGORITHMS, "ml-dsa-65": kind})
    key = SigningKey.generate("ml-dsa-65")
    signature = key.sign(b"message")
    PublicKey("ml-dsa-65", key.public.raw).verify(b"message", signature)
    with pytest.raises(BadSignatureError):
        key.public.verify(b"massage", signature)
    old = SigningKey.from_seed(key.seed)
    assert old.public.id != key.public.id
    with pytest.raises(BadSignatureError):
        old.public.verify(b"message", signature)
