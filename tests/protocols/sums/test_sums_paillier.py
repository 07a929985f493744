"""Encryption, addition and the checks of ciphertexts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CiphertextError, EncodingError, SumKeyError
from protocols.profiles import AMOUNT_LIMIT_FEN, PaillierProfile
from protocols.sums.arithmetic import FixedBase, jacobi
from protocols.sums.paillier import PaillierPublicKey, derive_base, row_exponent

SECRET = bytes(range(32))


def test_a_ciphertext_follows_the_formula(public: PaillierPublicKey) -> None:
    exponent = 0x1234567 << 200
    expected = (1 + 77 * public.n) * pow(public.base, exponent, public.n**2) % public.n**2
    assert public.encrypt(77, exponent) == expected


@given(exponent=st.integers(0, 2**64 - 1), factor=st.integers(1, 2**80))
def test_the_table_is_plain_exponentiation(exponent: int, factor: int) -> None:
    modulus = 2**89 - 1
    assert (
        FixedBase(3, modulus, 64).times_power(factor, exponent)
        == factor * pow(3, exponent, modulus) % modulus
    )


def test_the_table_refuses_a_longer_exponent() -> None:
    with pytest.raises(OverflowError):
        FixedBase(3, 101, 64).times_power(1, 1 << 64)


def test_the_base_is_an_nth_power_with_symbol_one(
    public: PaillierPublicKey, small_primes_pair: tuple[int, int]
) -> None:
    p, q = small_primes_pair
    assert pow(public.base, (p - 1) * (q - 1), public.n**2) == 1
    assert jacobi(public.base, public.n) == 1
    assert derive_base(public.n) == public.base


def test_a_row_repeats_and_nothing_else_does(public: PaillierPublicKey) -> None:
    row = (SECRET, b"CN-RID:A", 500, b"row")
    assert public.encrypt_row(*row) == public.encrypt_row(*row)
    exponents = {
        row_exponent(SECRET, public.n, 256, (b"CN-RID:A", 500, b"row")),
        row_exponent(SECRET[::-1], public.n, 256, (b"CN-RID:A", 500, b"row")),
        row_exponent(SECRET, public.n + 2, 256, (b"CN-RID:A", 500, b"row")),
        row_exponent(SECRET, public.n, 256, (b"CN-RID:B", 500, b"row")),
        row_exponent(SECRET, public.n, 256, (b"CN-RID:A", -500, b"row")),
        row_exponent(SECRET, public.n, 256, (b"CN-RID:A", 500, b"dummy")),
        row_exponent(SECRET, public.n, 256, (b"CN-RID:A5", 0, b"row")),
    }
    assert len(exponents) == 7


def test_a_row_exponent_has_the_asked_length(public: PaillierPublicKey) -> None:
    longest = max(
        row_exponent(SECRET, public.n, 1536, (b"x", amount, b"row")).bit_length() for amount in range(64)
    )
    assert 1530 <= longest <= 1536


def test_a_short_publication_secret_is_refused(public: PaillierPublicKey) -> None:
    with pytest.raises(EncodingError):
        public.encrypt_row(b"short", b"x", 1, b"row")


@pytest.mark.parametrize("amount", [AMOUNT_LIMIT_FEN + 1, -AMOUNT_LIMIT_FEN - 1])
def test_an_amount_beyond_the_limit_is_refused(public: PaillierPublicKey, amount: int) -> None:
    with pytest.raises(EncodingError):
        public.encrypt(amount, 1)


@pytest.mark.parametrize("exponent", [-1, 1 << 256])
def test_an_exponent_of_the_wrong_length_is_refused(public: PaillierPublicKey, exponent: int) -> None:
    with pytest.raises(EncodingError):
        public.encrypt(1, exponent)


def test_a_ciphertext_crosses_at_fixed_width(public: PaillierPublicKey) -> None:
    data = public.to_bytes(5)
    assert len(data) == public.ciphertext_bytes == 128
    assert public.from_bytes(data) == 5
    for wrong in (data[1:], data + b"\0", b""):
        with pytest.raises(CiphertextError):
            public.from_bytes(wrong)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", ["zero", "n", "square", "above", "negative", "factor", "other factor"])
def test_one_malformed_ciphertext_refuses_the_batch(
    public: PaillierPublicKey, small_primes_pair: tuple[int, int], kind: str, place: int
) -> None:
    n, (p, q) = public.n, small_primes_pair
    bad = {
        "zero": 0,
        "n": n,
        "square": n * n,
        "above": n * n + 1,
        "negative": -5,
        "factor": 7 * p,
        "other factor": q * q,
    }[kind]
    batch = [public.encrypt(1, 2), public.encrypt(3, 4)]
    batch.insert(place, bad)
    with pytest.raises(CiphertextError):
        public.check_ciphertexts(batch)
    with pytest.raises(CiphertextError):
        public.combine((ciphertext, -1) for ciphertext in batch)


def test_an_honest_or_empty_batch_passes(public: PaillierPublicKey) -> None:
    public.check_ciphertexts([])
    public.check_ciphertexts([1, public.encrypt(1, 2), public.n_square - 1])


def test_no_terms_make_the_neutral_ciphertext(public: PaillierPublicKey) -> None:
    assert public.combine([]) == 1


@pytest.mark.parametrize("sign", [0, 2, -2])
def test_a_sign_is_one_or_minus_one(public: PaillierPublicKey, sign: int) -> None:
    with pytest.raises(EncodingError):
        public.combine([(5, sign)])


def test_a_key_of_the_wrong_shape_is_refused(public: PaillierPublicKey, small: PaillierProfile) -> None:
    wrong = [(public.n >> 1, public.base), (public.n - 1, public.base), (public.n, 1), (public.n, public.n)]
    for n, base in [*wrong, (public.n, public.n_square + 2)]:
        with pytest.raises(SumKeyError):
            PaillierPublicKey(n, base, small)
    with pytest.raises(SumKeyError):
        PaillierPublicKey.of_modulus(public.n - 1, small)
