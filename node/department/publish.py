"""Publishing: a department's rows become a complete new set under a fresh key, and one ledger entry.

    source → normalised persons, rows of one person added (adapters)
           → N = k·H(x), tag; amount: ciphertext under the sum key           in chunks, into build.db
           → merged with dummies and sentinels in order of tags → tags, ciphertexts, Merkle tree on disk
           → dataset.publish: root, padded count, K, as-of, coverage, definition digest, suite

Each chunk is committed with its progress, so a killed run resumes to the same root as long as the source
proves the same snapshot; otherwise it starts again under a new key. Two equal tags draw a new key.
Ciphertexts are derived from the publication secret, so a kill loses no randomness. build.db holds tags and
ciphertexts only; the adapter's work file holds identifiers and stays in this department's home until the set
is written.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from adapters.dataset import PreparedDataset, definition_digest, read_dataset
from adapters.report import QualityReport
from ledger.contract.view import View, dataset_owner
from ledger.entries import bodies
from ledger.entries.body_schema import EPOCH
from node.department.declaration import DatasetDeclaration
from node.department.own_publications import (
    PublicationSecret,
    draw_secret,
    open_secret,
    outbox_name,
    refusal_of,
)
from node.errors import RefusalError, ServiceUnavailableError
from node.membership.sum_key import paillier_key
from node.services import Services
from node.store import tables
from node.store.database import put
from node.store.setfiles import SetFacts, write_set
from node.workers import worker_pool
from protocols.errors import PublicationError
from protocols.profiles import TAG_BYTES
from protocols.psi.publication import published_leaves
from protocols.psi.tags import tag_rows
from protocols.psi.voprf import public_key
from protocols.sums.paillier import PaillierPublicKey

CHUNK = 1024
COLLISION_TRIES = 3
POOL_FROM_ROWS = 4096
"""Below this a pool of processes costs more than it saves."""
OnRows = Callable[[int, int], None]


@dataclass(frozen=True)
class PublishedDataset:
    """One dataset as it was published.

    Attributes:
        publication: label, ``<epoch>.<revision>``.
        quality: counts and reasons of the rows read and refused.
        count: leaves of the set, padding included.
        root: hex of the set's Merkle root.
    """

    publication: str
    quality: QualityReport
    count: int
    root: str

    def to_json(self) -> dict[str, Any]:
        """The result that ``hedui dataset publish`` receives."""
        return {
            "publication": self.publication,
            "quality": self.quality.to_json(),
            "count": self.count,
            "root": self.root,
        }


class Publisher:
    """Publishes the datasets of one department."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services

    def publish(
        self, dataset: DatasetDeclaration, sources: Path, epoch: str, progress: OnRows
    ) -> PublishedDataset:
        """Publish one dataset as the next revision of an epoch.

        Args:
            dataset: the dataset.
            sources: folder that a file source's path is relative to.
            epoch: label of the epoch.
            progress: called with rows done and rows in all.

        Raises:
            AdapterError: the source cannot be read.
            ServiceUnavailableError: the ledger is out of reach, or holds no sum key for an amount
                dataset yet.
            RefusalError, EntryRefusedError: the contract refuses the publication. What is certain to be
                refused is refused before the source is read; otherwise no row stays behind.
        """
        services = self._services
        EPOCH(epoch, "epoch")
        services.require_role("department")
        if dataset_owner(dataset.id) != services.member:
            raise RefusalError(
                "not_owner", f"{dataset.id} is not this department's: an id begins with its owner's"
            )
        spec = dataset.spec(sources)
        services.ledger.sync()
        revision = self._revision(dataset.id, epoch)
        publication = f"{epoch}.{revision}"
        self._require_recorded(dataset.id, publication)
        folder = services.publication_folder(dataset.id, publication)
        folder.mkdir(parents=True, exist_ok=True)
        sum_key = paillier_key(services.view) if dataset.kind == "amount" else None
        with read_dataset(spec, folder / "work", keep=True) as prepared:
            facts, secret = self._build(dataset, publication, folder, prepared, sum_key, progress)
            quality = prepared.report
        body = bodies.dataset_publish(
            dataset=dataset.id,
            epoch=epoch,
            revision=revision,
            kind=dataset.kind,
            suite="voprf" if sum_key is None else sum_key.profile.name,
            key=public_key(secret.key).hex(),
            root=facts.root,
            count=facts.count,
            as_of=dataset.as_of.isoformat(),
            coverage=dataset.coverage,
            definition=definition_digest(spec).hex(),
            secrecy=dataset.secrecy,
        )
        try:
            self._record(dataset.id, publication, body)
        except RefusalError:
            shutil.rmtree(folder / "work", ignore_errors=True)
            raise
        _forget_build(folder)
        return PublishedDataset(publication, quality, facts.count, facts.root)

    def _revision(self, dataset: str, epoch: str) -> int:
        """The revision to build: one after the last on the ledger."""
        labels = [label for label in self._services.view.labels(dataset) if label.startswith(f"{epoch}.")]
        return 1 + max((int(label.rpartition(".")[2]) for label in labels), default=0)

    def _require_recorded(self, dataset: str, publication: str) -> None:
        """Check that no set of this label that an earlier run built and signed is waiting for the ledger.

        Raises:
            ServiceUnavailableError: such a set is waiting; a second set must not take its place.
        """
        row = self._services.store.one(tables.outbox, id=outbox_name(dataset, publication))
        if row is not None and row["state"] == "waiting":
            self._services.outbox.wake()
            raise ServiceUnavailableError(
                f"{dataset}/{publication} is built and waits for the ledger: publish again once it is there"
            )

    def _record(self, dataset: str, publication: str, body: dict[str, Any]) -> None:
        """Record the publication on the ledger through the outbox, and wait until it is final."""
        services = self._services
        name = outbox_name(dataset, publication)
        with services.store.writing() as connection:
            connection.execute(
                delete(tables.outbox).where(tables.outbox.c.id == name, tables.outbox.c.state != "waiting")
            )
            key = {"dataset": dataset, "publication": publication}
            put(connection, tables.own_publication, key, {"state": "published", "details": body["root"]})
            services.outbox.add(connection, name, "dataset.publish", body, services.clock())
        services.outbox.wake()

        def refused() -> str | None:
            return refusal_of(services, dataset, publication)

        def settled(view: View) -> bool:
            return view.publication(dataset, publication) is not None or refused() is not None

        done = services.ledger.wait_for(settled, 60)
        code = refused()
        if code is not None:
            raise RefusalError(
                code,
                f"the ledger refused {dataset}/{publication} ({code}): "
                "correct the dataset in its TOML file, and publish again",
            )
        if not done:
            raise ServiceUnavailableError(
                "the publication is built and waits for the ledger: it is recorded when it answers"
            )

    def _build(
        self,
        dataset: DatasetDeclaration,
        publication: str,
        folder: Path,
        prepared: PreparedDataset,
        sum_key: PaillierPublicKey | None,
        progress: OnRows,
    ) -> tuple[SetFacts, PublicationSecret]:
        """Build the ordered set on disk; two equal tags draw a new key, ``COLLISION_TRIES`` times at most.

        Raises:
            PublicationError: tags are equal under every key.
        """
        for attempt in range(COLLISION_TRIES):
            with contextlib.closing(_open_build(folder)) as build:
                try:
                    secret = self._fill(dataset, publication, build, prepared, sum_key, progress)
                    filler = _filler(sum_key, secret.seed)
                    leaves = published_leaves(secret.seed, _ordered(build), len(prepared), filler)
                    return write_set(folder, dataset.id, publication, dataset.kind, leaves), secret
                except PublicationError:
                    if attempt == COLLISION_TRIES - 1:
                        raise
                    _forget_rows(build, prepared.report.snapshot)
        raise PublicationError("no key without equal tags was found: look at the source")

    def _fill(
        self,
        dataset: DatasetDeclaration,
        publication: str,
        build: sqlite3.Connection,
        prepared: PreparedDataset,
        sum_key: PaillierPublicKey | None,
        progress: OnRows,
    ) -> PublicationSecret:
        """Store tags and ciphertexts of every person, from where an earlier run of the snapshot stopped."""
        services, total = self._services, len(prepared)
        done = _resume_point(build, prepared.report.snapshot)
        if done == 0:
            _forget_rows(build, prepared.report.snapshot)
            secret = draw_secret(services, dataset.id, publication)
        else:
            secret = open_secret(services, dataset.id, publication)
        with _encryptor(sum_key, secret.seed, services.configuration.processes, total) as encrypt:
            rows = prepared.items(done)
            while chunk := list(islice(rows, CHUNK)):
                tags = tag_rows(secret.key, dataset.id, publication, [row[0] for row in chunk])
                done += len(chunk)
                _store_chunk(build, tags, encrypt(chunk), done)
                progress(done, total)
        return secret


def _filler(sum_key: PaillierPublicKey | None, seed: bytes) -> Callable[[int], bytes] | None:
    """A function from the tag of a dummy or sentinel to its encryption of 0; None for a member dataset."""
    if sum_key is None:
        return None

    def fill(tag: int) -> bytes:
        return sum_key.to_bytes(sum_key.encrypt_row(seed, tag.to_bytes(TAG_BYTES, "big"), 0, b"dummy"))

    return fill


def encrypt_chunk(sum_key: PaillierPublicKey, seed: bytes, rows: list[tuple[bytes, int]]) -> list[bytes]:
    """Ciphertexts of (identifier, fen) rows; at module level so that a spawned process can run it."""
    return [sum_key.to_bytes(sum_key.encrypt_row(seed, identifier, fen, b"row")) for identifier, fen in rows]


@contextlib.contextmanager
def _encryptor(
    sum_key: PaillierPublicKey | None, seed: bytes, processes: int, total: int
) -> Iterator[Callable[[list[tuple[bytes, int | None]]], list[bytes]]]:
    """A function from rows to ciphertexts: none, in this process, or over a pool of spawned ones."""
    if sum_key is None:
        yield lambda rows: [b""] * len(rows)
        return
    if processes < 2 or total < POOL_FROM_ROWS:
        yield lambda rows: encrypt_chunk(sum_key, seed, _amounts(rows))
        return
    with worker_pool(processes) as pool:

        def over_pool(rows: list[tuple[bytes, int | None]]) -> list[bytes]:
            size = -(-len(rows) // processes)
            parts = [_amounts(rows[at : at + size]) for at in range(0, len(rows), size)]
            futures = [pool.submit(encrypt_chunk, sum_key, seed, part) for part in parts]
            return [ciphertext for future in futures for ciphertext in future.result()]

        yield over_pool


def _amounts(rows: list[tuple[bytes, int | None]]) -> list[tuple[bytes, int]]:
    """The rows with their amounts, which are never None in an amount dataset."""
    return [(identifier, fen) for identifier, fen in rows if fen is not None]


def _open_build(folder: Path) -> sqlite3.Connection:
    """The build file: rows done so far, keyed by tag."""
    connection = sqlite3.connect(folder / "build.db")
    connection.execute("CREATE TABLE IF NOT EXISTS row (tag BLOB PRIMARY KEY, ciphertext BLOB) WITHOUT ROWID")
    connection.execute("CREATE TABLE IF NOT EXISTS progress (snapshot TEXT, done INTEGER)")
    return connection


def _resume_point(build: sqlite3.Connection, snapshot: str | None) -> int:
    """Rows already done of the same snapshot; 0 when the build must start again."""
    row = build.execute("SELECT snapshot, done FROM progress").fetchone()
    return int(row[1]) if row is not None and snapshot and row[0] == snapshot else 0


def _forget_rows(build: sqlite3.Connection, snapshot: str | None) -> None:
    """Empty the build for a new start."""
    with build:
        build.execute("DELETE FROM row")
        build.execute("DELETE FROM progress")
        build.execute("INSERT INTO progress VALUES (?, 0)", (snapshot or "",))


def _store_chunk(build: sqlite3.Connection, tags: list[int], ciphertexts: list[bytes], done: int) -> None:
    """Commit one chunk with its progress.

    Raises:
        PublicationError: two persons have one tag.
    """
    rows = [(tag.to_bytes(TAG_BYTES, "big"), data) for tag, data in zip(tags, ciphertexts, strict=True)]
    try:
        with build:
            build.executemany("INSERT INTO row VALUES (?, ?)", rows)
            build.execute("UPDATE progress SET done = ?", (done,))
    except sqlite3.IntegrityError as error:
        raise PublicationError("two tags of this publication are equal: drawing a new key") from error


def _ordered(build: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """Rows in ascending order of tags."""
    for tag, ciphertext in build.execute("SELECT tag, ciphertext FROM row ORDER BY tag"):
        yield int.from_bytes(tag, "big"), ciphertext


def _forget_build(folder: Path) -> None:
    """Remove what only a build needs."""
    for path in folder.glob("build.db*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
