"""Makes ``psi.json``: known answers of tags, publications and downloads, and forms that must be refused.

    python tests/vectors/make_psi.py            write the file (the repository root on the import path)

Provenance: all follows from the constants below, which are public: **test constants, never a key**.
``test_psi_vectors`` makes the file again, compares it, and recomputes tags and root with hashlib alone.
The bad points are classes of RFC 9496 appendix A.2, made from the field prime 2^255 - 19. RFC 9497's
vectors are read from beside the repository and not copied here.
"""

from __future__ import annotations

import json
from pathlib import Path

from ledger import merkle
from ledger.canonical import Json
from protocols.psi import golomb, group, publication, tags, voprf

FILE = Path(__file__).with_name("psi.json")
KEY = 0x1234567890ABCDEF << 128 | 0x0FEDCBA987654321
SECRET = bytes(range(32))
DATASET, LABEL = "tax.income", "2026-11.1"
PEOPLE = ("11010119900307001X", "110101199003070028", "110101199003070036")
PRIME = 2**255 - 19


def build() -> dict[str, Json]:
    """The whole file as JSON."""
    names = [tags.identifier(person) for person in PEOPLE]
    elements = voprf.evaluate(KEY, voprf.hash_inputs(names))
    found = tags.tag_rows(KEY, DATASET, LABEL, names)
    leaves = list(publication.published_leaves(SECRET, [(tag, b"") for tag in sorted(found)], len(found)))
    tree = merkle.MemoryTree(merkle.leaf_hash(leaf) for leaf in leaves)
    numbers = [publication.leaf_tag(leaf) for leaf in leaves]
    place = numbers.index(found[0])
    return {
        "about": "public test constants; made by make_psi.py",
        "key": group.scalar_to_bytes(KEY).hex(),
        "public": voprf.public_key(KEY).hex(),
        "secret": SECRET.hex(),
        "dataset": DATASET,
        "publication": LABEL,
        "rows": [
            {"identifier": name.decode(), "element": element.hex(), "tag": f"{tag:016x}"}
            for name, element, tag in zip(names, elements, found, strict=True)
        ],
        "count": len(leaves),
        "root": tree.root().hex(),
        "leaves": [leaf.hex() for leaf in leaves],
        "golomb": golomb.encode(numbers, len(numbers)).hex(),
        "match": publication.match_to_json(publication.prove_leaf(place, leaves[place], len(leaves), tree)),
        "refused": {"points": bad_points(), "golomb": bad_streams(golomb.encode(numbers, len(numbers)))},
    }


def bad_points() -> dict[str, Json]:
    """Encodings that are no point, by class; all must be refused with code ``group``."""
    g = int.from_bytes(group.GENERATOR, "little")
    numbers = {
        "identity": 0,
        "not reduced": PRIME,
        "not reduced, above": PRIME + 6,
        "highest bit set": g | 1 << 255,
        "negative": PRIME - g,
        "all ones": (1 << 256) - 1,
    }
    encoded: dict[str, Json] = {name: number.to_bytes(32, "little").hex() for name, number in numbers.items()}
    return {**encoded, "short": group.GENERATOR[:31].hex(), "long": group.GENERATOR.hex() + "00"}


def bad_streams(good: bytes) -> dict[str, Json]:
    """Downloads that differ from the one coding; all must be refused with code ``encoding``."""
    return {
        "cut": good[:-1].hex(),
        "a byte more": good.hex() + "00",
        "above the range": (b"\xff" * len(good)).hex(),
        "empty": "",
    }


def text() -> str:
    """The bytes of the file."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
