"""Hedged nonces: secret bytes for a proof, safe against bad randomness and against a cloned machine.

    PRK   = HMAC-SHA-512(key = "hedui/nonce/v1", data = secret ‖ fresh ‖ transcript)       (HKDF-Extract)
    nonce = HKDF-Expand(PRK, info = "hedui/nonce/v1" ‖ u32 big-endian length, length)      (HKDF with SHA-512)

``‖`` length-prefixes every field (``protocols.encoding``); ``fresh`` is 32 bytes of the system's randomness.

Why three inputs. With ``secret``, a broken or repeated random source still gives bytes that nobody else can
guess. With ``transcript``, the whole statement that the nonce is for, two machines cloned with the same
secret *and* the same random state use the same nonce only for the same statement, where the response is the
same too: two responses to two challenges under one nonce, which would reveal the key, cannot arise. With
``fresh``, two proofs of one statement have unrelated nonces, so a fault in one of them cannot be compared
with the other. So the transcript must hold every value that the challenge depends on, except those computed
from the nonce.
A scalar modulo q is drawn as nonce mod q with ``length`` at least 16 bytes longer than q (bias at most
2^-128); 64 bytes suit a group of order below 2^384.
Sources: RFC 5869; draft-irtf-cfrg-det-sigs-with-noise; RFC 9380 section 5 for the bias.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from protocols.encoding import fields
from protocols.errors import EncodingError

DOMAIN = b"hedui/nonce/v1"
FRESH_BYTES = 32
MIN_SECRET_BYTES = 16
MAX_NONCE_BYTES = 255 * 64
"""RFC 5869 section 2.3: at most 255 blocks of the hash."""


def hedged_nonce(secret: bytes, transcript: bytes, *, length: int = 64, fresh: bytes | None = None) -> bytes:
    """Secret bytes that only a holder of ``secret`` and of this call's randomness could compute.

    Args:
        secret: the long-term secret of the proof, at least 16 bytes, fixed encoding.
        transcript: everything the challenge depends on, in an unambiguous encoding.
        length: bytes wanted, 1 to 16,320. Different lengths give unrelated bytes.
        fresh: 32 random bytes; drawn here when None. Passed in only by tests and vectors.

    Returns:
        ``length`` bytes; never to be stored, sent or used twice.

    Raises:
        EncodingError: a length outside the bounds above.
    """
    if fresh is None:
        fresh = secrets.token_bytes(FRESH_BYTES)
    if len(fresh) != FRESH_BYTES:
        raise EncodingError(f"a nonce needs {FRESH_BYTES} fresh random bytes, got {len(fresh)}")
    if len(secret) < MIN_SECRET_BYTES:
        raise EncodingError(f"a nonce's secret has at least {MIN_SECRET_BYTES} bytes, got {len(secret)}")
    if not 1 <= length <= MAX_NONCE_BYTES:
        raise EncodingError(f"a nonce has 1 to {MAX_NONCE_BYTES} bytes, {length} were asked for")
    key = hmac.digest(DOMAIN, fields(secret, fresh, transcript), "sha512")
    info = fields(DOMAIN, length.to_bytes(4, "big"))
    blocks: list[bytes] = []
    block = b""
    for counter in range(1, -(-length // hashlib.sha512().digest_size) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha512")
        blocks.append(block)
    return b"".join(blocks)[:length]
