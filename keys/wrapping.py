"""A key encrypted under a passphrase: the header of a vault and of a sealed file.

    {"format": …, "kdf": "scrypt", "n": …, "r": …, "p": …, "salt": hex, "key": nonce ‖ wrapped key, hex}

wrapping key = scrypt(passphrase, salt; n, r, p), RFC 7914, 32 bytes. The wrapped key is 32 random bytes under
AES-256-GCM with the rest of the head as associated data, so a changed cost or salt does not open. The cost is
a named profile; the head records its numbers, so a higher default leaves older files readable. A head is
accepted only in exactly the bytes that ``wrap`` writes: one line of JSON, names sorted.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys.errors import SealedHeaderDamagedError, WrongPassphraseError

NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32
SALT_BYTES = 32
MAX_HEAD_BYTES = 4096
MAX_LOG_N, MAX_R, MAX_P = 20, 16, 16


@dataclass(frozen=True)
class ScryptProfile:
    """Cost of one passphrase guess: memory is 128·n·r bytes, time grows with n·r·p (RFC 7914 section 2)."""

    n: int
    r: int
    p: int

    def acceptable(self) -> bool:
        """Whether a head may ask for this: n a power of two of at most 2^20, r and p at most 16 (2 GiB)."""
        power = self.n > 1 and self.n & (self.n - 1) == 0
        return power and self.n <= 1 << MAX_LOG_N and 1 <= self.r <= MAX_R and 1 <= self.p <= MAX_P


STANDARD = ScryptProfile(n=1 << 17, r=8, p=1)
"""OWASP Password Storage Cheat Sheet, scrypt: 128 MiB, some 0.4 s a guess."""

FAST_TEST = ScryptProfile(n=1 << 4, r=8, p=1)
"""For tests only: no protection against guessing."""


def wrap(kind: str, passphrase: bytes, profile: ScryptProfile, key: bytes) -> bytes:
    """The head that holds ``key`` (32 bytes) under a passphrase; one line, with its line feed.

    Args:
        kind: format name; a head of one kind does not open as another.
        passphrase: at least one byte.
        profile: cost of a guess.
        key: what is wrapped.
    """
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    head = _bound(kind, profile, salt)
    wrapped = AESGCM(_wrapping_key(passphrase, salt, profile)).encrypt(nonce, key, _dump(head))
    return _dump({**head, "key": (nonce + wrapped).hex()}) + b"\n"


def unwrap(kind: str, data: bytes, passphrase: bytes) -> bytes:
    """The key of a head.

    Raises:
        SealedHeaderDamagedError: not a head of this kind as ``wrap`` writes it.
        WrongPassphraseError: the passphrase does not open it, or its cost, salt or key was replaced by
            another well-formed one.
    """
    profile, salt, wrapped = _parse(kind, data)
    cipher = AESGCM(_wrapping_key(passphrase, salt, profile))
    try:
        return cipher.decrypt(
            wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _dump(_bound(kind, profile, salt))
        )
    except InvalidTag:
        raise WrongPassphraseError(
            "the passphrase does not open this: give the one it was made with"
        ) from None


def _wrapping_key(passphrase: bytes, salt: bytes, profile: ScryptProfile) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=profile.n, r=profile.r, p=profile.p).derive(passphrase)


def _bound(kind: str, profile: ScryptProfile, salt: bytes) -> dict[str, str | int]:
    return {"format": kind, "kdf": "scrypt", **asdict(profile), "salt": salt.hex()}


def _dump(head: dict[str, str | int]) -> bytes:
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode("ascii")


def _parse(kind: str, data: bytes) -> tuple[ScryptProfile, bytes, bytes]:
    """Profile, salt and wrapped key of a head; the head must be what ``wrap`` writes."""
    damaged = SealedHeaderDamagedError("the head is damaged or of another version: take an undamaged copy")
    try:
        head = json.loads(data)
        profile = ScryptProfile(int(head["n"]), int(head["r"]), int(head["p"]))
        salt, wrapped = bytes.fromhex(head["salt"]), bytes.fromhex(head["key"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise damaged from None
    exact = _dump({**_bound(kind, profile, salt), "key": wrapped.hex()}) + b"\n" == data
    sizes = len(salt) == SALT_BYTES and len(wrapped) == NONCE_BYTES + KEY_BYTES + TAG_BYTES
    if not (exact and sizes and profile.acceptable()):
        raise damaged
    return profile, salt, wrapped
