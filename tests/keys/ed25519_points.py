"""Ed25519's curve in plain Python (RFC 8032 section 5.1, affine, slow), for signatures no library makes."""

from __future__ import annotations

import hashlib

P = 2**255 - 19
ORDER = (1 << 252) + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def recover(y: int, sign: int) -> Point:
    """The point with this y and this lowest bit of x."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (P - x if x % 2 != sign else x, y)


BASE = recover(4 * pow(5, -1, P) % P, 0)
EIGHT = recover(0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826, 0)
"""A point of order 8."""


def add(left: Point, right: Point) -> Point:
    """left + right."""
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def multiply(scalar: int, point: Point) -> Point:
    """scalar · point."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def encode(point: Point) -> bytes:
    """32 bytes, RFC 8032 section 5.1.2."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    """H(R ‖ A ‖ message) mod L."""
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER


def cofactored_only(message: bytes, secret: int = 7, nonce: int = 11) -> tuple[bytes, bytes]:
    """(public key, signature) with 8·s·B = 8·R + 8·h·A, and s·B ≠ R + h·A where 8 does not divide h.

    The public key is secret·B plus a point of order 8.
    """
    public = encode(add(multiply(secret, BASE), EIGHT))
    r = encode(multiply(nonce, BASE))
    h = challenge(r, public, message)
    return public, r + ((nonce + h * secret) % ORDER).to_bytes(32, "little")
