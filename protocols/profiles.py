"""Named parameters of the protocols, each with its source. No other module carries a number of its own.

Sources: RFC 9497 (VOPRF, suite ristretto255-SHA512), NIST SP 800-57 part 1 (modulus sizes for 128-bit
security), Damgård, Jurik and Nielsen 2010 (short exponents), and the arithmetic in each comment.
"""

from __future__ import annotations

from dataclasses import dataclass

SUITE_NAME = "ristretto255-SHA512"
"""RFC 9497 section 4.1."""

VOPRF_MODE = 0x01
"""RFC 9497 section 3.1, modeVOPRF."""

TAG_DOMAIN = b"hedui/tag/v1"
TAG_BYTES = 8
"""A false match in one look-up has probability rows / 2^64: 2^-40.7 at ten million rows."""

MAX_TAG = (1 << 64) - 1
MIN_DUMMIES = 10
AMOUNT_LIMIT_FEN = 10**12
"""Largest absolute value of one published row, in fen (ten thousand million yuan)."""

ELEMENT_STEPS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
ROW_STEPS_PERCENT = (100, 125, 150, 200, 250, 300, 400, 500, 600, 800)
"""Row counts are padded to the next of 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""

CERTIFICATE_SECONDS = 15 * 60
CLOCK_TOLERANCE_SECONDS = 120
RENEWAL_LIMIT_SECONDS = 7 * 86400
HEAD_MAX_AGE_SECONDS = 60
"""A department answers only under a head whose quorum of cosignatures is younger than this."""


@dataclass(frozen=True)
class PaillierProfile:
    """Sizes of one threshold Paillier suite.

    Attributes:
        name: the suite's name on the ledger.
        modulus_bits: size of n.
        challenge_bits: Fiat–Shamir challenge of a share proof.
        statistical_bits: slack that hides a share in its proof's response.
        short_exponent_bits: exponent of DJN encryption, half the modulus.
    """

    name: str
    modulus_bits: int
    challenge_bits: int
    statistical_bits: int
    short_exponent_bits: int


PAILLIER_3072 = PaillierProfile("paillier-3072", 3072, 256, 256, 1536)
"""NIST SP 800-57: 3072 bits for 128-bit security."""

PAILLIER_2048_TEST = PaillierProfile("paillier-2048-test", 2048, 256, 256, 1024)
"""For tests only: 112-bit security."""

PAILLIER_PROFILES = {profile.name: profile for profile in (PAILLIER_3072, PAILLIER_2048_TEST)}


def padded_elements(count: int) -> int:
    """Number of elements a question of ``count`` elements shows: 4, 8, …, 1024, then multiples of 1024."""
    for step in ELEMENT_STEPS:
        if count <= step:
            return step
    return -(-count // ELEMENT_STEPS[-1]) * ELEMENT_STEPS[-1]


def padded_rows(count: int) -> int:
    """Smallest step of 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8 × 10^k, an integer, that is at least ``count``."""
    if count < 1:
        return 1
    scale = 1
    while True:
        for percent in ROW_STEPS_PERCENT:
            size, rest = divmod(percent * scale, 100)
            if rest == 0 and size >= count:
                return size
        scale *= 10


SMALL_FACTOR_BOUND = 1 << 16
"""A modulus with a prime factor below this is refused. It is alpha of ePrint 2018/057."""

MODULUS_PROOF_BITS = 128
"""Soundness of the proof that gcd(n, phi(n)) = 1: ceil(128 / log2 alpha) = 8 roots."""

HASH_BIAS_BITS = 128
"""Surplus bits of a hash reduced modulo n: statistical distance from uniform at most 2^-128."""

FIXED_BASE_WINDOW_BITS = 8
"""Window of the fixed-base table: 192 rows of 256 powers, 38 MB at 3072 bits."""

MAX_SUM_HOLDERS = 32
"""Most holders of one sum key; it bounds the factor (number of holders)! in the exponents."""

PRIMALITY_ROUNDS = 40
"""Rounds of the final primality test: BPSW and Miller-Rabin, error below 2^-80 even for a chosen number."""
