"""Verification of publications: each is downloaded whole, rebuilt, and recorded as verified.

Offices and auditors download every leaf (Golomb-coded tags, then ciphertexts of fixed width), rebuild the
Merkle root, check order, count, sentinels and every ciphertext (range, and one gcd per batch), and record
``dataset.verified``. A part cannot be requested, since the choice of a part would reveal whom the
question is about. Upload and download stream in bounded memory.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sqlalchemy import insert

from ledger.contract.records import Publication
from ledger.entries import bodies
from node.department.own_publications import CHUNK_LEAVES
from node.errors import RefusalError, ServiceUnavailableError
from node.membership.sum_key import paillier_key
from node.rpc.status import calling
from node.services import Services
from node.store import tables
from node.store.setfiles import PublishedSet, write_set
from protocols.errors import PublicationError
from protocols.profiles import TAG_BYTES
from protocols.psi import golomb
from protocols.psi.publication import SetVerifier
from protocols.sums.paillier import PaillierPublicKey
from protocols.wire import check_pb2, check_pb2_grpc

DOWNLOAD_SECONDS = 3600
VERIFYING = frozenset({"office", "auditor"})
"""Roles that verify publications."""
OnLeaves = Callable[[int, int], None]


def verify_publications(services: Services, progress: Callable[[str, int, int], None]) -> list[str]:
    """Download and verify every current publication that this member has not verified; record each.

    For offices and auditors; another member is refused before anything is requested.

    Args:
        progress: called with dataset, leaves done and leaves in all.

    Returns:
        ``<dataset>/<publication>`` of each one recorded now.

    Raises:
        RefusalError: this member is neither.
        PublicationError, CiphertextError, StoreError: a set is not what the ledger says; it is not recorded.
        ServiceUnavailableError: a department does not answer.
    """
    if not VERIFYING.intersection(services.configuration.roles):
        raise RefusalError("role", "publications are verified by offices and auditors: this node is neither")
    services.ledger.sync()
    view, recorded = services.view, []
    for dataset in view.datasets():
        label = view.labels(dataset)[-1]
        publication = view.publication(dataset, label)
        if publication is None or view.retired(dataset, label):
            continue
        if services.store.one(tables.verified_publication, dataset=dataset, publication=label) is None:
            obtain = _examine_own if publication.owner == services.member else _download
            obtain(services, publication, partial(progress, dataset))
            _note_verified(services, publication)
        if not view.verified(dataset, label, services.member):
            body = bodies.dataset_verified(dataset, label, publication.root)
            services.ledger.submit("dataset.verified", secrets.token_hex(16), body)
            recorded.append(f"{dataset}/{label}")
    return recorded


def _download(services: Services, publication: Publication, progress: OnLeaves) -> None:
    """Download one publication into a temporary folder, verify it meanwhile, and rename it into place."""
    folder = services.publication_folder(publication.dataset, publication.label)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    key = paillier_key(services.view) if publication.kind == "amount" else None
    stub = check_pb2_grpc.DepartmentStub(services.channels.to(publication.owner))
    request = check_pb2.DownloadRequest(dataset=publication.dataset, publication=publication.label)
    try:
        with calling(publication.owner):
            parts = iter(stub.Download(request, timeout=DOWNLOAD_SECONDS))
            leaves = _leaves(parts, publication.count, key, part / "download.tags")
            verifier = _verifier(publication, key)
            counted = _counted(_verified(leaves, verifier), publication.count, progress)
            write_set(part, publication.dataset, publication.label, publication.kind, counted)
        verifier.finish()
        (part / "download.tags").unlink()
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _examine_own(services: Services, publication: Publication, progress: OnLeaves) -> None:
    """Verify this member's own set from its files, which stay as they are."""
    folder = services.publication_folder(publication.dataset, publication.label)
    key = paillier_key(services.view) if publication.kind == "amount" else None
    verifier = _verifier(publication, key)
    with contextlib.closing(PublishedSet(folder)) as published:
        leaves = (published.leaf(index) for index in range(published.facts.count))
        for _ in _counted(_verified(leaves, verifier), publication.count, progress):
            pass
    verifier.finish()


def _note_verified(services: Services, publication: Publication) -> None:
    with services.store.writing() as connection:
        connection.execute(
            insert(tables.verified_publication).values(
                dataset=publication.dataset, publication=publication.label, root=publication.root
            )
        )


def _verifier(publication: Publication, key: PaillierPublicKey | None) -> SetVerifier:
    """The verifier of one publication's kind."""
    root = bytes.fromhex(publication.root)
    if key is None:
        return SetVerifier(publication.count, root)
    sum_key = key

    def check(ciphertexts: object) -> None:
        assert isinstance(ciphertexts, list | tuple)
        sum_key.check_ciphertexts([sum_key.from_bytes(data) for data in ciphertexts])

    return SetVerifier(
        publication.count, root, ciphertext_bytes=key.ciphertext_bytes, check_ciphertexts=check
    )


def _leaves(
    parts: Iterator[check_pb2.DownloadResponse], count: int, key: PaillierPublicKey | None, spool: Path
) -> Iterator[bytes]:
    """Leaves of a download: tags are spooled to disk first, then joined with their ciphertexts."""
    decoder, buffer = golomb.Decoder(count), bytearray()
    with spool.open("wb") as file:
        for part in parts:
            if part.WhichOneof("part") == "ciphertexts":
                buffer += part.ciphertexts
                break
            file.write(b"".join(tag.to_bytes(TAG_BYTES, "big") for tag in decoder.feed(part.tags)))
    decoder.finish()
    with spool.open("rb") as file:
        while tag := file.read(TAG_BYTES):
            if key is None:
                yield tag
                continue
            while len(buffer) < key.ciphertext_bytes:
                following = next(parts, None)
                if following is None:
                    raise ServiceUnavailableError(
                        "the download ended early: it starts again from the beginning"
                    )
                buffer += following.ciphertexts
            yield tag + bytes(buffer[: key.ciphertext_bytes])
            del buffer[: key.ciphertext_bytes]
    if buffer or next(parts, None) is not None:
        raise PublicationError("the download holds more than the publication: report the department")


def _verified(leaves: Iterator[bytes], verifier: SetVerifier) -> Iterator[bytes]:
    """The same leaves, each chunk through the verifier before it goes on."""
    chunk: list[bytes] = []
    for leaf in leaves:
        chunk.append(leaf)
        if len(chunk) == CHUNK_LEAVES:
            verifier.feed(chunk)
            yield from chunk
            chunk = []
    verifier.feed(chunk)
    yield from chunk


def _counted(leaves: Iterator[bytes], total: int, progress: OnLeaves) -> Iterator[bytes]:
    """The same leaves, with progress every few thousand."""
    for number, leaf in enumerate(leaves, 1):
        if number % 4096 == 0 or number == total:
            progress(number, total)
        yield leaf
