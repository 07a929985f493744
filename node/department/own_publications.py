"""A department's own publications: their keys, serving a download, and retiring them.

A publication answers intents that were logged before a newer one became current. The last renewal of the
last of them ends seven days after its intent. From then on nobody needs the key except a thief, so the key is
destroyed and ``dataset.retired`` records it. The node does so by itself; ``hedui dataset retire`` does it by
hand.

A publication whose key was lost with a restored home may be retired by hand at any time, and the offices then
ask under the one before it. The node itself retires it once a newer one is current.

A download streams the whole set to an office or auditor.

Retiring does not read the whole log. For every publication of any department that an intent has named, the
table ``last_intent`` holds the position, leaf hash and time of the last such intent. It is complete up to the
largest position in it, so that each update reads only the intents after that. The first update reads all of
them once; so does one that finds another entry at that position, since the replica was then emptied and
follows another history.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, delete, select

from keys.errors import SecretMissingError
from ledger.entries import bodies
from ledger.entries.entry import Entry
from ledger.entries.times import parse_time
from ledger.merkle import leaf_hash
from node.errors import RefusalError
from node.services import Services
from node.store import tables
from node.store.database import put
from node.store.setfiles import PublishedSet, is_whole
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS, TAG_BYTES
from protocols.psi import golomb, group
from protocols.wire import check_pb2

SECRET_BYTES = 64
LOST = "lost"
"""Value of ``own_publication.details`` for a publication whose key a restored home no longer has."""
REASON = "superseded"
CHUNK_BYTES = 256 * 1024
CHUNK_LEAVES = 256
AT_ONCE = 4096
"""Number of intents that one transaction covers."""


@dataclass(frozen=True)
class PublicationSecret:
    """VOPRF key k and the secret that dummies and ciphertext randomness derive from."""

    key: int
    seed: bytes


def published_sets(services: Services) -> dict[str, bool]:
    """Whether the files are whole, by ``<dataset>/<publication>`` of the live own sets whose key is here.

    A set that the ledger has refused, perhaps after its publishing command ended, is not among them.
    """
    found = {}
    for row in services.store.all(tables.own_publication, state="published"):
        if row["details"] == LOST:
            continue
        dataset, publication = str(row["dataset"]), str(row["publication"])
        if refusal_of(services, dataset, publication) is not None:
            continue
        folder = services.publication_folder(dataset, publication)
        found[f"{dataset}/{publication}"] = is_whole(folder)
    return found


def outbox_name(dataset: str, publication: str) -> str:
    """Name of a publication's entry in the outbox."""
    return f"publish/{dataset}/{publication}"


def refusal_of(services: Services, dataset: str, publication: str) -> str | None:
    """Code of the ledger's refusal of an own publication; None unless it was refused."""
    row = services.store.one(tables.outbox, id=outbox_name(dataset, publication))
    state = "" if row is None else str(row["state"])
    return state.partition(":")[2] if state.startswith("refused:") else None


def secret_name(dataset: str, publication: str) -> str:
    """Name of a publication's secret in the vault."""
    return f"publication.{dataset}.{publication}"


def open_secret(services: Services, dataset: str, publication: str) -> PublicationSecret:
    """The secret of one publication.

    Raises:
        RefusalError: ``retired`` when it was destroyed; ``lost`` when a restored home no longer has it.
    """
    try:
        data = services.keys.vault.get(secret_name(dataset, publication))
    except SecretMissingError as error:
        row = services.store.one(tables.own_publication, dataset=dataset, publication=publication)
        if row is not None and row["details"] == LOST:
            raise RefusalError(
                "lost", "the key was lost with a restored home: wait for a new publication"
            ) from error
        raise RefusalError(
            "retired", "the publication's key was destroyed: ask under the current one"
        ) from error
    return PublicationSecret(group.scalar_from_bytes(data[: group.SCALAR_BYTES]), data[group.SCALAR_BYTES :])


def draw_secret(services: Services, dataset: str, publication: str) -> PublicationSecret:
    """Draw a secret for a new publication and keep it in the vault."""
    data = group.scalar_to_bytes(group.random_scalar()) + secrets.token_bytes(SECRET_BYTES)
    services.keys.vault.put(secret_name(dataset, publication), data)
    return open_secret(services, dataset, publication)


def retire(services: Services, dataset: str, publication: str) -> None:
    """Destroy the key of a superseded publication, and record it on the ledger.

    Raises:
        RefusalError: ``unknown_publication``, or ``in_use`` while it is current for an office or an intent
            may still be renewed.
    """
    services.require_role("department")
    services.ledger.sync()
    view = services.view
    if view.publication(dataset, publication) is None or dataset.partition(".")[0] != services.member:
        raise RefusalError("unknown_publication", "this department has no such publication on the ledger")
    if not is_lost(services, dataset, publication):
        _require_unused(services, dataset, publication)
    with contextlib.suppress(SecretMissingError):
        services.keys.vault.delete(secret_name(dataset, publication))
    with services.store.writing() as connection:
        key = {"dataset": dataset, "publication": publication}
        put(connection, tables.own_publication, key, {"state": "destroyed", "details": ""})
    if not view.retired(dataset, publication):
        body = bodies.dataset_retired(dataset, publication, REASON)
        services.ledger.submit("dataset.retired", secrets.token_hex(16), body)


def is_lost(services: Services, dataset: str, publication: str) -> bool:
    """Whether the key was lost with a restored home."""
    row = services.store.one(tables.own_publication, dataset=dataset, publication=publication)
    return row is not None and row["details"] == LOST


def _require_unused(services: Services, dataset: str, publication: str) -> None:
    """Check that no question can be answered under the publication any more.

    Raises:
        RefusalError: ``in_use``.
    """
    view = services.view
    for office in view.members("office"):
        current = view.current(dataset, office.id)
        if current is None or current.label == publication:
            raise RefusalError(
                "in_use", f"it is the current publication for {office.id}: publish a newer one first"
            )
    free = _free_from(services, dataset, publication)
    if services.clock() < free:
        raise RefusalError(
            "in_use", "a question under this publication may still be renewed: try again in some days"
        )


def retire_unused_publications(services: Services) -> list[str]:
    """Retire every own publication under which no question can be answered any more.

    Called every hour in a thread of its own; publications that are still in use are left alone.

    Returns:
        ``<dataset>/<publication>`` of those retired now.
    """
    done: list[str] = []
    for row in services.store.all(tables.own_publication, state="published"):
        with contextlib.suppress(RefusalError):
            _require_unused(services, row["dataset"], row["publication"])
            retire(services, row["dataset"], row["publication"])
            done.append(f"{row['dataset']}/{row['publication']}")
    return done


def _free_from(services: Services, dataset: str, publication: str) -> int:
    """Second from which no intent under the publication can be answered; 0 where there is none.

    Called after the publication was found superseded, when the contract accepts no further intent under it.
    """
    update_last_intents(services)
    last = last_intent(services, dataset, publication)
    return 0 if last is None else last + RENEWAL_LIMIT_SECONDS + CLOCK_TOLERANCE_SECONDS


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


def update_last_intents(services: Services) -> None:
    """Read the intents that the replica holds beyond the table; safe for several threads."""
    intents = services.ledger.replica.of_type("query.intent", _first_unread(services))
    while batch := list(islice(intents, AT_ONCE)):
        found = _last_by_publication(batch)
        leaves = {position: _leaf(services, position) for position, _ in found.values()}
        with services.store.writing() as connection:
            for name, (position, asked) in found.items():
                _record(connection, name, position, asked, leaves[position])


def _first_unread(services: Services) -> int:
    """Position of the first intent that is not in the table, which is emptied if it is of another history."""
    table = tables.last_intent
    with services.store.reading() as connection:
        newest = connection.execute(
            select(table.c.position, table.c.leaf).order_by(table.c.position.desc()).limit(1)
        ).first()
    if newest is None:
        return 0
    position = int(newest.position)
    if position < services.ledger.replica.size and _leaf(services, position) == newest.leaf:
        return position + 1
    with services.store.writing() as connection:
        connection.execute(delete(table))
    return 0


def _leaf(services: Services, position: int) -> str:
    """Leaf hash of an entry of the replica, in hex."""
    return leaf_hash(services.ledger.replica.leaf(position)).hex()


def last_intent(services: Services, dataset: str, publication: str) -> int | None:
    """Time of the last recorded intent under a publication, seconds since 1970; None if there was none."""
    row = services.store.one(tables.last_intent, dataset=dataset, publication=publication)
    return None if row is None else int(row["asked"])


def _last_by_publication(intents: list[tuple[int, Entry]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(largest position, latest time) of the intents that name each (dataset, publication)."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for position, entry in intents:
        for item in entry.body["certificate"]["datasets"]:
            name = (item["dataset"], item["publication"])
            known = found.get(name, (0, 0))
            found[name] = (position, max(known[1], parse_time(entry.time)))
    return found


def _record(connection: Connection, name: tuple[str, str], position: int, asked: int, leaf: str) -> None:
    """Keep the larger position and the later time; another thread may have read further meanwhile."""
    dataset, publication = name
    key = {"dataset": dataset, "publication": publication}
    table = tables.last_intent
    where = (table.c.dataset == dataset, table.c.publication == publication)
    known = connection.execute(select(table).where(*where)).first()
    if known is not None:
        asked = max(asked, known.asked)
        if known.position > position:
            position, leaf = known.position, known.leaf
    put(connection, table, key, {"position": position, "asked": asked, "leaf": leaf})
