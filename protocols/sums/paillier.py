"""Paillier encryption of amounts with short exponents, and addition under encryption.

Formulas (Paillier 1999; Damgård, Jurik and Nielsen 2010, short exponents; g = n + 1):

- *base*: h = the first of SHAKE-256("hedui/sum-base/v1", n, 0), (…, 1), … modulo n with Jacobi symbol (h /
  n) = 1; h_s = h^n mod n². The paper takes h = -x² for a random x of the dealer: both are generators of
  (nearly) all elements with Jacobi symbol 1, but a hashed h lets every verifier recompute h_s, so that a base
  which is no n-th power, and would falsify every total, is refused without trusting the dealer.
- *encrypt*: c = (1 + m·n) · h_s^r mod n², where m is the amount modulo n (so -5 is n - 5) and r is an integer
  of ``short_exponent_bits`` bits, half the modulus. h_s^r comes from a table of powers.
- *row exponent*: r = the first bits of HMAC-SHA-512(k, u32 0) ‖ HMAC-SHA-512(k, u32 1) ‖ …, with
  k = HMAC-SHA-512(publication secret, fields("hedui/row-exponent/v1", n, identifier, amount, purpose)), the
  amount as decimal text. A publishing run that was killed therefore resumes to the same bytes, while another
  amount, person or purpose never meets the same r (equal r would show the difference of two amounts).
- *add*: c₁·c₂ mod n² holds m₁ + m₂; *subtract*: c₁·c₂⁻¹ mod n². Nothing is re-randomised: the office, the
  trustees and the verifier each compute the same total from the published leaves.

A ciphertext is valid when 0 < c < n² and gcd(c, n) = 1. Every value from outside is checked before use: a
malformed one (0, n, or a multiple of a prime factor) would open to something that helps factor n. On the
wire a ciphertext is an unsigned big-endian integer of exactly 2 · modulus_bits / 8 bytes.

What each side learns: who holds only ciphertexts learns nothing of the amounts, nor whether two are equal.
The short exponent's secrecy is an assumption about moduli of safe primes; use foreign keys in tests only.

*Private key.* ``PaillierPrivateKey`` is held by one party. No network uses it: sum keys are shared
(``threshold``). It exists so that keys and ciphertexts can be
exchanged with python-paillier both ways, and it shows the check that library lacks: ``phe`` computes on a
ciphertext 0 or n without looking, and the result gives its primes away. Here every ciphertext is checked
first.

Formula (Paillier 1999, section 7, by the Chinese remainder theorem), with L_p(x) = (x - 1) / p: m_p =
L_p(c^(p-1) mod p²) · h_p mod p, h_p = L_p((1 + n)^(p-1) mod p²)⁻¹ mod p; the same for q; m from m_p and
m_q.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from protocols.encoding import fields
from protocols.errors import CiphertextError, EncodingError, SumKeyError
from protocols.profiles import AMOUNT_LIMIT_FEN, PaillierProfile
from protocols.sums.arithmetic import (
    FixedBase,
    gcd,
    hash_below,
    inverse,
    is_prime,
    jacobi,
    powmod,
    powmod_secret,
    product,
)

_BASE_DOMAIN = b"hedui/sum-base/v1"
_ROW_DOMAIN = b"hedui/row-exponent/v1"


def derive_base(n: int) -> int:
    """The one DJN base h_s = h^n mod n² of a modulus, h hashed from n (see the module).

    Args:
        n: an odd modulus that has passed :func:`protocols.sums.modulus.check_modulus`.
    """
    name = n.to_bytes((n.bit_length() + 7) // 8, "big")
    counter = 0
    while True:
        h = hash_below(n, _BASE_DOMAIN, name, counter.to_bytes(4, "big"))
        if jacobi(h, n) == 1:
            return powmod(h, n, n * n)
        counter += 1


def row_exponent(secret: bytes, n: int, bits: int, row: tuple[bytes, int, bytes]) -> int:
    """The encryption exponent of one row, an integer in [0, 2^bits).

    Args:
        secret: the publication secret, 32 bytes, fresh for each publication.
        n: the modulus the row is encrypted under.
        bits: length of the exponent, a multiple of 8.
        row: identifier (canonical UTF-8), amount in fen, purpose (such as ``b"row"`` or ``b"dummy"``).

    Raises:
        EncodingError: the secret is shorter than 32 bytes.
    """
    if len(secret) < 32:
        raise EncodingError("the publication secret has fewer than 32 bytes: draw a fresh one")
    identifier, amount, purpose = row
    name = n.to_bytes((n.bit_length() + 7) // 8, "big")
    key = hmac.digest(secret, fields(_ROW_DOMAIN, name, identifier, b"%d" % amount, purpose), "sha512")
    blocks = (hmac.digest(key, index.to_bytes(4, "big"), "sha512") for index in range(-(-bits // 512)))
    return int.from_bytes(b"".join(blocks)[: bits // 8], "big")


@dataclass(frozen=True)
class PaillierPublicKey:
    """A Paillier public key with its encryption base.

    Attributes:
        n: the modulus.
        base: h_s, from :func:`derive_base`.
        profile: the named sizes.

    Raises:
        SumKeyError: n has not exactly ``profile.modulus_bits`` bits or is even, or the base is out of
            range or shares a factor with n. (The full checks of an untrusted key are ``SumKey.check``.)
    """

    n: int
    base: int
    profile: PaillierProfile

    def __post_init__(self) -> None:
        if self.n.bit_length() != self.profile.modulus_bits or self.n % 2 == 0:
            raise SumKeyError(f"the modulus must be odd and of {self.profile.modulus_bits} bits")
        if not 1 < self.base < self.n_square or gcd(self.base, self.n) != 1:
            raise SumKeyError("the encryption base is out of range: fetch the sum key from the ledger again")

    @classmethod
    def of_modulus(cls, n: int, profile: PaillierProfile) -> PaillierPublicKey:
        """The public key of a checked modulus, with the base derived."""
        if n.bit_length() != profile.modulus_bits or n % 2 == 0:
            raise SumKeyError(f"the modulus must be odd and of {profile.modulus_bits} bits")
        return cls(n, derive_base(n), profile)

    @cached_property
    def n_square(self) -> int:
        """n²."""
        return self.n * self.n

    @property
    def ciphertext_bytes(self) -> int:
        """Width of a ciphertext on the wire, in bytes (768 for 3072-bit moduli)."""
        return self.profile.modulus_bits // 4

    @cached_property
    def _table(self) -> FixedBase:
        return FixedBase(self.base, self.n_square, self.profile.short_exponent_bits)

    def encrypt(self, amount: int, exponent: int) -> int:
        """Ciphertext of ``amount`` fen under ``exponent``. The first call builds the table.

        Raises:
            EncodingError: |amount| > 10^12 fen, or the exponent is not in [0, 2^short_exponent_bits).
        """
        if abs(amount) > AMOUNT_LIMIT_FEN:
            raise EncodingError(f"an amount must be within {AMOUNT_LIMIT_FEN} fen: check the source's unit")
        if not 0 <= exponent < 1 << self.profile.short_exponent_bits:
            raise EncodingError("the encryption exponent has the wrong length for this suite")
        return self._table.times_power(1 + amount % self.n * self.n, exponent)

    def encrypt_row(self, secret: bytes, identifier: bytes, amount: int, purpose: bytes) -> int:
        """Ciphertext of one published row; the same arguments give the same ciphertext.

        Args:
            secret: the publication secret, at least 32 bytes.
            identifier: canonical identifier of the row, or any name of a dummy row.
            amount: fen.
            purpose: separates rows from dummies and sentinels.

        Raises:
            EncodingError: the secret is short or the amount too large.
        """
        bits = self.profile.short_exponent_bits
        return self.encrypt(amount, row_exponent(secret, self.n, bits, (identifier, amount, purpose)))

    def to_bytes(self, ciphertext: int) -> bytes:
        """A ciphertext, partial opening or other value modulo n² at its fixed width, big-endian."""
        return ciphertext.to_bytes(self.ciphertext_bytes, "big")

    def from_bytes(self, data: bytes) -> int:
        """The integer of ``data``; its range is checked by :meth:`check_ciphertexts`, in batches.

        Raises:
            CiphertextError: not exactly ``ciphertext_bytes`` bytes.
        """
        if len(data) != self.ciphertext_bytes:
            raise CiphertextError(f"a ciphertext of this network has {self.ciphertext_bytes} bytes")
        return int.from_bytes(data, "big")

    def check_ciphertexts(self, batch: Sequence[int]) -> None:
        """Check 0 < c < n² for each ciphertext, and gcd(Π c mod n, n) = 1 once: n divides into no factor.

        Raises:
            CiphertextError: at least one is malformed; refuse the whole publication or list.
        """
        if not all(0 < ciphertext < self.n_square for ciphertext in batch):
            raise CiphertextError("a ciphertext is not between 0 and n²: refuse what it came with")
        if gcd(product(batch, self.n), self.n) != 1:
            raise CiphertextError("a ciphertext shares a factor with n: refuse what it came with")

    def combine(self, terms: Iterable[tuple[int, int]]) -> int:
        """C = Π cⱼ^(±1) mod n², the encryption of the signed sum; 1 for no terms.

        Args:
            terms: (ciphertext, sign) with sign +1 or -1.

        Raises:
            CiphertextError: a ciphertext is malformed.
            EncodingError: a sign is neither 1 nor -1.
        """
        listed = list(terms)
        if any(sign not in (1, -1) for _, sign in listed):
            raise EncodingError("the sign of a term is +1 or -1: check the rules")
        self.check_ciphertexts([ciphertext for ciphertext, _ in listed])
        plus = product((ciphertext for ciphertext, sign in listed if sign == 1), self.n_square)
        minus = product((ciphertext for ciphertext, sign in listed if sign == -1), self.n_square)
        return plus * inverse(minus, self.n_square) % self.n_square


@dataclass(frozen=True)
class PaillierPrivateKey:
    """The factors of a modulus. They are never printed.

    Attributes:
        p, q: different odd primes with gcd(p·q, (p-1)(q-1)) = 1.
        profile: the named sizes; p·q has exactly ``modulus_bits`` bits.

    Raises:
        SumKeyError: the numbers are not such primes.
    """

    p: int = field(repr=False)
    q: int = field(repr=False)
    profile: PaillierProfile

    def __post_init__(self) -> None:
        n = self.p * self.q
        if min(self.p, self.q) < 3 or self.p == self.q or not (is_prime(self.p) and is_prime(self.q)):
            raise SumKeyError("a private key needs two different odd primes")
        if n.bit_length() != self.profile.modulus_bits or gcd(n, (self.p - 1) * (self.q - 1)) != 1:
            raise SumKeyError("the primes do not make a Paillier modulus of this size: make a new key")

    @property
    def public(self) -> PaillierPublicKey:
        """The public key, with our derived encryption base."""
        return PaillierPublicKey.of_modulus(self.p * self.q, self.profile)

    def decrypt(self, ciphertext: int) -> int:
        """M in [0, n) of a ciphertext; ``phe_format.decode_integer`` gives it its sign.

        Raises:
            CiphertextError: the ciphertext is not in (0, n²) or shares a factor with n.
        """
        self.public.check_ciphertexts([ciphertext])
        m_p, m_q = self._residue(ciphertext, self.p), self._residue(ciphertext, self.q)
        return m_p + self.p * ((m_q - m_p) * inverse(self.p, self.q) % self.q)

    def _residue(self, ciphertext: int, prime: int) -> int:
        square = prime * prime

        def log(value: int) -> int:
            return (powmod_secret(value % square, prime - 1, square) - 1) // prime

        return log(ciphertext) * inverse(log(1 + self.p * self.q), prime) % prime
