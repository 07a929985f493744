"""Malformed moduli and the proof that gcd(n, φ(n)) = 1."""

from __future__ import annotations

import gmpy2
import pytest

from protocols.errors import ProofError, SumKeyError
from protocols.profiles import PaillierProfile
from protocols.sums.modulus import PROOF_ROOTS, _challenge, check_modulus, prove_coprime, verify_coprime


def next_prime(value: int) -> int:
    return int(gmpy2.next_prime(value))


def test_an_honest_modulus_passes(small: PaillierProfile, small_primes_pair: tuple[int, int]) -> None:
    p, q = small_primes_pair
    check_modulus(p * q, small)
    proof = prove_coprime(p, q)
    assert len(proof) == PROOF_ROOTS == 8
    verify_coprime(p * q, proof)


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1 << 511, "even"),
        (next_prime(3 << 510), "prime"),
        (next_prime(3 << 254) * next_prime(6 << 254), "exactly"),
        (next_prime(3 << 253) * next_prime(3 << 254), "exactly"),
        (next_prime(3 << 254) ** 2, "power"),
        (next_prime((3 << 510) // 3) * 3, "small factor"),
        (next_prime((3 << 510) // 65521) * 65521, "small factor"),
        (int(gmpy2.iroot(3 << 510, 3)[0]) ** 3 | 0, "power|even|small factor"),
    ],
)
def test_a_malformed_modulus_is_refused(small: PaillierProfile, n: int, words: str) -> None:
    with pytest.raises(SumKeyError, match=words):
        check_modulus(n, small)


def sharing_primes() -> tuple[int, int]:
    """Primes with p dividing q - 1, so gcd(n, φ(n)) = p."""
    p = next_prime(1 << 240)
    k = (3 << 270) // p
    while True:
        k += 1
        if gmpy2.is_prime(2 * k * p + 1):
            return p, 2 * k * p + 1


def test_a_modulus_sharing_a_factor_with_phi_has_no_proof() -> None:
    p, q = sharing_primes()
    n = p * q
    assert n.bit_length() in (512, 513)
    with pytest.raises(SumKeyError):
        prove_coprime(p, q)
    # The best such a maker can do: roots as if p did not divide φ(n).
    rest = (p - 1) * (q - 1) // p
    root = pow(n // p, -1, rest)
    forged = [pow(_challenge(n, index), root, n) for index in range(PROOF_ROOTS)]
    with pytest.raises(ProofError):
        verify_coprime(n, forged)


def test_equal_primes_have_no_proof(small_primes_pair: tuple[int, int]) -> None:
    with pytest.raises(SumKeyError):
        prove_coprime(small_primes_pair[0], small_primes_pair[0])


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("change", ["plus one", "zero", "plus n", "negated", "another's"])
def test_each_changed_root_is_refused(small_primes_pair: tuple[int, int], place: int, change: str) -> None:
    p, q = small_primes_pair
    n = p * q
    proof = list(prove_coprime(p, q))
    root = proof[place]
    proof[place] = {
        "plus one": root + 1,
        "zero": 0,
        "plus n": root + n,
        "negated": n - root,
        "another's": proof[place - 1],
    }[change]
    with pytest.raises(ProofError):
        verify_coprime(n, proof)


def test_a_proof_of_another_length_or_modulus_is_refused(small_primes_pair: tuple[int, int]) -> None:
    p, q = small_primes_pair
    proof = prove_coprime(p, q)
    for wrong in (proof[:-1], (*proof, proof[0]), ()):
        with pytest.raises(ProofError):
            verify_coprime(p * q, wrong)
    with pytest.raises(ProofError):
        verify_coprime(p * next_prime(q), proof)
