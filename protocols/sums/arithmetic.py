"""Integers of thousands of bits: the only module that touches gmpy2 (GMP).

gmpy2 ships no type information, so every other module calls the typed functions here with Python ``int``.

*Secret exponents* go through :func:`powmod_secret` (GMP's ``mpz_powm_sec``): its time and memory accesses do
not depend on the exponent. It takes about 1.55 times as long as :func:`powmod`.

*Threads.* gmpy2 holds the interpreter lock unless the context of the calling thread says otherwise. Both
functions enter a context with ``allow_release_gil``, so two threads really run two exponentiations at once
(measured with gmpy2 2.3 on two cores: 10 exponentiations in 0.36 s instead of 0.63 s). The single
multiplications of :class:`FixedBase` are too short for that: encrypt many rows in processes, not threads.

*Hashing to integers* is SHAKE-256 over length-prefixed fields, read big-endian, with surplus bits against
bias.

*Safe primes* p = 2q + 1 are for the dealer ceremony of a sum key. q is searched among q0 + 6k (q = 5 mod 6,
the only class in which neither q nor 2q + 1 is divisible by 2 or
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

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import compress

import gmpy2

from protocols.encoding import fields
from protocols.errors import SumKeyError
from protocols.profiles import FIXED_BASE_WINDOW_BITS, HASH_BIAS_BITS, PRIMALITY_ROUNDS


def powmod(base: int, exponent: int, modulus: int) -> int:
    """``base ** exponent mod modulus`` for a *public* exponent >= 0. Variable time; releases the GIL."""
    with gmpy2.context(allow_release_gil=True):
        return int(gmpy2.powmod(base, exponent, modulus))


def powmod_secret(base: int, exponent: int, modulus: int) -> int:
    """``base ** exponent mod modulus`` for a *secret* exponent > 0 and an odd modulus. Releases the GIL.

    Raises:
        ValueError: the exponent is not positive, or the modulus is even.
    """
    with gmpy2.context(allow_release_gil=True):
        return int(gmpy2.powmod_sec(base, exponent, modulus))


def inverse(value: int, modulus: int) -> int:
    """The inverse of ``value`` modulo ``modulus``.

    Raises:
        ZeroDivisionError: there is none; callers check the gcd of untrusted values first.
    """
    return int(gmpy2.invert(value, modulus))


def gcd(first: int, second: int) -> int:
    """Greatest common divisor."""
    return int(gmpy2.gcd(first, second))


def jacobi(value: int, modulus: int) -> int:
    """Jacobi symbol (value / modulus) for an odd modulus: -1, 0 or 1."""
    return int(gmpy2.jacobi(value, modulus))


def product(values: Iterable[int], modulus: int) -> int:
    """Product of ``values`` modulo ``modulus``; 1 for none."""
    result = gmpy2.mpz(1)
    for value in values:
        result = result * value % modulus
    return int(result)


def is_prime(value: int) -> bool:
    """Whether ``value`` is a prime (BPSW and Miller-Rabin rounds; a prime is never called composite)."""
    return bool(gmpy2.is_prime(value, PRIMALITY_ROUNDS))


def passes_fermat(value: int) -> bool:
    """Whether 2^(value-1) = 1 mod value: the cheap first test of an odd candidate prime."""
    return bool(gmpy2.powmod(2, value - 1, value) == 1)


def is_perfect_power(value: int) -> bool:
    """Whether ``value`` = a^b with integers a and b > 1."""
    return bool(gmpy2.is_power(value))


def has_factor_below(value: int, bound: int) -> bool:
    """Whether a prime up to ``bound`` divides ``value``: one gcd with the product of those primes."""
    return bool(gmpy2.gcd(gmpy2.primorial(bound), value) != 1)


def hash_to_bits(bits: int, *parts: bytes) -> int:
    """Integer in [0, 2^bits) from SHAKE-256 over fields(parts…); ``bits`` is a multiple of 8."""
    return int.from_bytes(hashlib.shake_256(fields(*parts)).digest(bits // 8), "big")


def hash_below(modulus: int, *parts: bytes) -> int:
    """Integer in [0, modulus), statistically close to uniform, from SHAKE-256 over fields(parts…)."""
    bits = (modulus.bit_length() + HASH_BIAS_BITS + 7) // 8 * 8
    return hash_to_bits(bits, *parts) % modulus


def in_parallel(first: Callable[[], int], second: Callable[[], int]) -> tuple[int, int]:
    """Both results; on two cores in the time of one where they are powers, which release the GIL."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


class FixedBase:
    """Powers of one base by table: base^(Σ dᵢ 2^(wi)) = Π table[i][dᵢ], w = 8 bits a window.

    The table has ``bits / w`` rows of 2^w powers. Look-ups depend on the exponent, so a program that shares
    the processor's caches with a publisher could learn about its exponents: publish on a machine of your own.
    """

    def __init__(self, base: int, modulus: int, exponent_bits: int) -> None:
        """Build the table: about 0.5 s and 38 MB for 1536-bit exponents modulo 6144 bits."""
        self._modulus = gmpy2.mpz(modulus)
        self._width = exponent_bits // FIXED_BASE_WINDOW_BITS
        self._rows = []
        power = gmpy2.mpz(base)
        for _ in range(self._width):
            row = [gmpy2.mpz(1)]
            for _ in range((1 << FIXED_BASE_WINDOW_BITS) - 1):
                row.append(row[-1] * power % self._modulus)
            self._rows.append(row)
            power = row[-1] * power % self._modulus

    def times_power(self, factor: int, exponent: int) -> int:
        """``factor · base ** exponent mod modulus`` for 0 <= exponent < 2^bits; a multiplication per window.

        Raises:
            OverflowError: the exponent is negative or too long.
        """
        modulus = self._modulus
        result = gmpy2.mpz(factor)
        for row, digit in zip(self._rows, exponent.to_bytes(self._width, "little"), strict=True):
            result = result * row[digit] % modulus
        return int(result)


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
