"""Messages that only one key holder can decrypt: HPKE base mode (RFC 9180), single shot.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (ids 0x0020, 0x0001, 0x0002).
Layout: enc (32 bytes), ciphertext (as long as the plaintext), tag (16 bytes).
Context: the RFC's ``info`` is "hedui/seal/v1" ‖ info ‖ aad, each prefixed with its length as u32 big-endian,
and the RFC's aad is empty. A single-shot context encrypts one message, so binding our aad in the key schedule
is equivalent to binding it in the AEAD; the library's public interface has no aad.

Guarantees: only the holder of the private key can read a message, and any change of a byte, of ``info`` or of
``aad`` is detected. Not guaranteed: the sender is not authenticated (sign the sealed bytes), and a stolen
private key opens messages that were sealed to it before (rotate it).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from keys.errors import CannotOpenError, MalformedKeyError

X25519 = "x25519"
"""Name of the algorithm beside a member's key of use "seal"."""

KEY_BYTES = 32
OVERHEAD_BYTES = 32 + 16
"""A sealed message is this much longer than its plaintext."""

DOMAIN = b"hedui/seal/v1"


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _context(info: bytes, aad: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in (DOMAIN, info, aad))


def seal(public: bytes, plaintext: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
    """Seal ``plaintext`` to the holder of ``public``; two calls never give the same bytes.

    Args:
        public: raw X25519 public key, 32 bytes.
        plaintext: any length.
        info: kind and purpose of the message; both sides must know it.
        aad: further public bytes to bind.

    Returns:
        ``OVERHEAD_BYTES`` more than the plaintext.

    Raises:
        MalformedKeyError: the key has the wrong length or small order.
    """
    if len(public) != KEY_BYTES:
        raise MalformedKeyError(
            f"a sealing key has {KEY_BYTES} bytes, got {len(public)}: copy it again from its owner"
        )
    try:
        return _suite().encrypt(plaintext, X25519PublicKey.from_public_bytes(public), _context(info, aad))
    except ValueError:
        raise MalformedKeyError("a sealing key has small order: its owner must publish a new one") from None


class SealingKey:
    """A secret X25519 key that opens sealed messages. Its representation never shows the secret."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: X25519PrivateKey) -> None:
        """Wrap a library key; use ``generate`` or ``from_private``."""
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> SealingKey:
        """Draw a new key from the operating system's randomness."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_private(cls, private: bytes) -> SealingKey:
        """Return the key of 32 stored bytes.

        Raises:
            MalformedKeyError: not 32 bytes.
        """
        if len(private) != KEY_BYTES:
            raise MalformedKeyError(
                f"a private sealing key has {KEY_BYTES} bytes, got {len(private)}: restore it from its backup"
            )
        return cls(X25519PrivateKey.from_private_bytes(private))

    @property
    def public(self) -> bytes:
        """Raw public key, 32 bytes."""
        return self._public

    @property
    def private(self) -> bytes:
        """Raw private key, 32 bytes: for the vault only."""
        return self._key.private_bytes_raw()

    def open(self, sealed: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
        """Plaintext of a message sealed to this key under the same ``info`` and ``aad``.

        Raises:
            CannotOpenError: any of the three differs, or the bytes were changed or cut short; which of
                these is not disclosed.
        """
        try:
            return _suite().decrypt(sealed, self._key, _context(info, aad))
        except (InvalidTag, ValueError):
            raise CannotOpenError(
                "a sealed message does not open: it is for another key or purpose, or was changed; "
                "ask the sender to seal it again to the current key"
            ) from None

    def __repr__(self) -> str:
        return f"SealingKey({self._public.hex()})"
