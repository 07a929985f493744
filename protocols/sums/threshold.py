"""Opening a total with t of l shares: dealing, partial openings, combining, decoding.

Formulas (Shoup 2000; Damgård and Jurik 2001; Damgård, Jurik and Nielsen 2010), all modulo n² unless said
otherwise, with p = 2p' + 1 and q = 2q' + 1 safe primes, n = p·q, m = p'·q', Δ = l!:

- *deal* (offline, before witnesses; the dealer can open everything, so nothing is kept except the sealed
  shares): d = 0 mod m and d = 1 mod n. f is a random polynomial over Z_{n·m} of degree t - 1 with f(0) = d;
  sᵢ = f(i).
- *partial*: cᵢ = C^(2Δ sᵢ), with the exponent kept secret in time and memory accesses.
- *combine* over a set S of t holders: with λᵢ = Δ · Π_{k∈S, k≠i} (-k)/(i - k), an integer,
  Π cᵢ^(2λᵢ) = C^(4Δ² d) = (1 + n)^(4Δ² M) = 1 + 4Δ² M n, so M = ((Π - 1)/n) · (4Δ²)⁻¹ mod n.
  If the product is not 1 mod n, a share was not of this key and this C.
- *decode*: M > n/2 stands for M - n. A sum of ``terms`` rows is within terms × 10^12 fen; anything else is an
  incident (a published row breaks the rules), never a verdict.

Fewer than t holders learn nothing about M. The t-th share opens exactly C: a holder of a share must compute C
from the published leaves itself, never accept it from another party. A share comes with a proof that it is
right (``shareproof``); verify that before combining.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from protocols.errors import ProofError, SumKeyError, TotalError
from protocols.profiles import AMOUNT_LIMIT_FEN, PaillierProfile
from protocols.sums.arithmetic import inverse, is_prime, powmod_secret
from protocols.sums.modulus import check_modulus, prove_coprime
from protocols.sums.paillier import PaillierPublicKey
from protocols.sums.sumkey import Share, SumKey, check_holders, check_unit, derive_v, lagrange, power_product


@dataclass(frozen=True)
class Dealt:
    """What a dealing produces.

    Attributes:
        key: the public sum key, for ``sumkey.publish``.
        shares: one for each holder, in their order; seal each for its holder and keep none.
    """

    key: SumKey
    shares: tuple[Share, ...]


def _check_primes(profile: PaillierProfile, p: int, q: int) -> None:
    if p == q or (p * q).bit_length() != profile.modulus_bits or p.bit_length() != q.bit_length():
        raise SumKeyError(f"dealing needs two different primes of {profile.modulus_bits // 2} bits")
    for prime in (p, q):
        if not is_prime(prime) or not is_prime((prime - 1) // 2):
            raise SumKeyError("dealing needs two safe primes: search again")


def deal(
    profile: PaillierProfile,
    holders: Sequence[str],
    threshold: int,
    primes: tuple[int, int],
    *,
    ceremony: bytes,
    random: Callable[[int], int] = secrets.randbelow,
) -> Dealt:
    """Make a sum key and its shares from two safe primes.

    Args:
        profile: the suite.
        holders: member ids, the office first, then the trustees.
        threshold: how many open a total, 2 to all.
        primes: two safe primes of half the modulus size (``safe_prime``); forget them afterwards.
        ceremony: 32 bytes, digest of the ceremony's record.
        random: ``random(k)`` gives a uniform integer in [0, k).

    Raises:
        SumKeyError: the holders, threshold or primes do not fit.
    """
    check_holders(holders, threshold)
    p, q = primes
    _check_primes(profile, p, q)
    n, m = p * q, (p - 1) * (q - 1) // 4
    check_modulus(n, profile)
    public = PaillierPublicKey.of_modulus(n, profile)
    coefficients = [m * inverse(m, n), *(random(n * m) for _ in range(threshold - 1))]
    shares = tuple(
        Share(holder, sum(c * x**k for k, c in enumerate(coefficients)) % (n * m))
        for x, holder in enumerate(holders, start=1)
    )
    v = derive_v(n)
    key = SumKey(
        public=public,
        office=holders[0],
        trustees=tuple(holders[1:]),
        threshold=threshold,
        v=v,
        verification=(),
        proof=prove_coprime(p, q),
        ceremony=ceremony,
    )
    values = tuple(powmod_secret(v, key.delta * share.value, public.n_square) for share in shares)
    key = replace(key, verification=values)
    key.check()
    return Dealt(key, shares)


def partial(key: SumKey, share: Share, ciphertext: int) -> int:
    """cᵢ = C^(2Δ sᵢ) mod n², this holder's part of opening C.

    Args:
        key: the checked sum key.
        share: the caller's own share.
        ciphertext: C, computed by the caller from published leaves.

    Raises:
        CiphertextError: C is malformed.
        SumKeyError: the holder is a stranger.
    """
    key.index(share.holder)
    key.public.check_ciphertexts([ciphertext])
    return powmod_secret(ciphertext, 2 * key.delta * share.value, key.public.n_square)


def combine(key: SumKey, partials: Mapping[str, int]) -> int:
    """M in [0, n) from the verified partial openings of one C.

    Args:
        key: the checked sum key.
        partials: holder -> cᵢ; at least ``threshold`` of them, the first ones in holder order are used.

    Raises:
        SumKeyError: too few, a stranger, or a value out of range.
        ProofError: the values are not openings of one C under this key.
    """
    numbered = sorted((key.index(holder), value) for holder, value in partials.items())
    if len(numbered) < key.threshold:
        raise SumKeyError(f"{key.threshold} holders open a total, only {len(numbered)} have answered")
    for _, value in numbered:
        check_unit(value, key.public, "a partial opening")
    used = numbered[: key.threshold]
    indices = [index for index, _ in used]
    n, delta = key.public.n, key.delta
    exponents = [2 * lagrange(delta, indices, index) for index in indices]
    opened = power_product([value for _, value in used], exponents, key.public.n_square)
    if opened % n != 1:
        raise ProofError("the partial openings do not fit together: verify each holder's proof")
    return (opened - 1) // n * inverse(4 * delta * delta, n) % n


def decode(key: PaillierPublicKey, opened: int, terms: int) -> int:
    """The signed total in fen of an opened M.

    Args:
        key: the Paillier key.
        opened: M in [0, n), from :func:`combine`.
        terms: number of rows in the list.

    Raises:
        TotalError: M is not in [0, n), ``terms`` is negative, or |total| > terms × 10^12.
    """
    if not 0 <= opened < key.n or terms < 0:
        raise TotalError("the opened value is not below n: combine the shares again")
    total = opened - key.n if opened > key.n // 2 else opened
    if abs(total) > terms * AMOUNT_LIMIT_FEN:
        raise TotalError("the total is larger than its rows allow: record an incident, decide nothing")
    return total
