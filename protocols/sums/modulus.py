"""Checks of an untrusted Paillier modulus, and the proof that it is one.

A malformed modulus lets its maker read what it should not (CVE-2023-33241: moduli with many small factors),
or makes two amounts share a ciphertext. Without the factors any verifier can check that n has exactly the
agreed size, is odd, is not prime, has no prime factor up to alpha = 2^16, and is no perfect power.

That gcd(n, φ(n)) = 1, without which x -> x^n is no permutation and decryption is not unique, takes a proof.
It is the non-interactive one of Goldberg, Reyzin, Sagga and Baldimtsi (ePrint 2018/057), in the random
oracle model:

- ρᵢ = SHAKE-256("hedui/modulus-proof/v1", n, i) modulo n, for i < m, m = ceil(128 / log2 alpha) = 8;
- the maker publishes the n-th roots σᵢ = ρᵢ^(n⁻¹ mod φ(n)) mod n;
- a verifier checks gcd(ρᵢ, n) = 1, 0 < σᵢ < n and σᵢ^n = ρᵢ mod n.

*Soundness.* If a prime r divides both n and φ(n), at most one in r elements has an n-th root; r > alpha by
the small-factor check, so all m random elements have one with probability below alpha^-m = 2^-128.
*Zero knowledge.* A simulator picks σᵢ and programs ρᵢ = σᵢ^n, so the verifier learns nothing else about n.
It does not prove that n has exactly two factors, or that they are safe primes: the dealer ceremony answers
for that.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.errors import ProofError, SumKeyError
from protocols.profiles import MODULUS_PROOF_BITS, SMALL_FACTOR_BOUND, PaillierProfile
from protocols.sums.arithmetic import (
    gcd,
    has_factor_below,
    hash_below,
    inverse,
    is_perfect_power,
    is_prime,
    powmod,
    powmod_secret,
)

_DOMAIN = b"hedui/modulus-proof/v1"

PROOF_ROOTS = -(-MODULUS_PROOF_BITS // (SMALL_FACTOR_BOUND.bit_length() - 1))
"""Number of roots in a proof: 8."""


def check_modulus(n: int, profile: PaillierProfile) -> None:
    """Check what can be seen of a modulus without its factors. About 7 ms at 3072 bits.

    Raises:
        SumKeyError: wrong size, even, prime, with a small factor, or a perfect power.
    """
    if n.bit_length() != profile.modulus_bits:
        raise SumKeyError(f"the modulus must have exactly {profile.modulus_bits} bits: make a new key")
    if n % 2 == 0:
        raise SumKeyError("the modulus is even: make a new key")
    if has_factor_below(n, SMALL_FACTOR_BOUND):
        raise SumKeyError("the modulus has a small factor: make a new key")
    if is_perfect_power(n):
        raise SumKeyError("the modulus is a perfect power: make a new key")
    if is_prime(n):
        raise SumKeyError("the modulus is prime: make a new key")


def _challenge(n: int, index: int) -> int:
    name = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return hash_below(n, _DOMAIN, name, index.to_bytes(4, "big"))


def prove_coprime(p: int, q: int) -> tuple[int, ...]:
    """The proof that gcd(n, φ(n)) = 1 for n = p·q: ``PROOF_ROOTS`` integers below n.

    Args:
        p, q: different odd primes.

    Raises:
        SumKeyError: it is not so.
    """
    n, phi = p * q, (p - 1) * (q - 1)
    if p == q or gcd(n, phi) != 1:
        raise SumKeyError("n and phi(n) share a factor: choose other primes")
    root = inverse(n, phi)
    return tuple(powmod_secret(_challenge(n, index), root, n) for index in range(PROOF_ROOTS))


def verify_coprime(n: int, proof: Sequence[int]) -> None:
    """Verify the proof that gcd(n, φ(n)) = 1. About 40 ms at 3072 bits.

    Args:
        n: a modulus that has passed :func:`check_modulus`, on which the soundness rests.
        proof: ``PROOF_ROOTS`` integers.

    Raises:
        ProofError: wrong number of roots, one out of range, or one that is no root.
    """
    if len(proof) != PROOF_ROOTS:
        raise ProofError(f"a modulus proof has {PROOF_ROOTS} roots, this one {len(proof)}")
    for index, root in enumerate(proof):
        challenge = _challenge(n, index)
        if not 0 < root < n or gcd(challenge, n) != 1 or powmod(root, n, n) != challenge:
            raise ProofError("the modulus proof does not hold: do not use this sum key")
