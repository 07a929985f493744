"""The Merkle tree of RFC 6962: hashes, roots, inclusion and consistency proofs.

    leaf(d)        = SHA-256(0x00 ‖ d)
    node(l, r)     = SHA-256(0x01 ‖ l ‖ r)
    MTH({})        = SHA-256("")
    MTH(D[0:n])    = node(MTH(D[0:k]), MTH(D[k:n])),  k the largest power of two below n

Proofs are built from a ``HashSource``, which knows the roots of complete subtrees: ``hash(level, index)``
is the root over the 2^level leaves from index · 2^level on. Any tree and any older size of it can be served
from there.

Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 and raises; it never returns a bool. Every hash
is 32 bytes; sizes and indices count leaves. A proof from the empty tree is empty, as in
c2sp.org/tlog-witness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from typing_extensions import override

from ledger.errors import MerkleError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""

MAX_PATH = 63
"""Longest proof that a tree of fewer than 2^63 leaves can need."""


class HashSource(Protocol):
    """Roots of complete subtrees of one tree."""

    def hash(self, level: int, index: int) -> bytes:
        """Root (32 bytes) over the 2^level leaves from ``index`` · 2^level on; all of them exist.

        Raises:
            MerkleError: the subtree is not complete in this source.
        """
        ...


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data), 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from(size: int, source: HashSource) -> bytes:
    """Root of the first ``size`` leaves of ``source``.

    Raises:
        MerkleError: a negative size, or one beyond the source.
    """
    if size < 0:
        raise MerkleError("a tree size is never negative")
    if size == 0:
        return EMPTY_ROOT
    return _range_root(0, size, source)


def inclusion_path(index: int, size: int, source: HashSource) -> list[bytes]:
    """Inclusion proof of leaf ``index`` in the tree of ``size``, from its sibling upwards (RFC 6962, 2.1.1).

    Raises:
        MerkleError: not 0 <= index < size, or the source does not reach that far.
    """
    if not 0 <= index < size:
        raise MerkleError(f"no leaf {index} in a tree of {size}")
    begin, end = 0, size
    path: list[bytes] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_root(middle, end, source))
            end = middle
        else:
            path.append(_range_root(begin, middle, source))
            begin = middle
    path.reverse()
    return path


def consistency_path(old: int, new: int, source: HashSource) -> list[bytes]:
    """Consistency proof from the tree of ``old`` leaves to the tree of ``new`` (RFC 6962, 2.1.2).

    Raises:
        MerkleError: not 0 <= old <= new, or the source does not reach that far.
    """
    if not 0 <= old <= new:
        raise MerkleError(f"no consistency proof from {old} to {new} leaves")
    if old == 0:
        return []
    begin, end = 0, new
    path: list[bytes] = []
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_range_root(middle, end, source))
            end = middle
        else:
            path.append(_range_root(begin, middle, source))
            begin = middle
    if begin > 0:
        path.append(_range_root(begin, end, source))
    path.reverse()
    return path


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash ``leaf`` is number ``index`` of the tree of ``size`` with ``root``.

    Raises:
        MerkleError: it is not, or an argument is out of range.
    """
    _check_hashes((leaf, root, *path))
    if not 0 <= index < size:
        raise MerkleError(f"no leaf {index} in a tree of {size}")
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise MerkleError("the inclusion proof is too long")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            node, last = _skip_to_odd(node, last)
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise MerkleError("the inclusion proof is too short")
    if value != root:
        raise MerkleError("the inclusion proof leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree (``new``, ``new_root``) extends the tree (``old``, ``old_root``).

    Raises:
        MerkleError: it does not, or an argument is out of range.
    """
    _check_hashes((old_root, new_root, *path))
    if not 0 <= old <= new:
        raise MerkleError(f"a tree of {new} leaves cannot extend one of {old}")
    if old == 0:
        _check_from_empty(new, old_root, new_root, path)
    elif old == new:
        if path or old_root != new_root:
            raise MerkleError("two trees of one size need equal roots and an empty proof")
    else:
        _check_consistency(old, new, old_root, new_root, path)


def _check_from_empty(new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    if path:
        raise MerkleError("a proof from the empty tree is empty")
    if old_root != EMPTY_ROOT or (new == 0 and new_root != EMPTY_ROOT):
        raise MerkleError("the empty tree has another root")


def _check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    nodes = list(path)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        raise MerkleError("the consistency proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    older, newer = _climb(node, last, nodes)
    if older != old_root or newer != new_root:
        raise MerkleError("the consistency proof leads to other roots: the trees do not extend one another")


def _climb(node: int, last: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to, from the first shared subtree upwards."""
    older = newer = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            raise MerkleError("the consistency proof is too long")
        if node & 1 or node == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            node, last = _skip_to_odd(node, last)
        else:
            newer = node_hash(newer, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise MerkleError("the consistency proof is too short")
    return older, newer


class MemoryTree(HashSource):
    """A whole tree in memory: 64 bytes per leaf. Serves proofs for every size it has had."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add the leaf with hash ``leaf`` (32 bytes, see ``leaf_hash``)."""
        self._levels[0].append(leaf)
        level = 0
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            left, right = self._levels[level][-2:]
            self._levels[level + 1].append(node_hash(left, right))
            level += 1

    @override
    def hash(self, level: int, index: int) -> bytes:
        if not 0 <= level < len(self._levels) or not 0 <= index < len(self._levels[level]):
            raise MerkleError(f"the subtree {index} of level {level} is not complete")
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first ``size`` leaves, all of them when not given."""
        return root_from(self.size if size is None else size, self)


class RootStream:
    """The root of a growing tree in O(log n) memory: the roots of its complete subtrees, largest first."""

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []

    @property
    def size(self) -> int:
        """Number of leaves so far."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the leaf with hash ``leaf`` (32 bytes, see ``leaf_hash``)."""
        carry = leaf
        bits = self._size
        while bits & 1:
            carry = node_hash(self._peaks.pop(), carry)
            bits >>= 1
        self._peaks.append(carry)
        self._size += 1

    def root(self) -> bytes:
        """Root of the leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        return _fold(self._peaks)


def _split(size: int) -> int:
    """Largest power of two below ``size``, for size > 1."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_root(begin: int, end: int, source: HashSource) -> bytes:
    """Root over leaves begin..end-1; begin is a multiple of the smallest power of two >= end - begin."""
    peaks: list[bytes] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        peaks.append(source.hash(level, begin >> level))
        begin += 1 << level
    return _fold(peaks)


def _fold(peaks: Sequence[bytes]) -> bytes:
    value = peaks[-1]
    for peak in reversed(peaks[:-1]):
        value = node_hash(peak, value)
    return value


def _skip_to_odd(node: int, last: int) -> tuple[int, int]:
    """Climb over the levels where the node is the last one and has no sibling."""
    while node != 0 and not node & 1:
        node >>= 1
        last >>= 1
    return node, last


def _check_hashes(values: Iterable[bytes]) -> None:
    for value in values:
        if len(value) != HASH_BYTES:
            raise MerkleError(f"a hash of this tree has {HASH_BYTES} bytes, not {len(value)}")
