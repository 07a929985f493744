"""Dealing, opening with t of l, and decoding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import CiphertextError, ProofError, SumKeyError, TotalError
from protocols.profiles import AMOUNT_LIMIT_FEN, PAILLIER_2048_TEST, PaillierProfile
from protocols.sums.arithmetic import safe_prime
from protocols.sums.paillier import PaillierPublicKey
from protocols.sums.sumkey import Share
from protocols.sums.threshold import Dealt, combine, deal, decode, partial

SECRET = bytes(range(32))
AMOUNTS = st.integers(-AMOUNT_LIMIT_FEN, AMOUNT_LIMIT_FEN)
Dealing = Callable[[int, int], Dealt]


def total_of(public: PaillierPublicKey, rows: list[tuple[int, int]]) -> int:
    """C of (amount, sign) rows."""
    return public.combine(
        (public.encrypt_row(SECRET, b"%d" % place, amount, b"row"), sign)
        for place, (amount, sign) in enumerate(rows)
    )


def opened(dealt: Dealt, ciphertext: int, who: tuple[int, ...]) -> int:
    shares = [dealt.shares[place] for place in who]
    return combine(dealt.key, {share.holder: partial(dealt.key, share, ciphertext) for share in shares})


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 3), (3, 5), (5, 5)])
def test_every_quorum_opens_the_total(dealing: Dealing, threshold: int, count: int) -> None:
    dealt = dealing(threshold, count)
    rows = [(523_400, 1), (-70, 1), (900_000, -1)]
    ciphertext = total_of(dealt.key.public, rows)
    for who in combinations(range(count), threshold):
        assert decode(dealt.key.public, opened(dealt, ciphertext, who), 3) == 523_400 - 70 - 900_000


def test_more_answers_than_needed_do_no_harm(dealing: Dealing) -> None:
    dealt = dealing(3, 5)
    ciphertext = total_of(dealt.key.public, [(11, 1)])
    assert opened(dealt, ciphertext, (4, 2, 0, 1)) == 11


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(AMOUNTS, st.sampled_from([1, -1])), max_size=8))
def test_the_opened_total_is_the_signed_sum(dealing: Dealing, rows: list[tuple[int, int]]) -> None:
    dealt = dealing(2, 3)
    ciphertext = total_of(dealt.key.public, rows)
    total = decode(dealt.key.public, opened(dealt, ciphertext, (0, 2)), len(rows))
    assert total == sum(amount * sign for amount, sign in rows)


def test_the_suite_of_2048_bits_opens(large: Dealt) -> None:
    ciphertext = total_of(large.key.public, [(AMOUNT_LIMIT_FEN, -1), (1, 1)])
    assert decode(large.key.public, opened(large, ciphertext, (1, 2)), 2) == 1 - AMOUNT_LIMIT_FEN


def test_too_few_holders_open_nothing(dealing: Dealing) -> None:
    dealt = dealing(3, 5)
    ciphertext = total_of(dealt.key.public, [(1, 1)])
    with pytest.raises(SumKeyError, match="only 2"):
        opened(dealt, ciphertext, (0, 1))


def test_a_share_of_another_key_or_list_opens_nothing(dealing: Dealing) -> None:
    dealt = dealing(2, 3)
    ciphertext, other = (total_of(dealt.key.public, [(amount, 1)]) for amount in (1, 2))
    office, trustee = dealt.shares[:2]
    good = partial(dealt.key, office, ciphertext)
    wrong = [
        partial(dealt.key, trustee, other),
        partial(dealt.key, Share(trustee.holder, trustee.value + 1), ciphertext),
        partial(dealt.key, Share(trustee.holder, office.value), ciphertext),
        partial(dealing(2, 2).key, dealing(2, 2).shares[1], ciphertext),
    ]
    for value in wrong:
        with pytest.raises(ProofError):
            combine(dealt.key, {office.holder: good, trustee.holder: value})


def test_a_stranger_neither_opens_nor_is_combined(dealing: Dealing) -> None:
    key, shares = dealing(2, 2).key, dealing(2, 2).shares
    with pytest.raises(SumKeyError, match="not a holder"):
        partial(key, Share("stranger", shares[0].value), 5)
    with pytest.raises(SumKeyError, match="not a holder"):
        combine(key, {"office": 5, "stranger": 5})


@pytest.mark.parametrize("kind", ["zero", "n", "square", "above", "factor"])
def test_malformed_values_are_refused_before_the_share_is_touched(
    dealing: Dealing, small_primes_pair: tuple[int, int], kind: str
) -> None:
    key, shares = dealing(2, 2).key, dealing(2, 2).shares
    n = key.public.n
    value = {"zero": 0, "n": n, "square": n * n, "above": n * n + 3, "factor": 9 * small_primes_pair[1]}[kind]
    with pytest.raises(CiphertextError):
        partial(key, shares[0], value)
    with pytest.raises(SumKeyError, match="out of range"):
        combine(key, {"office": value, "trustee-1": 5})


def test_decoding_gives_the_sign_and_refuses_the_impossible(public: PaillierPublicKey) -> None:
    n = public.n
    assert decode(public, 0, 0) == 0
    assert decode(public, 3 * AMOUNT_LIMIT_FEN, 3) == 3 * AMOUNT_LIMIT_FEN
    assert decode(public, n - 3 * AMOUNT_LIMIT_FEN, 3) == -3 * AMOUNT_LIMIT_FEN
    for value, terms in [
        (3 * AMOUNT_LIMIT_FEN + 1, 3),
        (n - 3 * AMOUNT_LIMIT_FEN - 1, 3),
        (n // 2, 1000),
        (n // 2 + 1, 1000),
        (1, 0),
        (n, 5),
        (-1, 5),
        (0, -1),
    ]:
        with pytest.raises(TotalError):
            decode(public, value, terms)


def test_a_forged_row_beyond_the_limit_makes_no_total(dealing: Dealing) -> None:
    dealt = dealing(2, 2)
    public = dealt.key.public
    forged = (1 + 5 * AMOUNT_LIMIT_FEN * public.n) * public.encrypt(0, 99) % public.n_square
    with pytest.raises(TotalError):
        decode(public, opened(dealt, public.combine([(forged, 1)]), (0, 1)), 1)


def test_dealing_refuses_what_does_not_fit(
    small: PaillierProfile, small_primes_pair: tuple[int, int]
) -> None:
    p, q = small_primes_pair
    unsafe = 3 << 254 | 1
    pairs = [(p, p), (p, unsafe), (safe_prime(128), q), (safe_prime(257), q), (p, q + 2)]
    for pair in pairs:
        with pytest.raises(SumKeyError):
            deal(small, ["a", "b"], 2, pair, ceremony=bytes(32))
    for holders, threshold in [(["a"], 1), (["a", "a"], 2), (["a", "b"], 1), (["a", "b"], 3), (["a", ""], 2)]:
        with pytest.raises(SumKeyError):
            deal(small, holders, threshold, (p, q), ceremony=bytes(32))
    with pytest.raises(SumKeyError):
        deal(small, [str(number) for number in range(33)], 2, (p, q), ceremony=bytes(32))
    with pytest.raises(SumKeyError):
        deal(small, ["a", "b"], 2, (p, q), ceremony=b"short")
    with pytest.raises(SumKeyError):
        deal(PAILLIER_2048_TEST, ["a", "b"], 2, (p, q), ceremony=bytes(32))


def test_two_dealings_of_the_same_primes_share_nothing_secret(
    small: PaillierProfile, small_primes_pair: tuple[int, int]
) -> None:
    first, second = (deal(small, ["a", "b"], 2, small_primes_pair, ceremony=bytes(32)) for _ in range(2))
    assert first.key.public == second.key.public
    assert {share.value for share in first.shares}.isdisjoint(share.value for share in second.shares)
    assert str(first.shares[0].value) not in repr(first)
