"""Download of a publication: the whole set, streamed to offices and auditors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from node.errors import RefusalError
from node.services import Services
from node.store import tables
from node.store.setfiles import PublishedSet
from protocols.profiles import TAG_BYTES
from protocols.psi import golomb
from protocols.wire import check_pb2

CHUNK_BYTES = 256 * 1024
CHUNK_LEAVES = 256


def send_publication(
    services: Services, dataset: str, publication: str
) -> Iterator[check_pb2.DownloadResponse]:
    """Stream one of this department's publications: tags Golomb-coded, then ciphertexts.

    Raises:
        RefusalError: ``unknown_publication``: this department has no such live set.
    """
    row = services.store.one(tables.own_publication, dataset=dataset, publication=publication)
    if row is None or row["state"] != "published":
        raise RefusalError("unknown_publication", "this department has no such publication")
    folder = services.publication_folder(dataset, publication)
    with contextlib.closing(PublishedSet(folder)) as published:
        count = published.facts.count
    encoder = golomb.Encoder(count)
    with (folder / "tags.bin").open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            tags = [
                int.from_bytes(block[at : at + TAG_BYTES], "big") for at in range(0, len(block), TAG_BYTES)
            ]
            yield check_pb2.DownloadResponse(tags=encoder.feed(tags))
        yield check_pb2.DownloadResponse(tags=encoder.finish())
    with (folder / "ciphertexts.bin").open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            yield check_pb2.DownloadResponse(ciphertexts=block)
