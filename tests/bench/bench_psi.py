"""Cost of the private membership protocol, in microseconds an element on one core.

    python tests/bench/bench_psi.py [rows]            the repository root on the import path

Figures to expect on one core of a current server: hash to group 15, multiplication 44, publishing a row 60.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from ledger import merkle
from protocols.psi import golomb, group, publication, tags, voprf

T = TypeVar("T")
BATCH = 1024


def measure(name: str, count: int, call: Callable[[], T]) -> T:
    """Run ``call`` once and print microseconds for each of ``count``."""
    start = time.perf_counter()
    result = call()
    print(f"{name:<38}{(time.perf_counter() - start) / count * 1e6:9.2f} µs")
    return result


def question(people: list[bytes]) -> None:
    """One question of ``len(people)`` elements, both sides."""
    size, key = len(people), group.random_scalar()
    public, g = voprf.public_key(key), group.GENERATOR
    blinds = [group.random_scalar() for _ in people]
    points = measure("hash to group", size, lambda: voprf.hash_inputs(people))
    measure("multiply", size, lambda: group.multiply(key, points))
    measure("multiply the generator", size, lambda: group.multiply_base(blinds))
    alphas = measure("office: blind", size, lambda: voprf.blind(people, blinds))
    betas = measure("department: check and evaluate", size, lambda: voprf.evaluate(key, alphas))
    proof = measure("department: prove", size, lambda: voprf.prove(key, g, public, alphas, betas))
    measure("office: verify", size, lambda: voprf.verify(g, public, alphas, betas, proof))
    elements = measure("office: unblind", size, lambda: voprf.unblind(blinds, betas))
    measure("office: tags", size, lambda: tags.tags("bench.rows", "2026-11.1", elements))


def root_of(leaves: list[bytes]) -> bytes:
    """The root over ``leaves``, as a publisher computes it."""
    stream = merkle.RootStream()
    for leaf in leaves:
        stream.append(merkle.leaf_hash(leaf))
    return stream.root()


def publish(rows: int) -> None:
    """One publication of ``rows`` rows, from identifiers to a verified download."""
    key, secret = group.random_scalar(), secrets.token_bytes(32)
    people = [tags.identifier(f"{index:018d}") for index in range(rows)]
    found = measure("row: tag", rows, lambda: tags.tag_rows(key, "bench.rows", "2026-11.1", people))
    ordered = [(tag, b"") for tag in sorted(found)]
    leaves = measure("row: lay out", rows, lambda: list(publication.published_leaves(secret, ordered, rows)))
    count = len(leaves)
    root = measure("leaf: root", count, lambda: root_of(leaves))
    numbers = [publication.leaf_tag(leaf) for leaf in leaves]
    data = measure("leaf: Golomb encode", count, lambda: golomb.encode(numbers, count))
    measure("leaf: Golomb decode", count, lambda: golomb.decode(data, count))
    verifier = publication.SetVerifier(count, root)
    measure("leaf: verify", count, lambda: verifier.feed(leaves))
    verifier.finish()
    print(f"{'leaf: size of the download':<38}{8 * len(data) / count:9.2f} bits")


def main() -> None:
    """Measure a full question and a publication of the given number of rows, 10,000 when not given."""
    print(f"a question of {BATCH} elements")
    question([tags.identifier(f"{index:018d}") for index in range(BATCH)])
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"a publication of {rows} rows")
    publish(rows)


if __name__ == "__main__":
    main()
