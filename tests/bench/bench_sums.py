"""Prints what the threshold Paillier core costs at 2048 and 3072 bits.

    python tests/bench/bench_sums.py        (the repository root on the import path)

Expected on one idle core, from the design's measurements with variable-time exponentiation: at 3072 bits
encrypt 1.65 ms, share 57 ms, share proof 119 ms, check 120 ms; at 2048 bits 0.63, 18, 38, 39. Shares and
their proofs run with GMP's constant-time exponentiation here, which costs 1.55 times that.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from protocols.profiles import PAILLIER_2048_TEST, PAILLIER_3072, PaillierProfile
from protocols.sums.arithmetic import safe_prime
from protocols.sums.shareproof import ListContext, prove, verify
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import combine, deal, partial

SECRET = bytes(32)
CONTEXT = ListContext("bench", "00" * 16, bytes(32))


def measure(name: str, runs: int, work: Callable[[], object]) -> None:
    """Print the mean time of ``work`` over ``runs``, in milliseconds."""
    start = time.perf_counter()
    for _ in range(runs):
        work()
    print(f"  {name:<34}{(time.perf_counter() - start) * 1000 / runs:10.2f} ms")


def bench(profile: PaillierProfile) -> None:
    """All figures of one suite, 2 of 3 holders."""
    print(f"{profile.name}, {profile.modulus_bits} bits")
    half = profile.modulus_bits // 2
    primes: list[int] = []
    measure("safe prime (search, varies)", 4, lambda: primes.append(safe_prime(half)))
    dealt = deal(profile, ["office", "a", "b"], 2, (primes[0], primes[1]), ceremony=bytes(32))
    key, public, share = dealt.key, dealt.key.public, dealt.shares[0]
    measure("table and first row, once a key", 1, lambda: public.encrypt_row(SECRET, b"0", 1, b"row"))
    measure("encrypt a row", 200, lambda: public.encrypt_row(SECRET, b"1", 523_400, b"row"))
    rows = [public.encrypt_row(SECRET, b"%d" % place, place, b"row") for place in range(200)]
    measure("check 200 ciphertexts", 5, lambda: public.check_ciphertexts(rows))
    total = public.combine((row, -1 if place % 3 else 1) for place, row in enumerate(rows))
    measure("add 200 terms", 5, lambda: public.combine((row, 1) for row in rows))
    value = partial(key, share, total)
    proof = prove(key, share, total, value, CONTEXT)
    measure("share", 10, lambda: partial(key, share, total))
    measure("share proof", 10, lambda: prove(key, share, total, value, CONTEXT))
    measure("check of a share proof", 10, lambda: verify(key, "office", total, value, proof, CONTEXT))
    both = {holder.holder: partial(key, holder, total) for holder in dealt.shares[:2]}
    measure("combine two shares", 10, lambda: combine(key, both))
    body = key.to_body()
    measure("full check of the sum key", 3, lambda: SumKey.from_body(body, profile))


if __name__ == "__main__":
    for suite in (PAILLIER_2048_TEST, PAILLIER_3072):
        bench(suite)
