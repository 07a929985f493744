"""Logs of any size made quickly: valid signed entries in the mix of a real network, as a public folder.

After the founding of ten members, nine datasets and five grants the log is a row of questions. One
household of four against nine datasets leaves fourteen entries: ``consent.commit`` (four commitments),
``query.intent``, nine ``query.answer``, ``share.release``, ``query.close`` and ``case.decision``. Every
hundredth question the registrar takes back a consent instead of a decision, and every hundredth a
department counts an ``incident``. An intent has two signatures, every other entry of a question one: 15 to
14 entries.

Questions are independent of one another, so that several processes make them. Folders are kept under
``bench/`` and made again when ``FORM`` changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import chain, islice
from pathlib import Path

from ledger.entries import bodies
from ledger.entries.entry import Body, draft, signed
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, encode_bundle
from ledger.merkle import HASH_BYTES, leaf_hash, root_from
from node.workers import worker_pool
from tests.ledger.contract.contract_cases import (
    NETWORK,
    NOW,
    SUITE,
    Net,
    digest,
    genesis_body,
    query_id,
    signer,
)

FORM = 1
ENTRIES_A_QUESTION = 14
COUNT = 4
PERIOD = "2026-11"
ROLES: dict[str, tuple[str, ...]] = {
    "seq": ("sequencer",),
    "audit": ("auditor",),
    "trust": ("trustee",),
    "desk": ("registrar",),
    "office": ("office",),
    "tax": ("department",),
    "housing": ("department",),
    "sib": ("department",),
    "traffic": ("department",),
    "market": ("department",),
}
"""Ten members: the sequencer and nine witnesses."""

AMOUNTS = ("sib.benefit", "sib.pension", "tax.income")
DATASETS = tuple(
    sorted(
        (
            *AMOUNTS,
            "housing.fund",
            "housing.owner",
            "market.company",
            "tax.owner",
            "traffic.boat",
            "traffic.vehicle",
        )
    )
)
OWNERS = tuple(dict.fromkeys(name.partition(".")[0] for name in DATASETS))

LOG = NoteSigner(f"{NETWORK}/seq", signer("seq", "log"))
COSIGNERS = [
    Cosigner(f"{NETWORK}/{member}", signer(member, "witness")) for member in ROLES if member != "seq"
]
POLICY = Policy.create(LOG.verifier, [cosigner.verifier for cosigner in COSIGNERS[:5]])


def founding() -> Net:
    """A network in which everything a question needs is done."""
    net = Net().genesis(genesis_body(ROLES))
    net.do("sumkey.publish", "office", net.sumkey_body(), [signer("trust")])
    for dataset in DATASETS:
        kind = "amount" if dataset in AMOUNTS else "member"
        net.publish(dataset, kind=kind, suite=SUITE if kind == "amount" else "voprf")
    vetoes = [dataset for dataset in DATASETS if dataset not in AMOUNTS]
    net.do("rules.publish", "office", net.rules_body(income=list(AMOUNTS), veto=vetoes))
    for member in ("tax", "sib", "audit"):
        net.do("rules.approve", member, net.approve_body())
    for owner in OWNERS:
        own = {name: digest("definition", name) for name in DATASETS if name.startswith(f"{owner}.")}
        net.grant(owner, slots=10_000_000, definitions=own)
    return net


def question(number: int) -> list[bytes]:
    """The leaves of one question."""
    query = query_id(number)
    names = (digest("entry", number, place)[:32] for place in range(ENTRIES_A_QUESTION))

    def leaf(kind: str, by: str, body: Body, identifier: str | None = None) -> bytes:
        name = next(names) if identifier is None else identifier
        return signed(draft(NETWORK, kind, name, NOW, body), signer(by)).leaf()

    consents = [digest("consent", number, person) for person in range(4)]
    leaves = [
        leaf("consent.commit", "desk", bodies.consent_commit(consents)),
        leaf("query.intent", "office", _intent(number, query), query),
    ]
    for dataset in DATASETS:
        answer = bodies.query_answer(query, dataset, "answered", digest("response", number, dataset))
        leaves.append(leaf("query.answer", dataset.partition(".")[0], answer))
    leaves.append(leaf("share.release", "trust", bodies.share_release(query, 0, digest("list", number))))
    closing = bodies.query_close(query, digest("total", number), digest("report", number))
    leaves.append(leaf("query.close", "office", closing))
    leaves.append(leaf(*_last(number, consents)))
    return leaves


def _last(number: int, consents: list[str]) -> tuple[str, str, Body]:
    if number % 100 == 1:
        return "consent.revoke", "desk", bodies.consent_revoke(consents[0])
    if number % 100 == 2:
        return "incident", "tax", bodies.incident("no_intent", 3)
    return "case.decision", "office", bodies.committed(digest("decision", number), "granted")


_NET = Net()


def _intent(number: int, query: str) -> Body:
    certificate = _NET.certificate(query, *DATASETS, count=COUNT)
    return _NET.intent_body(certificate, [(f"g-{owner}", PERIOD, number) for owner in OWNERS])


def questions(numbers: range) -> list[bytes]:
    """The leaves of several questions; what a worker process makes at a time."""
    return [leaf for number in numbers for leaf in question(number)]


def leaves_of(size: int, pool: Executor) -> Iterator[bytes]:
    """The first ``size`` leaves of the made log."""
    first = [entry.leaf() for entry, _ in founding().entries]
    step = 64
    needed = range(0, max(0, size - len(first)) // ENTRIES_A_QUESTION + 1, step)
    made = pool.map(questions, [range(begin, begin + step) for begin in needed])
    return islice(chain(first, chain.from_iterable(made)), size)


class Nothing:
    """Tiles of the empty tree."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Nothing."""
        del level, index, width
        return b""


def public_folder(size: int, kept: Path, processes: int) -> Path:
    """The folder ``kept``/log-<size>, made unless it is there."""
    folder = kept / f"log-{FORM}-{size}"
    if folder.exists():
        return folder
    part = kept / f".part-{size}"
    shutil.rmtree(part, ignore_errors=True)
    with worker_pool(processes) as pool:
        write(part, leaves_of(size, pool))
    part.rename(folder)
    return folder


def write(folder: Path, leaves: Iterator[bytes]) -> None:
    """Write a public folder of these leaves under ``POLICY``."""
    writer = TileWriter(0, Nothing())
    while bundle := list(islice(leaves, TILE_WIDTH)):
        index = writer.size // TILE_WIDTH
        _put(folder, Tile(-1, index, len(bundle)), encode_bundle(bundle))
        for leaf in bundle:
            writer.append(leaf_hash(leaf))
        last = writer.take_changed()
        for (level, place), hashes in last.items():
            if len(hashes) == TILE_WIDTH * HASH_BYTES:
                _put(folder, Tile(level, place, TILE_WIDTH), hashes)
    root = root_from(writer.size, TileSource(writer))
    for (level, place), hashes in writer.take_changed().items():
        _put(folder, Tile(level, place, len(hashes) // HASH_BYTES), hashes)
    note = sign_checkpoint(Checkpoint(POLICY.origin, writer.size, root), LOG)
    lines = tuple(cosigner.cosign(note.text, 1_795_312_800) for cosigner in COSIGNERS[:5])
    (folder / "policy").write_text(POLICY.format())
    (folder / "checkpoint").write_bytes(Note(note.text, note.signatures + lines).format())


def _put(folder: Path, tile: Tile, data: bytes) -> None:
    path = folder / tile.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
