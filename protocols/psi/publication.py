"""A published set: its leaves, the checks every reader makes, and evidence for one line.

Leaves, in strictly ascending order of tags, under one RFC 6962 root:

    member dataset     tag, 8 bytes big-endian
    amount dataset     tag ‖ ciphertext of a fixed width

The set holds the department's rows, dummies and two sentinels, all of one shape:

    dummy tag j    first 8 bytes, big-endian, of HMAC-SHA256(publication secret, fields("dummy", j as u64))
    sentinels      tags 0 and 2^64-1, first and last
    count          padded_rows(rows + 10 dummies + 2 sentinels); the dummies fill it

In an amount dataset the ciphertext of a dummy or sentinel is a valid encryption of 0. Every tag an office can
compute lies between two leaves, so absence is proved by two neighbours. Two equal tags, of rows, dummies or
sentinels, make the department draw a new key. Readers learn the padded count and pseudonymous tags; without
the key k they can tie none to a person, and cannot tell a dummy from a row.

Who checks: auditor and offices run ``SetVerifier`` over the whole download; anyone with the root and count
from the ledger checks a line with ``verify_match`` or ``verify_absence``. A line is worth something only for
a publication whose verification is on the ledger: order and count are checked there, not by a line.
A sentinel can be a neighbour but never a match, so it can never be a term of a total.
"""

from __future__ import annotations

import heapq
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ledger import merkle
from ledger.canonical import Json
from protocols.encoding import fields
from protocols.errors import EvidenceError, PublicationError
from protocols.profiles import MAX_TAG, MIN_DUMMIES, TAG_BYTES, padded_rows

SENTINELS = 2
MIN_SECRET_BYTES = 32

# protocols may import ledger.merkle and not ledger.errors, and merkle does not export the error it raises.
_MERKLE_ERROR: type[Exception] = merkle.MerkleError  # type: ignore[attr-defined]


def encode_leaf(tag: int, ciphertext: bytes = b"") -> bytes:
    """One leaf: the tag in 8 bytes big-endian, then the ciphertext (empty in a member dataset).

    Raises:
        PublicationError: the tag is not in 0 … 2^64-1.
    """
    if not 0 <= tag <= MAX_TAG:
        raise PublicationError("a tag is not in 0 to 2^64-1: compute it again")
    return tag.to_bytes(TAG_BYTES, "big") + ciphertext


def leaf_tag(leaf: bytes) -> int:
    """Return the tag of a leaf.

    Raises:
        PublicationError: the leaf is shorter than a tag.
    """
    if len(leaf) < TAG_BYTES:
        raise PublicationError(
            f"a leaf has {len(leaf)} bytes, fewer than a tag: download the publication again"
        )
    return int.from_bytes(leaf[:TAG_BYTES], "big")


def leaf_ciphertext(leaf: bytes) -> bytes:
    """Return the ciphertext of a leaf, empty in a member dataset."""
    return leaf[TAG_BYTES:]


def dummy_count(rows: int) -> int:
    """Return the number of dummies for ``rows`` rows: 10 or more, up to a padding step.

    Raises:
        PublicationError: a negative number of rows.
    """
    if rows < 0:
        raise PublicationError("a set cannot have a negative number of rows: count them again")
    return padded_rows(rows + MIN_DUMMIES + SENTINELS) - rows - SENTINELS


def dummy_tag(secret: bytes, index: int) -> int:
    """Tag of dummy ``index``: the same for the same secret, so that a killed run resumes to the same root.

    Args:
        secret: the publication secret, at least 32 bytes, fresh for each publication.
        index: 0, 1, …

    Raises:
        PublicationError: the secret is short.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise PublicationError(f"a publication secret has at least {MIN_SECRET_BYTES} bytes: draw a new one")
    digest = hmac.digest(secret, fields(b"dummy", index.to_bytes(8, "big")), "sha256")
    return int.from_bytes(digest[:TAG_BYTES], "big")


def published_leaves(
    secret: bytes,
    rows: Iterable[tuple[int, bytes]],
    row_count: int,
    filler: Callable[[int], bytes] | None = None,
) -> Iterator[bytes]:
    """All leaves of a publication in order: rows merged with dummies and sentinels, as a stream.

    Args:
        secret: the publication secret, at least 32 bytes.
        rows: (tag, ciphertext) in ascending order of tags; ciphertexts empty in a member dataset.
        row_count: how many rows there are; known before, as it decides the number of dummies.
        filler: a deterministic encryption of 0 for the dummy or sentinel of a tag; None in a member dataset.

    Raises:
        PublicationError: two equal tags (draw a new key and secret), rows out of order, another number of
            rows, or ciphertexts of different width.
    """
    fill = filler if filler is not None else _no_ciphertext
    own = sorted([0, MAX_TAG, *(dummy_tag(secret, index) for index in range(dummy_count(row_count)))])
    extra = ((tag, fill(tag)) for tag in own)
    previous: int | None = None
    width, seen = -1, 0
    for tag, ciphertext in heapq.merge(rows, extra, key=_first):
        if tag == previous:
            raise PublicationError(
                "two tags of this publication are equal: draw a new key and secret, and start again"
            )
        if previous is not None and tag < previous:
            raise PublicationError("rows are not in ascending order of tags: sort them first")
        width = len(ciphertext) if width < 0 else width
        if len(ciphertext) != width:
            raise PublicationError(
                f"a ciphertext has {len(ciphertext)} bytes and not {width}: encode to a fixed width"
            )
        previous, seen = tag, seen + 1
        yield encode_leaf(tag, ciphertext)
    if seen != row_count + len(own):
        raise PublicationError(
            f"{seen - len(own)} rows came and {row_count} were announced: count them again"
        )


class SetVerifier:
    """Checks a downloaded publication against the ledger, leaf by leaf, in O(log n) memory.

    Feed all leaves in order, then call ``finish``; nothing is verified before it returns.

    Args:
        count: the padded count on the ledger, sentinels and dummies included.
        root: the RFC 6962 root on the ledger, 32 bytes.
        ciphertext_bytes: width of a ciphertext, 0 in a member dataset.
        check_ciphertexts: called with the ciphertexts of each chunk, raises for a bad one; None for a member
            dataset, and a must in an amount dataset.

    Raises:
        PublicationError: the count is no padding step or too small, or an amount dataset has no check.
    """

    def __init__(
        self,
        count: int,
        root: bytes,
        *,
        ciphertext_bytes: int = 0,
        check_ciphertexts: Callable[[Sequence[bytes]], None] | None = None,
    ) -> None:
        if count < MIN_DUMMIES + SENTINELS or padded_rows(count) != count:
            raise PublicationError(
                f"a count of {count} is no padding step of at least 12 rows: refuse the publication"
            )
        if (ciphertext_bytes > 0) != (check_ciphertexts is not None):
            raise PublicationError(
                "an amount dataset needs a ciphertext check, a member dataset none: pass it so"
            )
        self._count = count
        self._root = root
        self._width = TAG_BYTES + ciphertext_bytes
        self._check = check_ciphertexts
        self._stream = merkle.RootStream()
        self._seen = 0
        self._previous = -1

    def feed(self, leaves: Sequence[bytes]) -> None:
        """Check the next leaves: width, strict order, sentinels, not too many, ciphertexts.

        Raises:
            PublicationError: naming the rule and the position.
            ProtocolError: what ``check_ciphertexts`` raises.
        """
        if self._seen + len(leaves) > self._count:
            raise _broken("count", f"more than {self._count} leaves")
        for leaf in leaves:
            self._take(leaf)
        if self._check is not None and leaves:
            self._check([leaf[TAG_BYTES:] for leaf in leaves])

    def finish(self) -> None:
        """Check count, last sentinel and root.

        Raises:
            PublicationError: naming which.
        """
        if self._seen != self._count:
            raise _broken("count", f"{self._seen} leaves and not {self._count}")
        if self._previous != MAX_TAG:
            raise _broken("sentinel", "the last leaf has not the tag 2^64-1")
        if self._stream.root() != self._root:
            raise _broken("root", "the leaves do not hash to the root on the ledger")

    def _take(self, leaf: bytes) -> None:
        if len(leaf) != self._width:
            raise _broken("width", f"leaf {self._seen} has {len(leaf)} bytes and not {self._width}")
        tag = int.from_bytes(leaf[:TAG_BYTES], "big")
        if tag <= self._previous:
            raise _broken("order", f"leaf {self._seen} does not ascend")
        if self._seen == 0 and tag != 0:
            raise _broken("sentinel", "the first leaf has not the tag 0")
        self._previous = tag
        self._seen += 1
        self._stream.append(merkle.leaf_hash(leaf))


@dataclass(frozen=True)
class MatchProof:
    """One leaf of a publication with its inclusion path.

    Attributes:
        index: position of the leaf, from 0.
        leaf: its bytes, tag and ciphertext.
        path: sibling hashes from the leaf up, 32 bytes each (RFC 6962 §2.1.1).
    """

    index: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class AbsenceProof:
    """Two neighbouring leaves with a gap where the tag would be.

    Attributes:
        left: the leaf below the tag.
        right: the next leaf, above the tag.
    """

    left: MatchProof
    right: MatchProof


def is_term_index(index: int, count: int) -> bool:
    """Whether the leaf at ``index`` of ``count`` may be a match: every one but the two sentinels."""
    return 0 < index < count - 1


def prove_leaf(index: int, leaf: bytes, count: int, source: merkle.HashSource) -> MatchProof:
    """Return the leaf at ``index`` with its path, for a match or as a neighbour.

    Raises:
        EvidenceError: the index is outside the set.
    """
    try:
        return MatchProof(index, leaf, tuple(merkle.inclusion_path(index, count, source)))
    except _MERKLE_ERROR as error:
        raise EvidenceError(
            f"no path to leaf {index} of {count}: rebuild the tree from the download"
        ) from error


def verify_match(tag: int, proof: MatchProof, count: int, root: bytes) -> None:
    """Check that a leaf with this tag, and no sentinel, stands in the publication of ``count`` and ``root``.

    The tag comes from an element proved certified; count and root from the ledger.

    Raises:
        EvidenceError: another tag, a sentinel, or a path that does not lead to the root.
    """
    if not is_term_index(proof.index, count) or not 0 < tag < MAX_TAG:
        raise EvidenceError("a sentinel or a leaf outside the set is shown as a match: refuse the report")
    if _tag_of(proof) != tag:
        raise EvidenceError("a leaf has another tag than the certified element: refuse the report")
    _verify_leaf(proof, count, root)


def verify_absence(tag: int, proof: AbsenceProof, count: int, root: bytes) -> None:
    """Check that two neighbouring leaves leave no room for this tag in the publication.

    Raises:
        EvidenceError: the leaves are not neighbours, the tag is not strictly between them, or a path does not
            lead to the root.
    """
    if proof.right.index != proof.left.index + 1:
        raise EvidenceError("two leaves shown as neighbours are not: refuse the report")
    if not _tag_of(proof.left) < tag < _tag_of(proof.right):
        raise EvidenceError("a tag does not lie between the neighbours shown: refuse the report")
    _verify_leaf(proof.left, count, root)
    _verify_leaf(proof.right, count, root)


def match_to_json(proof: MatchProof) -> dict[str, Json]:
    """Return the JSON form of a leaf and its path: ``{"index": int, "leaf": hex, "path": [hex, …]}``."""
    return {"index": proof.index, "leaf": proof.leaf.hex(), "path": [node.hex() for node in proof.path]}


def match_from_json(value: Json) -> MatchProof:
    """Read ``match_to_json`` strictly: these names, lower-case hex, hashes of 32 bytes, at most 63 of them.

    Raises:
        EvidenceError: any other form.
    """
    index, leaf, path = _members(value, ("index", "leaf", "path"))
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _malformed()
    if not isinstance(path, list) or len(path) > merkle.MAX_PATH:
        raise _malformed()
    nodes = tuple(_from_hex(node) for node in path)
    if any(len(node) != merkle.HASH_BYTES for node in nodes):
        raise _malformed()
    return MatchProof(index, _from_hex(leaf), nodes)


def absence_to_json(proof: AbsenceProof) -> dict[str, Json]:
    """Return the JSON form of two neighbours: ``{"left": …, "right": …}``."""
    return {"left": match_to_json(proof.left), "right": match_to_json(proof.right)}


def absence_from_json(value: Json) -> AbsenceProof:
    """Read ``absence_to_json`` strictly.

    Raises:
        EvidenceError: any other form.
    """
    left, right = _members(value, ("left", "right"))
    return AbsenceProof(match_from_json(left), match_from_json(right))


def _members(value: Json, names: Sequence[str]) -> list[Json]:
    """Return the values of a JSON object that has exactly these names."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise _malformed()
    return [value[name] for name in names]


def _verify_leaf(proof: MatchProof, count: int, root: bytes) -> None:
    try:
        merkle.verify_inclusion(proof.index, count, merkle.leaf_hash(proof.leaf), list(proof.path), root)
    except _MERKLE_ERROR as error:
        raise EvidenceError("a leaf is not under the publication's root: refuse the report") from error


def _tag_of(proof: MatchProof) -> int:
    if len(proof.leaf) < TAG_BYTES:
        raise _malformed()
    return int.from_bytes(proof.leaf[:TAG_BYTES], "big")


def _from_hex(text: Json) -> bytes:
    if not isinstance(text, str):
        raise _malformed()
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise _malformed() from error
    if data.hex() != text:
        raise _malformed()
    return data


def _first(row: tuple[int, bytes]) -> int:
    return row[0]


def _no_ciphertext(_tag: int) -> bytes:
    return b""


def _malformed() -> EvidenceError:
    return EvidenceError("evidence of a line is malformed: ask the office for the report again")


def _broken(rule: str, what: str) -> PublicationError:
    return PublicationError(
        f"publication breaks the rule of {rule}: {what}; do not use it, download it again, and report the "
        "department"
    )
