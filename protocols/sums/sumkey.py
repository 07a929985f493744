"""The network's sum key: its public part on the ledger, and the share each holder keeps.

Holders are the office and the trustees, in that order, numbered from 1; any ``threshold`` of them open a
total together, and fewer learn nothing. The public part (entry ``sumkey.publish``):

============ ======================================================================================
suite, bits  the named profile and the size of n
modulus      n = p·q, p and q safe primes that nobody keeps
base         h_s, the DJN encryption base; equal to ``derive_base(n)``
v            u² mod n², u hashed from n ("hedui/sum-v/v1"): generates (nearly) all squares modulo n²
verification vᵢ = v^(Δ sᵢ) mod n² for each holder i, Δ = (number of holders)!, sᵢ its share
proof        gcd(n, φ(n)) = 1 (``modulus``)
ceremony     SHA-256 of the ceremony's signed record
============ ======================================================================================

Numbers are lower-case hex of fixed width: n and the roots modulus_bits / 8 bytes, the rest twice that.

:meth:`SumKey.check` trusts nothing in it: the modulus and its proof; base and v recomputed; each vᵢ in
range, coprime to n, with Jacobi symbol 1; and the vᵢ must fit *one* polynomial of degree threshold - 1 with
a value at 0 that kills the squares modulo n. With Lagrange's λ_{x,i} = Δ · Π_{k≠i} (x - k)/(i - k) over the
first threshold holders S:  Π_S vᵢ^λ_{0,i} = v^(Δ² d) = 1 mod n, as d = 0 mod m; and v_j^Δ = Π_S vᵢ^λ_{j,i}
mod n² for j not in S; and one holder of S fewer must not give 1.

What it cannot detect: whether someone kept p and q (the ceremony's witnesses vouch for that); whether d = 1
mod n (one joint test opening shows it); and, when all holders are needed, a vᵢ multiplied by a power of
1 + n (its holder's :meth:`SumKey.check_share` shows it).

A share travels sealed (HPKE, elsewhere) as fields("hedui/sum-share/v1", suite, n, holder, sᵢ), sᵢ of
ciphertext width; who opens it checks v^(Δ sᵢ) = vᵢ before it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocols.encoding import fields
from protocols.errors import SumKeyError
from protocols.profiles import MAX_SUM_HOLDERS, PaillierProfile
from protocols.sums.arithmetic import gcd, hash_below, inverse, jacobi, powmod, powmod_secret, product
from protocols.sums.modulus import PROOF_ROOTS, check_modulus, verify_coprime
from protocols.sums.paillier import PaillierPublicKey, derive_base

_V_DOMAIN = b"hedui/sum-v/v1"
_SHARE_DOMAIN = b"hedui/sum-share/v1"
_BODY_FIELDS = frozenset(
    {"suite", "bits", "office", "trustees", "threshold", "modulus", "base", "v", "verification"}
    | {"ceremony", "proof"}
)
_CEREMONY_BYTES = 32
_HEX = frozenset("0123456789abcdef")


def derive_v(n: int) -> int:
    """v = u² mod n² with u hashed from n to [0, n²)."""
    name = n.to_bytes((n.bit_length() + 7) // 8, "big")
    u = hash_below(n * n, _V_DOMAIN, name)
    return u * u % (n * n)


def lagrange(delta: int, holders: Sequence[int], index: int, at: int = 0) -> int:
    """λ = Δ · Π_{k≠index} (at - k) / (index - k) over ``holders``, an exact integer.

    Args:
        delta: (number of all holders)!.
        holders: different numbers from 1 to the number of all holders, among them ``index``.
        index: the holder the coefficient is for.
        at: the point at which the polynomial is wanted; 0 is the secret.
    """
    others = [k for k in holders if k != index]
    return delta * math.prod(at - k for k in others) // math.prod(index - k for k in others)


def power_product(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """Π bases[j]^exponents[j] mod modulus; an exponent may be negative if its base is a unit."""
    factors = []
    for base, exponent in zip(bases, exponents, strict=True):
        unit = base if exponent >= 0 else inverse(base, modulus)
        factors.append(powmod(unit, abs(exponent), modulus))
    return product(factors, modulus)


@dataclass(frozen=True)
class Share:
    """One holder's secret share of the sum key.

    Attributes:
        holder: the holder's member id.
        value: sᵢ in [0, n·m), m = (p-1)(q-1)/4. Never printed.
    """

    holder: str
    value: int = field(repr=False)


@dataclass(frozen=True)
class SumKey:
    """Public part of a sum key, made by ``deal`` or :meth:`from_body`; the module has the formulas.

    Attributes:
        public: modulus, base and profile.
        office: member id of the office.
        trustees: member ids of the trustees, at least one, in the order of the entry.
        threshold: how many holders open a total, 2 to all.
        v: base of the verification values.
        verification: vᵢ in the order of ``holders``.
        proof: roots proving gcd(n, φ(n)) = 1.
        ceremony: 32 bytes, digest of the ceremony's record.
    """

    public: PaillierPublicKey
    office: str
    trustees: tuple[str, ...]
    threshold: int
    v: int
    verification: tuple[int, ...]
    proof: tuple[int, ...]
    ceremony: bytes

    @property
    def holders(self) -> tuple[str, ...]:
        """Office, then trustees; the holder at position i has number i + 1."""
        return (self.office, *self.trustees)

    @property
    def delta(self) -> int:
        """Δ = (number of holders)!."""
        return math.factorial(len(self.holders))

    def index(self, holder: str) -> int:
        """Number of a holder, from 1.

        Raises:
            SumKeyError: not a holder of this key.
        """
        if holder not in self.holders:
            raise SumKeyError("not a holder of this sum key: check which key the query uses")
        return self.holders.index(holder) + 1

    def verification_of(self, holder: str) -> int:
        """vᵢ of a holder. Raises SumKeyError for a stranger."""
        return self.verification[self.index(holder) - 1]

    def check(self) -> None:
        """Full check of a key from outside (0.1 s at 3072 bits). Use no key that has not passed it once.

        Raises:
            SumKeyError: modulus, base, v, holders or verification values are malformed.
            ProofError: the modulus proof does not hold.
        """
        check_holders(self.holders, self.threshold)
        n = self.public.n
        check_modulus(n, self.public.profile)
        verify_coprime(n, self.proof)
        if self.public.base != derive_base(n) or self.v != derive_v(n):
            raise SumKeyError("base or v is not the one derived from the modulus: refuse the key")
        if len(self.verification) != len(self.holders) or len(self.ceremony) != _CEREMONY_BYTES:
            raise SumKeyError(
                "the key needs one verification value a holder and a ceremony digest of 32 bytes"
            )
        for value in self.verification:
            if not 1 < value < self.public.n_square or jacobi(value, n) != 1:
                raise SumKeyError("a verification value is out of range: refuse the key")
        self._check_polynomial()

    def _check_polynomial(self) -> None:
        n, modulus, delta = self.public.n, self.public.n_square, self.delta
        first = range(1, self.threshold + 1)
        bases = self.verification[: self.threshold]
        if power_product(bases, [lagrange(delta, first, i) for i in first], n) != 1:
            raise SumKeyError("the verification values do not open the squares: refuse the key")
        fewer = first[:-1]
        if power_product(bases[:-1], [lagrange(delta, fewer, i) for i in fewer], n) == 1:
            raise SumKeyError("fewer holders than the threshold would open totals: refuse the key")
        for j in range(self.threshold + 1, len(self.holders) + 1):
            expected = power_product(bases, [lagrange(delta, first, i, at=j) for i in first], modulus)
            if powmod(self.verification[j - 1], delta, modulus) != expected:
                raise SumKeyError("the verification values are of different keys: refuse the key")

    def to_body(self) -> dict[str, object]:
        """Body of the ledger entry ``sumkey.publish``."""
        half, full = self.public.ciphertext_bytes // 2, self.public.ciphertext_bytes
        return {
            "suite": self.public.profile.name,
            "bits": self.public.profile.modulus_bits,
            "office": self.office,
            "trustees": list(self.trustees),
            "threshold": self.threshold,
            "modulus": _hex(self.public.n, half),
            "base": _hex(self.public.base, full),
            "v": _hex(self.v, full),
            "verification": {
                holder: _hex(value, full)
                for holder, value in zip(self.holders, self.verification, strict=True)
            },
            "ceremony": self.ceremony.hex(),
            "proof": [_hex(root, half) for root in self.proof],
        }

    @classmethod
    def from_body(cls, body: Mapping[str, object], profile: PaillierProfile) -> SumKey:
        """Read and fully :meth:`check` an untrusted ledger body.

        Args:
            body: the decoded JSON object.
            profile: the profile the network's genesis names; another suite is refused.

        Raises:
            SumKeyError: a field is missing, unknown, of the wrong type or width, or a check fails.
            ProofError: the modulus proof does not hold.
        """
        if set(body) != _BODY_FIELDS:
            raise SumKeyError("the sum key's fields are not those of sumkey.publish")
        if (body["suite"], body["bits"]) != (profile.name, profile.modulus_bits):
            raise SumKeyError(f"the sum key is not of this network's suite {profile.name}")
        full, half = profile.modulus_bits // 4, profile.modulus_bits // 8
        office, trustees = _text(body["office"]), tuple(_text(item) for item in _list(body["trustees"]))
        table, roots, threshold = body["verification"], _list(body["proof"]), body["threshold"]
        if not isinstance(table, dict) or set(table) != {office, *trustees} or len(roots) != PROOF_ROOTS:
            raise SumKeyError("the key needs one verification value a holder and a whole proof")
        if not isinstance(threshold, int) or isinstance(threshold, bool):
            raise SumKeyError("the threshold must be an integer")
        modulus = _number(body["modulus"], half)
        check_modulus(modulus, profile)
        key = cls(
            public=PaillierPublicKey(modulus, _number(body["base"], full), profile),
            office=office,
            trustees=trustees,
            threshold=threshold,
            v=_number(body["v"], full),
            verification=tuple(_number(table[holder], full) for holder in (office, *trustees)),
            proof=tuple(_number(root, half) for root in roots),
            ceremony=_number(body["ceremony"], _CEREMONY_BYTES).to_bytes(_CEREMONY_BYTES, "big"),
        )
        key.check()
        return key

    def check_share(self, share: Share) -> None:
        """Check that a received share is the one behind its verification value: v^(Δ sᵢ) = vᵢ mod n².

        Raises:
            SumKeyError: it is not, or the holder is a stranger.
        """
        expected = self.verification_of(share.holder)
        if not 0 < share.value < self.public.n_square:
            raise SumKeyError("the share is out of range: ask for it again from the ceremony")
        if powmod_secret(self.v, self.delta * share.value, self.public.n_square) != expected:
            raise SumKeyError("the share does not belong to this sum key: ask for it again from the ceremony")

    def share_to_bytes(self, share: Share) -> bytes:
        """Secret bytes of a share, to be sealed for its holder."""
        return self._share_head(share.holder) + fields(self.public.to_bytes(share.value))

    def share_from_bytes(self, data: bytes, holder: str) -> Share:
        """Read and check the share of ``holder`` from its unsealed bytes.

        Raises:
            SumKeyError: the bytes are of another key, suite or holder, or the share is wrong.
        """
        head, width = self._share_head(holder), self.public.ciphertext_bytes
        if not data.startswith(head) or len(data) != len(head) + 4 + width:
            raise SumKeyError("these bytes are not this holder's share of this sum key")
        share = Share(holder, int.from_bytes(data[-width:], "big"))
        self.check_share(share)
        if self.share_to_bytes(share) != data:
            raise SumKeyError("these bytes are not this holder's share of this sum key")
        return share

    def _share_head(self, holder: str) -> bytes:
        n = self.public.n.to_bytes(self.public.ciphertext_bytes // 2, "big")
        return fields(_SHARE_DOMAIN, self.public.profile.name.encode(), n, holder.encode())


def check_holders(holders: Sequence[str], threshold: int) -> None:
    """Check that holders are 2 to 32 different ids and 2 <= threshold <= their number.

    Raises:
        SumKeyError: they are not.
    """
    if not 2 <= len(holders) <= MAX_SUM_HOLDERS or len(set(holders)) != len(holders) or not all(holders):
        raise SumKeyError(f"a sum key needs 2 to {MAX_SUM_HOLDERS} different holders")
    if not 2 <= threshold <= len(holders):
        raise SumKeyError("the threshold must be between 2 and the number of holders")


def check_unit(value: int, key: PaillierPublicKey, what: str) -> None:
    """Check 0 < value < n² and gcd(value, n) = 1 for an opening or share.

    Raises:
        SumKeyError: it is not so; the message names ``what``.
    """
    if not 0 < value < key.n_square or gcd(value, key.n) != 1:
        raise SumKeyError(f"{what} is out of range: ask its holder for it again")


def _hex(value: int, width: int) -> str:
    return value.to_bytes(width, "big").hex()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise SumKeyError("a member id of the sum key must be text")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise SumKeyError("trustees and proof of the sum key must be lists")
    return value


def _number(value: object, width: int) -> int:
    if not isinstance(value, str) or len(value) != 2 * width or not _HEX.issuperset(value):
        raise SumKeyError(f"a number of the sum key must be {2 * width} lower-case hex digits")
    return int(value, 16)
