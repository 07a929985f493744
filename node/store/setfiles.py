"""Files of a published set: tags, ciphertexts and the Merkle tree, read through memory maps.

    tags.bin          an 8-byte big-endian tag for each leaf, ascending, sentinels included
    ciphertexts.bin   amount sets: a ciphertext of fixed width for each leaf, in the same order
    tree.bin          hashes of complete subtrees: all of level 0 (leaves), then level 1, …; 32 bytes each
    set.json          dataset, publication, kind, widths, count, root

A set is written in one pass over the leaves with bounded memory. A tag is found by bisection; a proof reads
O(log n) hashes.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from ledger import merkle
from node.errors import StoreError
from node.home import write_file
from protocols.profiles import TAG_BYTES
from protocols.psi.publication import AbsenceProof, MatchProof

HASH = 32
SET_FILE = "set.json"
"""Written last: a folder that holds it holds a whole set."""


@dataclass(frozen=True)
class SetFacts:
    """Contents of ``set.json``.

    Attributes:
        dataset, publication, kind: as on the ledger.
        ciphertext_bytes: width of a ciphertext; 0 for a member set.
        count: number of leaves.
        root: Merkle root in hex.
    """

    dataset: str
    publication: str
    kind: str
    ciphertext_bytes: int
    count: int
    root: str


def write_set(folder: Path, dataset: str, publication: str, kind: str, leaves: Iterable[bytes]) -> SetFacts:
    """Write a set from its leaves in order.

    Args:
        folder: the set's folder; created if it is missing.
        dataset, publication, kind: as on the ledger.
        leaves: tag, or tag ‖ ciphertext; all of one width.

    Returns:
        The set's facts, root included.

    Raises:
        StoreError: leaves of different widths, or no leaf.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count, width = 0, 0
    with (
        (folder / "tags.bin").open("wb") as tags,
        (folder / "ciphertexts.bin").open("wb") as ciphertexts,
        (folder / "tree.bin").open("wb") as tree,
    ):
        for leaf in leaves:
            if count and len(leaf) != width:
                raise StoreError("the leaves of a set must all have one width")
            width = len(leaf)
            tags.write(leaf[:TAG_BYTES])
            ciphertexts.write(leaf[TAG_BYTES:])
            tree.write(merkle.leaf_hash(leaf))
            count += 1
    if not count:
        raise StoreError("a set without leaves cannot be published")
    _write_upper_levels(folder / "tree.bin", count)
    with (
        (folder / "tree.bin").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        root = merkle.root_from(count, TreeFile(view, count))
    facts = SetFacts(dataset, publication, kind, width - TAG_BYTES, count, root.hex())
    write_file(folder / SET_FILE, json.dumps(asdict(facts), indent=1).encode())
    return facts


def _write_upper_levels(path: Path, count: int) -> None:
    """Append each level above the leaves to the tree file, computed from the level below."""
    offset, size = 0, count
    with path.open("r+b") as file:
        while size > 1:
            _append_level(file, offset, size)
            offset += size * HASH
            size //= 2


def _append_level(file: BinaryIO, offset: int, size: int) -> None:
    """Append the parents of ``size`` hashes that start at ``offset``."""
    pairs = size // 2
    step = 4096
    for start in range(0, pairs, step):
        file.seek(offset + start * 2 * HASH)
        block = file.read(min(step, pairs - start) * 2 * HASH)
        parents = b"".join(
            merkle.node_hash(block[at : at + HASH], block[at + HASH : at + 2 * HASH])
            for at in range(0, len(block), 2 * HASH)
        )
        file.seek(offset + size * HASH + start * HASH)
        file.write(parents)


class TreeFile:
    """Hashes of complete subtrees, read from a mapped ``tree.bin``."""

    def __init__(self, view: mmap.mmap, count: int) -> None:
        """Args: ``view``, the mapped file, and ``count``, the number of leaves."""
        self._view = view
        self._offsets = [0]
        size = count
        while size > 1:
            self._offsets.append(self._offsets[-1] + size * HASH)
            size //= 2

    def hash(self, level: int, index: int) -> bytes:
        """Root of the complete subtree of 2^level leaves at ``index``."""
        at = self._offsets[level] + index * HASH
        return self._view[at : at + HASH]


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a set with files of the right sizes; their contents are not read."""
    try:
        _whole(folder)
    except (OSError, ValueError, TypeError):
        return False
    return True


def _whole(folder: Path) -> SetFacts:
    """Read the facts of the set in a folder, and check that its files have the sizes that follow from them.

    Raises:
        OSError, ValueError, TypeError: the set is not whole.
    """
    facts = SetFacts(**json.loads((folder / SET_FILE).read_text()))
    hashes, size = 0, facts.count
    while size:
        hashes, size = hashes + size, size // 2
    for name, width in (
        ("tags.bin", facts.count * TAG_BYTES),
        ("ciphertexts.bin", facts.count * facts.ciphertext_bytes),
        ("tree.bin", hashes * HASH),
    ):
        if width and (folder / name).stat().st_size != width:
            raise ValueError(f"{name} has another size than {width}")
    return facts


class PublishedSet:
    """A set on disk, open for look-ups and proofs. Safe for several threads; close it after use."""

    def __init__(self, folder: Path) -> None:
        """Open the set in ``folder``.

        Raises:
            StoreError: the folder holds no whole set.
        """
        try:
            self.facts = _whole(folder)
            self._tags = _map(folder / "tags.bin")
            self._tree_view = _map(folder / "tree.bin")
            self._ciphertexts = _map(folder / "ciphertexts.bin") if self.facts.ciphertext_bytes else None
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{folder} holds no whole set: publish or download it again") from error
        self._tree = TreeFile(self._tree_view, self.facts.count)

    def close(self) -> None:
        """Unmap the files."""
        for view in (self._tags, self._tree_view, self._ciphertexts):
            if view is not None:
                view.close()

    def tag(self, index: int) -> int:
        """Tag of a leaf."""
        return int.from_bytes(self._tags[index * TAG_BYTES : (index + 1) * TAG_BYTES], "big")

    def leaf(self, index: int) -> bytes:
        """Bytes of a leaf."""
        tag = self._tags[index * TAG_BYTES : (index + 1) * TAG_BYTES]
        if self._ciphertexts is None:
            return tag
        width = self.facts.ciphertext_bytes
        return tag + self._ciphertexts[index * width : (index + 1) * width]

    def position(self, tag: int) -> int:
        """Index of the first leaf whose tag is not below ``tag``."""
        low, high = 0, self.facts.count
        while low < high:
            middle = (low + high) // 2
            if self.tag(middle) < tag:
                low = middle + 1
            else:
                high = middle
        return low

    def look_up(self, tag: int) -> MatchProof | AbsenceProof:
        """Prove that a tag is in the set, or that two neighbouring leaves exclude it."""
        at = self.position(tag)
        if at < self.facts.count and self.tag(at) == tag:
            return self._inclusion(at)
        return AbsenceProof(self._inclusion(at - 1), self._inclusion(at))

    def _inclusion(self, index: int) -> MatchProof:
        """A leaf with its path."""
        path = merkle.inclusion_path(index, self.facts.count, self._tree)
        return MatchProof(index, self.leaf(index), tuple(path))


def _map(path: Path) -> mmap.mmap:
    """A file mapped for reading."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
