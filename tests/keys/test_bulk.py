"""Two libraries, one answer: a signature is valid exactly when ``PublicKey.verify`` says so."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from keys import bulk
from keys.errors import BadSignatureError, KeysError
from keys.signing import ED25519, PublicKey, SigningKey
from tests.keys.ed25519_points import BASE, EIGHT, ORDER, add, challenge, cofactored_only, encode, multiply

KEY = SigningKey.from_seed(bytes(range(32)))


def by_openssl(raw, message, signature):
    try:
        PublicKey(ED25519, raw).verify(message, signature)
    except KeysError:
        return False
    return True


@pytest.fixture
def fast():
    """libsodium, where it can be loaded."""
    accepts = bulk.fast_library()
    if accepts is None:
        pytest.skip("libsodium 1.0.18 cannot be loaded here: OpenSSL verifies alone")
    return accepts


@given(message=st.binary(max_size=300), place=st.integers(0, 63), bit=st.integers(0, 7))
def test_good_signatures_pass_and_changed_ones_do_not(message, place, bit):
    signature = KEY.sign(message)
    bulk.verify(KEY.public, message, signature)
    changed = bytearray(signature)
    changed[place] ^= 1 << bit
    with pytest.raises(BadSignatureError):
        bulk.verify(KEY.public, message, bytes(changed))
    with pytest.raises(BadSignatureError):
        bulk.verify(KEY.public, message + b"x", signature)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length):
    with pytest.raises(BadSignatureError):
        bulk.verify(KEY.public, b"", bytes(length))


def test_the_cofactored_signature_is_what_its_maker_makes(fast):
    raw, message, signature = bulk.COFACTORED
    assert cofactored_only(message) == (raw, signature)
    assert challenge(signature[:32], raw, message) % 8
    assert not by_openssl(raw, message, signature)
    assert not fast(raw, message, signature)


def strange():
    """(raw key, message, signature) at the edges where libraries differ."""
    for number in range(24):
        message = b"%d" % number
        yield (*cofactored_only(message)[:1], message, cofactored_only(message)[1])
    raw = encode(multiply(12345, BASE))
    for torsion in range(8):
        r = encode(multiply(torsion, EIGHT))
        yield raw, b"small R", r + (challenge(r, raw, b"small R") * 12345 % ORDER).to_bytes(32, "little")
        mixed = encode(add(multiply(99, BASE), multiply(torsion, EIGHT)))
        s = (99 + challenge(mixed, raw, b"mixed R") * 12345) % ORDER
        yield raw, b"mixed R", mixed + s.to_bytes(32, "little")
    good = KEY.sign(b"m")
    s = int.from_bytes(good[32:], "little")
    for times in (1, 2, 8):
        yield KEY.public.raw, b"m", good[:32] + (s + times * ORDER).to_bytes(32, "little")
    for y in (0, 1, 2, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 - 1):
        for sign in (0, 1):
            yield (y | sign << 255).to_bytes(33, "little")[:32], b"m", good
            yield KEY.public.raw, b"m", (y | sign << 255).to_bytes(33, "little")[:32] + good[32:]


def test_the_answer_is_that_of_openssl_at_every_edge(fast):
    answers = set()
    for raw, message, signature in strange():
        expected = by_openssl(raw, message, signature)
        assert bulk.is_valid(raw, message, signature) == expected
        assert expected or not fast(raw, message, signature)
        answers.add((expected, fast(raw, message, signature)))
    assert answers == {(True, True), (True, False), (False, False)}


def test_openssl_alone_gives_the_same(monkeypatch):
    monkeypatch.setattr(bulk, "fast_library", lambda: None)
    bulk.verify(KEY.public, b"m", KEY.sign(b"m"))
    assert not bulk.is_valid(KEY.public.raw, b"n", KEY.sign(b"m"))
    assert not bulk.is_valid(b"short", b"m", KEY.sign(b"m"))
