"""Safe primes p = 2q + 1 for the dealer ceremony of a sum key.

q is searched among q0 + 6k (q = 5 mod 6, the only class in which neither q nor 2q + 1 is divisible by 2 or
3), q0 random. A window of bits² / 8 values of k is sieved with every prime r below bits²: k is struck out
when r divides q (k = -q0 / 6 mod r) or 2q + 1 (k = -(2 q0 + 1) / 12 mod r). What is left meets a Fermat
test to base 2 on q, then on p, then the full test on both. At 1536 bits about one in 1,500 of the
candidates left is a hit, at 1 ms each, and a window is sieved in 0.3 s; ``tests/bench/bench_sums.py``
measures it.

The two top bits of p are 1, so the product of two such primes has exactly twice as many bits. Taking the
first hit after a random start (as FIPS 186 allows) makes primes after a long gap likelier; that costs under
two bits.

The two primes of a key are found fastest in two processes; :func:`safe_prime` is a plain top-level function
for that, called with the size only (the system's random source cannot be sent to another process).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from itertools import compress

from protocols.errors import SumKeyError
from protocols.sums.arithmetic import is_prime, passes_fermat

_LEAST_BITS = 64


def small_primes(bound: int) -> list[int]:
    """All primes below ``bound``, ascending (sieve of Eratosthenes)."""
    sieve = bytearray([1]) * bound
    sieve[:2] = b"\0\0"
    for number in range(2, int(bound**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, bound, number)))
    return list(compress(range(bound), sieve))


def _strike(sieve: bytearray, start: int, step: int) -> None:
    window = len(sieve)
    if start < window:
        sieve[start::step] = bytes((window - 1 - start) // step + 1)


def _candidates(start: int, primes: list[int], window: int) -> Iterator[int]:
    """The q = start + 6k, k < window, such that no listed prime divides q or 2q + 1."""
    sieve = bytearray([1]) * window
    for prime in primes:
        rest = start % prime
        sixth = pow(6, -1, prime)
        first = -rest * sixth % prime
        # 2q + 1 = 0 is q = -1/2; 1/2 = 3/6, so k = -(q0 + 1/2) / 6.
        second = (first - 3 * sixth * sixth) % prime
        _strike(sieve, first, prime)
        _strike(sieve, second, prime)
    return (start + 6 * k for k in compress(range(window), sieve))


def safe_prime(bits: int, random: Callable[[int], int] = secrets.randbits) -> int:
    """A prime p of exactly ``bits`` bits, top two bits 1, with (p - 1) / 2 prime.

    Args:
        bits: at least 64.
        random: function giving a uniform integer of that many bits; the system's by default.

    Raises:
        SumKeyError: ``bits`` is below 64.
    """
    if bits < _LEAST_BITS:
        raise SumKeyError(f"a safe prime needs at least {_LEAST_BITS} bits")
    primes = small_primes(bits * bits)[2:]
    while True:
        start = random(bits - 1) | 3 << (bits - 3)
        start += (5 - start) % 6
        for q in _candidates(start, primes, bits * bits // 8):
            p = 2 * q + 1
            if p.bit_length() != bits:
                break
            if passes_fermat(q) and passes_fermat(p) and is_prime(q) and is_prime(p):
                return p
