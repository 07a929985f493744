"""The search for safe primes."""

from __future__ import annotations

import random

import pytest

from protocols.errors import SumKeyError
from protocols.sums.arithmetic import _candidates, is_prime, safe_prime, small_primes


def test_the_small_primes_are_the_primes() -> None:
    assert small_primes(30) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert len(small_primes(1 << 16)) == 6542


def test_the_sieve_strikes_exactly_the_multiples() -> None:
    primes = small_primes(200)[2:]
    start = (1 << 40) + 5
    start += (5 - start) % 6
    expected = [
        q
        for q in range(start, start + 6 * 2000, 6)
        if all(q % prime and (2 * q + 1) % prime for prime in primes)
    ]
    assert list(_candidates(start, primes, 2000)) == expected


@pytest.mark.parametrize("bits", [64, 65, 128, 256])
def test_a_safe_prime_is_one_of_the_exact_size(bits: int) -> None:
    p = safe_prime(bits)
    assert p.bit_length() == bits
    assert p >> (bits - 2) == 3
    assert is_prime(p)
    assert is_prime((p - 1) // 2)


def test_the_search_follows_its_random_source() -> None:
    assert safe_prime(96, random.Random(7).getrandbits) == safe_prime(96, random.Random(7).getrandbits)


def test_a_tiny_safe_prime_is_refused() -> None:
    with pytest.raises(SumKeyError):
        safe_prime(63)
