"""Signatures by named algorithm, and the ids of keys.

Rules:
1. A key is always (algorithm name, raw bytes). An algorithm is one object in ``ALGORITHMS``; to support SM2
   or ML-DSA beside Ed25519, implement its methods and add it there. Which algorithms a network *accepts* is
   decided by the ledger's contract, not by this table.
2. Key id = lower-case hex of SHA-256(alg ‖ 0x00 ‖ raw public key)[:16], 32 characters. It names a key and
   does not prove possession.
3. Ed25519 is RFC 8032 section 5.1 (pure, no context): seed 32 bytes, public key 32 bytes, signature 64 bytes,
   s < L enforced by the library. A public key that is not canonically encoded (y >= p), or lies in the
   subgroup of order 8, is refused: under a key of small order one signature fits many messages, so its
   holder could deny what was signed.
4. Verification raises; it never returns a bool.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keys.errors import BadSignatureError, MalformedKeyError, UnknownAlgorithmError

ED25519 = "ed25519"
KEY_ID_BYTES = 16


class Algorithm(Protocol):
    """One signature algorithm over raw bytes, without state."""

    @property
    def seed_bytes(self) -> int:
        """Length of the secret seed."""

    @property
    def public_bytes(self) -> int:
        """Length of a raw public key."""

    @property
    def signature_bytes(self) -> int:
        """Length of a signature."""

    def check_public(self, raw: bytes) -> None:
        """Raise ``MalformedKeyError`` for a key that no honest key generation produces."""

    def public(self, seed: bytes) -> bytes:
        """Raw public key of a seed of the right length."""

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Signature of ``message``."""

    def verify(self, raw: bytes, message: bytes, signature: bytes) -> None:
        """Raise ``cryptography.exceptions.InvalidSignature`` unless the signature is valid."""


_P = 2**255 - 19
_SMALL_ORDER_Y = frozenset(
    {
        0,  # order 4
        1,  # order 1, the identity
        _P - 1,  # order 2
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,  # order 8
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,  # order 8
    }
)
"""y of the eight points whose order divides 8 (a sign bit picks x); recomputed in the tests."""


@dataclass(frozen=True)
class Ed25519:
    """RFC 8032 section 5.1, by the cryptography library."""

    seed_bytes: int = 32
    public_bytes: int = 32
    signature_bytes: int = 64

    def check_public(self, raw: bytes) -> None:
        """Refuse y >= p and points of small order (rule 3)."""
        y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
        if y >= _P or y in _SMALL_ORDER_Y:
            raise MalformedKeyError(
                "an ed25519 public key is not canonical or has small order: generate a new key"
            )

    def public(self, seed: bytes) -> bytes:
        """Public key A = s·B, 32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """R ‖ s, 64 bytes; deterministic."""
        return Ed25519PrivateKey.from_private_bytes(seed).sign(message)

    def verify(self, raw: bytes, message: bytes, signature: bytes) -> None:
        """Raise InvalidSignature unless s·B = R + H(R ‖ A ‖ message)·A, without cofactor."""
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({ED25519: Ed25519()})
"""Every algorithm that this version supports, by its name in keys and signatures."""


def algorithm(alg: str) -> Algorithm:
    """Return the registered algorithm called ``alg``.

    Raises:
        UnknownAlgorithmError: it is not registered.
    """
    found = ALGORITHMS.get(alg)
    if found is None:
        known = ", ".join(sorted(ALGORITHMS))
        raise UnknownAlgorithmError(f"algorithm {alg!r} is not known here (known: {known}): update this node")
    return found


@dataclass(frozen=True)
class PublicKey:
    """A public key that has passed its algorithm's checks.

    Attributes:
        alg: name in ``ALGORITHMS``.
        raw: the algorithm's raw encoding (Ed25519: 32 bytes, RFC 8032 section 5.1.2).

    Raises:
        UnknownAlgorithmError: ``alg`` is not registered.
        MalformedKeyError: ``raw`` has the wrong length or is refused by the algorithm.
    """

    alg: str
    raw: bytes

    def __post_init__(self) -> None:
        kind = algorithm(self.alg)
        if len(self.raw) != kind.public_bytes:
            raise MalformedKeyError(
                f"a public key of {self.alg} has {kind.public_bytes} bytes, got {len(self.raw)}: "
                "copy the key again from its owner"
            )
        kind.check_public(self.raw)

    @property
    def id(self) -> str:
        """Key id, 32 lower-case hex characters (rule 2)."""
        return hashlib.sha256(self.alg.encode("ascii") + b"\x00" + self.raw).digest()[:KEY_ID_BYTES].hex()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature over ``message``.

        Raises:
            BadSignatureError: it is not this key's signature over exactly these bytes.
        """
        kind = algorithm(self.alg)
        if len(signature) != kind.signature_bytes:
            raise BadSignatureError(
                f"a signature of {self.alg} has {kind.signature_bytes} bytes, got {len(signature)}: "
                "ask the signer for it again"
            )
        try:
            kind.verify(self.raw, message, signature)
        except InvalidSignature:
            raise BadSignatureError(
                f"the signature does not verify under key {self.id}: it changed, or another key signed"
            ) from None


class SigningKey:
    """A secret signing key. Its representation shows the key id, never the seed.

    Keep the seed in a ``keys.vault.Vault``; nothing else needs to be stored.
    """

    __slots__ = ("_public", "_seed")

    def __init__(self, alg: str, seed: bytes) -> None:
        """Key from its seed.

        Raises:
            UnknownAlgorithmError: ``alg`` is not registered.
            MalformedKeyError: the seed has the wrong length.
        """
        kind = algorithm(alg)
        if len(seed) != kind.seed_bytes:
            raise MalformedKeyError(
                f"a seed of {alg} has {kind.seed_bytes} bytes, got {len(seed)}: restore it from its backup"
            )
        self._seed = bytes(seed)
        self._public = PublicKey(alg, kind.public(self._seed))

    @classmethod
    def generate(cls, alg: str = ED25519) -> SigningKey:
        """Draw a new key from the operating system's randomness."""
        return cls(alg, secrets.token_bytes(algorithm(alg).seed_bytes))

    @classmethod
    def from_seed(cls, seed: bytes, alg: str = ED25519) -> SigningKey:
        """Return the key of a stored seed (Ed25519: 32 bytes)."""
        return cls(alg, seed)

    @property
    def alg(self) -> str:
        """Name of the algorithm."""
        return self._public.alg

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    @property
    def seed(self) -> bytes:
        """The secret seed: for the vault only."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """Signature over exactly these bytes (Ed25519: 64 bytes). The caller prefixes a domain."""
        return algorithm(self.alg).sign(self._seed, message)

    def __repr__(self) -> str:
        return f"SigningKey({self.alg}, {self._public.id})"
