"""What a department keeps of each publication: its secret in the vault, and the set's files."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keys.errors import SecretMissing
from node.errors import Refusal
from node.services import Services
from node.store import tables
from node.store.setfiles import is_whole
from protocols.psi import group

SECRET_BYTES = 64
LOST = "lost"
"""Details of an own publication whose key is not in this home since it was put back from a backup."""


@dataclass(frozen=True)
class PublicationSecret:
    """VOPRF key k and the secret that dummies and ciphertext randomness derive from."""

    key: int
    seed: bytes


def published_sets(services: Services) -> dict[str, bool]:
    """``<dataset>/<publication>`` of the live sets whose key is here, each with whether its files are too."""
    found = {}
    for row in services.store.all(tables.own_publication, state="published"):
        if row["details"] == LOST:
            continue
        dataset, publication = str(row["dataset"]), str(row["publication"])
        folder = services.publication_folder(dataset, publication)
        found[f"{dataset}/{publication}"] = is_whole(folder)
    return found


def secret_name(dataset: str, publication: str) -> str:
    """Name of a publication's secret in the vault."""
    return f"publication.{dataset}.{publication}"


def open_secret(services: Services, dataset: str, publication: str) -> PublicationSecret:
    """The secret of one publication.

    Raises:
        Refusal: ``retired`` when it was destroyed, ``lost`` when a restored home has it no more.
    """
    try:
        data = services.keys.vault.get(secret_name(dataset, publication))
    except SecretMissing as error:
        row = services.store.one(tables.own_publication, dataset=dataset, publication=publication)
        if row is not None and row["details"] == LOST:
            raise Refusal(
                "lost", "the key was lost with a restored home: wait for a new publication"
            ) from error
        raise Refusal("retired", "the publication's key was destroyed: ask under the current one") from error
    return PublicationSecret(group.scalar_from_bytes(data[: group.SCALAR_BYTES]), data[group.SCALAR_BYTES :])


def draw_secret(services: Services, dataset: str, publication: str) -> PublicationSecret:
    """Draw and keep a fresh secret for a new publication."""
    data = group.scalar_to_bytes(group.random_scalar()) + secrets.token_bytes(SECRET_BYTES)
    services.keys.vault.put(secret_name(dataset, publication), data)
    return open_secret(services, dataset, publication)
