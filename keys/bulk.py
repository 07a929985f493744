"""Fast verification of many Ed25519 signatures: libsodium may accept one, only ``keys.signing`` rejects.

``keys.signing`` decides what a valid signature is: OpenSSL through the cryptography library, which compares
the encoding of s·B − H(R ‖ A ‖ message)·A with R byte for byte, without cofactor, for s < L. libsodium
1.0.18, which the package ``rbcl`` carries, computes the same in less than half the time and also refuses an R
of small order, which OpenSSL accepts. So every signature that libsodium accepts is valid, and one that it
does not accept is verified by ``keys.signing``, whose result counts. Whether a log is valid therefore does
not depend on the library that a verifier uses.

Later releases of libsodium multiply by the cofactor and would accept more than OpenSSL. ``fast_library``
therefore uses the library only if it is release 1.0.18 and refuses ``COFACTORED``, a signature of that kind.
Where the library cannot be loaded (``rbcl`` is absent, or the temporary folder is mounted noexec), OpenSSL
verifies every signature.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from keys.errors import KeysError
from keys.signing import ALGORITHMS, ED25519, PublicKey

Accepts: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""(raw public key, message, signature) → whether the library accepts them; lengths are already checked."""

RELEASE = b"1.0.18"
COFACTORED = (
    bytes.fromhex("16b981d0b88cdf3ab9fa87190822fe4905b475efda3aec7c34abfa92c19320f4"),
    b"hedui cofactor 0",
    bytes.fromhex(
        "1337036ac32d8f30d4589c3c1c595812ce0fff40e37c6f5a97ab213f318290ad"
        "56afb8a4772b3bfe0c6ad7bf87b29e430bcbbe853a97789c23a0ef74b3ba980c"
    ),
)
"""Public key, message, signature: valid with cofactor only. Made by ``tests/keys/ed25519_points.py``."""

_KEYS = 4096


def verify(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Check one signature of many; the results are those of ``PublicKey.verify``.

    Raises:
        BadSignatureError: it is not this key's signature over exactly these bytes.
    """
    accepts = fast_library()
    is_usual = key.alg == ED25519 and len(signature) == ALGORITHMS[ED25519].signature_bytes
    if accepts is None or not is_usual or not accepts(key.raw, message, signature):
        key.verify(message, signature)


@functools.lru_cache(maxsize=_KEYS)
def public_key(raw: bytes) -> PublicKey:
    """The Ed25519 key with these 32 bytes; cached, so that a key is checked once.

    Raises:
        MalformedKeyError: as ``PublicKey``.
    """
    return PublicKey(ED25519, raw)


def is_valid(raw: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature verifies under a raw Ed25519 key.

    For callers that check a rejected signature again by a function that raises.
    """
    try:
        verify(public_key(raw), message, signature)
    except KeysError:
        return False
    return True


@functools.cache
def fast_library() -> Accepts | None:
    """libsodium's verification, loaded once; None if it cannot be loaded or is another release."""
    try:
        library = importlib.import_module("rbcl.rbcl")._sodium  # noqa: SLF001 - rbcl has no public name for it
    except ImportError:
        return None
    except OSError as error:
        _remove_leftover(error)
        return None
    path, handle = library._name, library._handle  # noqa: SLF001 - documented by ctypes under these names
    with contextlib.suppress(OSError):
        Path(path).unlink(missing_ok=True)
    accepts = _bind(ctypes.CDLL(path, handle=handle))
    if accepts is None or accepts(*COFACTORED):
        return None
    return accepts


def _remove_leftover(error: OSError) -> None:
    """Remove the file that a failed load left behind; the loader's message starts with its path."""
    path = Path(str(error).partition(": ")[0])
    with contextlib.suppress(OSError):
        if path.suffix == ".so" and str(path.parent) == tempfile.gettempdir():
            path.unlink()


def _bind(library: ctypes.CDLL) -> Accepts | None:
    """The library's function with its types declared, on a handle that no other user shares."""
    try:
        version, verify_detached = library.sodium_version_string, library.crypto_sign_verify_detached
    except AttributeError:
        return None
    version.restype = ctypes.c_char_p
    verify_detached.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p]
    verify_detached.restype = ctypes.c_int
    if version() != RELEASE:
        return None

    def accepts(raw: bytes, message: bytes, signature: bytes) -> bool:
        return bool(verify_detached(signature, message, len(message), raw) == 0)

    return accepts
