"""A plain Paillier private key, held by one party.

No network uses it: sum keys are shared (``threshold``). It exists so that keys and ciphertexts can be
exchanged with python-paillier both ways, and it shows the check that library lacks: ``phe`` computes on a
ciphertext 0 or n without looking, and the result gives its primes away. Here every ciphertext is checked
first.

Formula (Paillier 1999, section 7, by the Chinese remainder theorem), with L_p(x) = (x - 1) / p: m_p =
L_p(c^(p-1) mod p²) · h_p mod p, h_p = L_p((1 + n)^(p-1) mod p²)⁻¹ mod p; the same for q; m from m_p and
m_q.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.errors import SumKeyError
from protocols.profiles import PaillierProfile
from protocols.sums.arithmetic import gcd, inverse, is_prime, powmod_secret
from protocols.sums.paillier import PaillierPublicKey


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
