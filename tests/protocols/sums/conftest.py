"""Shared sum keys, made once from the public test primes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.profiles import PAILLIER_2048_TEST, PaillierProfile
from protocols.sums.paillier import PaillierPublicKey
from protocols.sums.threshold import Dealt, deal

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="session")
def maker() -> dict[str, Any]:
    """The names of the vector maker."""
    return runpy.run_path(str(VECTORS / "make_paillier.py"))


@pytest.fixture(scope="session")
def small(maker: dict[str, Any]) -> PaillierProfile:
    """A 512-bit profile: fast and insecure."""
    profile: PaillierProfile = maker["PROFILE_512"]
    return profile


@pytest.fixture(scope="session")
def small_primes_pair(maker: dict[str, Any]) -> tuple[int, int]:
    """Safe primes of the 512-bit modulus."""
    p, q = (int(prime, 16) for prime in maker["PRIMES"]["paillier-512-test"])
    return p, q


@pytest.fixture(scope="session")
def dealing(small: PaillierProfile, small_primes_pair: tuple[int, int]) -> Callable[[int, int], Dealt]:
    """``dealing(t, l)``: a t-of-l dealing at 512 bits, the office being the first holder."""
    known: dict[tuple[int, int], Dealt] = {}

    def make(threshold: int, count: int) -> Dealt:
        if (threshold, count) not in known:
            holders = ["office", *(f"trustee-{number}" for number in range(1, count))]
            known[threshold, count] = deal(
                small, holders, threshold, small_primes_pair, ceremony=b"\x01" * 32
            )
        return known[threshold, count]

    return make


@pytest.fixture(scope="session")
def public(dealing: Callable[[int, int], Dealt]) -> PaillierPublicKey:
    """The 512-bit public key."""
    return dealing(2, 2).key.public


@pytest.fixture(scope="session")
def large(maker: dict[str, Any]) -> Dealt:
    """A 2-of-3 dealing at 2048 bits."""
    p, q = (int(prime, 16) for prime in maker["PRIMES"]["paillier-2048-test"])
    return deal(PAILLIER_2048_TEST, ["office", "trustee-1", "trustee-2"], 2, (p, q), ceremony=b"\x01" * 32)
