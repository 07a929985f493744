"""Fixed byte layouts shared by every protocol.

``‖`` in the formulas of this package means: concatenation of fields, each prefixed with its length as an
unsigned 32-bit big-endian integer, so that no two different lists of fields have the same bytes.
A salted commitment is SHA-256(salt ‖ …) with 32 random bytes of salt: nobody without the salt can test a
guess.
"""

from __future__ import annotations

import hashlib
import re

from protocols.errors import EncodingError

SALT_BYTES = 32
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def fields(*parts: bytes) -> bytes:
    """Concatenate ``parts``, each prefixed with its length as u32 big-endian.

    Raises:
        EncodingError: a part is 2^32 bytes or longer.
    """
    chunks: list[bytes] = []
    for part in parts:
        if len(part) >= 1 << 32:
            raise EncodingError("a field must be shorter than 4 GiB: split it")
        chunks.append(len(part).to_bytes(4, "big"))
        chunks.append(part)
    return b"".join(chunks)


def commit(salt: bytes, *parts: bytes) -> bytes:
    """Salted commitment SHA-256(salt ‖ parts…), 32 bytes.

    Args:
        salt: 32 fresh random bytes, kept by the party that may open the commitment.
        parts: the committed fields, in order.

    Raises:
        EncodingError: the salt is not 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise EncodingError(f"a commitment needs a salt of {SALT_BYTES} bytes, got {len(salt)}")
    return hashlib.sha256(fields(salt, *parts)).digest()


def from_hex(text: object) -> bytes:
    """Bytes of lower-case hex, the only form hashed documents use.

    Raises:
        EncodingError: anything else: upper case, spaces, odd length, no text.
    """
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise EncodingError("a value is not lower-case hex: send the document as it was made")
    return bytes.fromhex(text)


def whole(value: object) -> int:
    """A JSON integer that is not negative.

    Raises:
        EncodingError: anything else, a text or a truth value among them.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise EncodingError("a value is not a whole number: send the document as it was made")
    return value
