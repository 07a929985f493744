"""The group ristretto255 (RFC 9496) behind batch calls; the only module that knows which library computes it.

Points are canonical 32-byte encodings. Scalars are ``int`` in 0 … L-1 inside Python and 32 bytes
little-endian at the edge, L = 2^252 + 27742317777372353535851937790883648493. G is the generator.

    hash_to_group(m)   from_hash(expand_message_xmd(SHA-512, m, dst, 64))          RFC 9380, RFC 9496 §4.3.4
    hash_to_scalar(m)  little-endian(expand_message_xmd(SHA-512, m, dst, 64)) mod L          RFC 9497 §4.1

Every call takes a batch, so that a vectorised kernel can take this module's place. The library runs in
constant time in its scalars and releases the interpreter lock; Python integers are not constant-time, so
secret scalars are only added, multiplied mod L, or converted here, never used in a branch but the test for 0.
The identity, 32 zero bytes, is no valid point for a caller: inputs that are the identity are refused, and no
function but ``add``, ``subtract`` and ``sum_of_products`` can return it.
"""

from __future__ import annotations

import ctypes
import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence

from protocols.errors import GroupError
from protocols.psi import native

POINT_BYTES = 32
SCALAR_BYTES = 32
ORDER = (1 << 252) + 27742317777372353535851937790883648493
"""L, the prime order of the group."""

GENERATOR = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
"""G, RFC 9496 appendix A.1."""

IDENTITY = bytes(POINT_BYTES)

_UNIFORM_BYTES = 64
_BLOCK = hashlib.sha512().block_size


def scalar_to_bytes(scalar: int) -> bytes:
    """Encode a scalar in 0 … L-1 as 32 bytes little-endian.

    Raises:
        GroupError: the scalar is out of that range.
    """
    if not 0 <= scalar < ORDER:
        raise GroupError("a scalar is not reduced: pass a value of 0 to L-1")
    return scalar.to_bytes(SCALAR_BYTES, "little")


def scalar_from_bytes(data: bytes) -> int:
    """Decode a scalar in 0 … L-1 from exactly 32 canonical bytes.

    Raises:
        GroupError: wrong length or not reduced.
    """
    if len(data) != SCALAR_BYTES:
        raise GroupError(
            f"a scalar has {SCALAR_BYTES} bytes, got {len(data)}: ask the sender to encode it again"
        )
    scalar = int.from_bytes(data, "little")
    if scalar >= ORDER:
        raise GroupError("a scalar is not reduced: ask the sender to encode it again")
    return scalar


def check_scalar(scalar: int) -> int:
    """Return a secret or blinding scalar unchanged if it is in 1 … L-1.

    Raises:
        GroupError: zero or out of range.
    """
    if not 0 < scalar < ORDER:
        raise GroupError("a scalar is zero or not reduced: draw a new one")
    return scalar


def check_points(points: Iterable[bytes]) -> None:
    """Check that each point has 32 bytes, is canonically encoded and is not the identity.

    Raises:
        GroupError: naming the position of the first bad point; the whole batch is to be refused.
    """
    is_valid = native.load().is_valid
    for index, point in enumerate(points):
        if not _has_form(point) or point == IDENTITY or is_valid(point) != 1:
            raise _bad_point(index)


def random_scalar() -> int:
    """Draw a uniform scalar in 1 … L-1 from the system's generator."""
    return 1 + secrets.randbelow(ORDER - 1)


def invert(scalar: int) -> int:
    """1 / scalar mod L, in constant time.

    Raises:
        GroupError: zero or out of range.
    """
    data = scalar_to_bytes(check_scalar(scalar))
    out = ctypes.create_string_buffer(SCALAR_BYTES)
    native.load().invert(ctypes.addressof(out), data)
    return int.from_bytes(out.raw, "little")


def expand_message(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd with SHA-512 and 64 bytes of output (RFC 9380 §5.3.1).

    Raises:
        GroupError: the domain separation tag is empty or longer than 255 bytes.
    """
    return _expander(dst)(message)


def hash_to_group(messages: Iterable[bytes], dst: bytes) -> list[bytes]:
    """Map each message to a point of unknown discrete logarithm; about 15 µs each.

    Raises:
        GroupError: a bad ``dst``, or a message that maps to the identity (probability 2^-252).
    """
    expand, from_hash = _expander(dst), native.load().from_hash
    out = ctypes.create_string_buffer(POINT_BYTES)
    address = ctypes.addressof(out)
    points: list[bytes] = []
    for message in messages:
        from_hash(address, expand(message))
        points.append(out.raw)
    if IDENTITY in points:
        raise GroupError("a message maps to the identity: it cannot be used as an input")
    return points


def hash_to_scalar(message: bytes, dst: bytes) -> int:
    """Map a message to a scalar in 0 … L-1 (RFC 9497 §4.1).

    Raises:
        GroupError: a bad ``dst``.
    """
    return int.from_bytes(expand_message(message, dst), "little") % ORDER


def multiply(scalar: int, points: Sequence[bytes]) -> list[bytes]:
    """scalar·P for each point P; about 44 µs each.

    Raises:
        GroupError: a zero scalar, or a point that ``check_points`` would refuse.
    """
    data = scalar_to_bytes(check_scalar(scalar))
    return _pairwise(native.load().multiply, [data] * len(points), points)


def multiply_each(scalars: Sequence[int], points: Sequence[bytes]) -> list[bytes]:
    """s_i·P_i for each pair.

    Raises:
        GroupError: different lengths, a zero scalar, or a point that ``check_points`` would refuse.
    """
    return _pairwise(native.load().multiply, [scalar_to_bytes(check_scalar(s)) for s in scalars], points)


def multiply_base(scalars: Iterable[int]) -> list[bytes]:
    """s_i·G for each scalar.

    Raises:
        GroupError: a scalar is zero or not reduced.
    """
    multiply_generator = native.load().multiply_base
    out = ctypes.create_string_buffer(POINT_BYTES)
    address = ctypes.addressof(out)
    points: list[bytes] = []
    for scalar in scalars:
        multiply_generator(address, scalar_to_bytes(check_scalar(scalar)))
        points.append(out.raw)
    return points


def add(left: Sequence[bytes], right: Sequence[bytes]) -> list[bytes]:
    """P_i + Q_i for each pair; a sum may be the identity, and so may an input.

    Raises:
        GroupError: different lengths, or an encoding that is not canonical.
    """
    return _pairwise(native.load().add, left, right)


def subtract(left: Sequence[bytes], right: Sequence[bytes]) -> list[bytes]:
    """P_i - Q_i for each pair; a difference may be the identity, and so may an input.

    Raises:
        GroupError: different lengths, or an encoding that is not canonical.
    """
    return _pairwise(native.load().subtract, left, right)


def sum_of_products(scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
    """Σ s_i·P_i; scalars may be 0, the sum may be the identity, an empty sum is.

    Meant for public scalars: a zero is skipped.

    Raises:
        GroupError: different lengths, a scalar not reduced, or a point that ``check_points`` would refuse.
    """
    if len(scalars) != len(points):
        raise GroupError(f"{len(scalars)} scalars for {len(points)} points: pass one per point")
    check_points(point for scalar, point in zip(scalars, points, strict=True) if scalar == 0)
    used = [index for index, scalar in enumerate(scalars) if scalar != 0]
    products = multiply_each([scalars[index] for index in used], [points[index] for index in used])
    total = IDENTITY
    addition = native.load().add
    out = ctypes.create_string_buffer(POINT_BYTES)
    address = ctypes.addressof(out)
    for product in products:
        addition(address, total, product)
        total = out.raw
    return total


def _pairwise(
    function: Callable[[int, bytes, bytes], int], left: Sequence[bytes], right: Sequence[bytes]
) -> list[bytes]:
    """Apply a two-input C function to each pair of 32-byte strings."""
    if len(left) != len(right):
        raise GroupError(f"two batches of {len(left)} and {len(right)}: pass equal lengths")
    out = ctypes.create_string_buffer(POINT_BYTES)
    address = ctypes.addressof(out)
    results: list[bytes] = []
    for index, (first, second) in enumerate(zip(left, right, strict=True)):
        if not _has_form(first) or not _has_form(second) or function(address, first, second) != 0:
            raise _bad_point(index)
        results.append(out.raw)
    return results


def _has_form(data: bytes) -> bool:
    """Whether C may read this as a point or scalar: 32 bytes, highest bit clear.

    libsodium 1.0.18 ignores the highest bit of a point, so that each would have a second encoding; RFC 9496
    §4.3.1 refuses it, and 1.0.19 does.
    """
    return len(data) == POINT_BYTES and data[-1] < 0x80


def _expander(dst: bytes) -> Callable[[bytes], bytes]:
    """expand_message_xmd for one tag and 64 bytes, one block of SHA-512: b_0 and b_1 of RFC 9380 §5.3.1."""
    if not 0 < len(dst) <= 255:
        raise GroupError(f"a domain separation tag has 1 to 255 bytes, got {len(dst)}: shorten it")
    dst_prime = dst + bytes([len(dst)])
    padded = hashlib.sha512(bytes(_BLOCK))
    zero_suffix = _UNIFORM_BYTES.to_bytes(2, "big") + b"\x00" + dst_prime
    one_suffix = b"\x01" + dst_prime

    def expand(message: bytes) -> bytes:
        state = padded.copy()
        state.update(message + zero_suffix)
        return hashlib.sha512(state.digest() + one_suffix).digest()

    return expand


def _bad_point(index: int) -> GroupError:
    return GroupError(
        f"point {index} is not a canonical, non-identity element of {POINT_BYTES} bytes: refuse the whole "
        "batch and ask the sender to make it again"
    )
