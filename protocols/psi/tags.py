"""From an identifier to its tag in one publication.

    x   = "CN-RID:" ‖ the 18 characters of the resident ID, UTF-8 (canonical bytes)
    N   = k·H(x)              k the publication's key, H as in ``voprf``
    tag = first 8 bytes, big-endian, of SHA-512(fields("hedui/tag/v1", dataset, publication, N))

The department computes tags of its own rows; the office gets N for certified persons only, through the
blinded protocol. It is not RFC 9497's Finalize, which hashes x too: here a tag is checkable from N by a
verifier who must not learn x. Without k a tag tells nothing about x. One look-up of a person who is on no row
gives a false match with probability rows / 2^64.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from protocols.encoding import fields
from protocols.errors import EncodingError
from protocols.profiles import TAG_BYTES, TAG_DOMAIN
from protocols.psi import group, voprf

IDENTIFIER_PREFIX = "CN-RID:"

_RESIDENT_ID = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)


def identifier(resident_id: str) -> bytes:
    """Canonical bytes of a resident ID: ``CN-RID:`` and its 18 characters, 25 bytes.

    Only the form is checked; the check digit and the date are the adapter's business.

    Raises:
        EncodingError: not 17 digits followed by a digit or an upper-case X. The text never holds the ID.
    """
    if _RESIDENT_ID.fullmatch(resident_id) is None:
        raise EncodingError(
            "a resident ID is not 17 digits and a digit or upper-case X: normalise it before it is used"
        )
    return (IDENTIFIER_PREFIX + resident_id).encode()


def tag(dataset: str, publication: str, element: bytes) -> int:
    """Tag of one evaluated element N, 0 … 2^64-1.

    Args:
        dataset: the dataset's id, "<owner>.<what>".
        publication: its label, "<epoch>.<revision>".
        element: N = k·H(x), 32 bytes.

    Raises:
        GroupError: the element is not a canonical, non-identity point.
    """
    return tags(dataset, publication, [element])[0]


def tags(dataset: str, publication: str, elements: Sequence[bytes]) -> list[int]:
    """``tag`` of each element, in the same order.

    Raises:
        GroupError: an element is not a canonical, non-identity point.
    """
    group.check_points(elements)
    return _tags(dataset, publication, elements)


def tag_rows(key: int, dataset: str, publication: str, identifiers: Iterable[bytes]) -> list[int]:
    """Tags of a department's own rows under the publication's key, in the rows' order; about 60 µs each.

    Args:
        key: k, the publication's secret scalar.
        dataset: the dataset's id.
        publication: its label.
        identifiers: canonical bytes, one per person: rows of one person are added up before. Feed some
            thousand at a time; several threads may each take a part.

    Raises:
        GroupError: the key is zero or not reduced.
    """
    points = group.hash_to_group(identifiers, voprf.GROUP_DST)
    return _tags(dataset, publication, group.multiply(key, points))


def _tags(dataset: str, publication: str, elements: Sequence[bytes]) -> list[int]:
    """Apply the formula, with the part all elements share hashed once."""
    prefix = fields(TAG_DOMAIN, dataset.encode(), publication.encode())
    shared = hashlib.sha512(prefix + group.POINT_BYTES.to_bytes(4, "big"))
    results: list[int] = []
    for element in elements:
        state = shared.copy()
        state.update(element)
        results.append(int.from_bytes(state.digest()[:TAG_BYTES], "big"))
    return results
