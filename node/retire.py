"""Retiring a publication: its key is destroyed when no question can be asked under it any more.

A publication serves intents logged before a newer one became current, until the last renewal of the last of
them ends, seven days after its intent. From then on the key is of no use to anybody but a thief: it goes,
``dataset.retired`` says so. A publication whose key was lost with a restored home is retired at any time by
hand: the offices go back to the one before it; by itself it is retired once a newer one is current.
"""

from __future__ import annotations

import contextlib
import secrets

from keys.errors import SecretMissing
from node.errors import Refusal
from node.published import LOST, secret_name
from node.services import Services, instant
from node.store import tables
from node.store.database import put
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS

REASON = "superseded"


def retire(services: Services, dataset: str, publication: str) -> None:
    """Destroy the key of a publication that has had its time, and record it.

    Raises:
        Refusal: ``unknown_publication``, ``in_use`` while it is current for an office or an intent may still
        be renewed.
    """
    services.ledger.sync()
    view = services.view
    if view.publication(dataset, publication) is None or dataset.partition(".")[0] != services.member:
        raise Refusal("unknown_publication", "this department has no such publication on the ledger")
    if not is_lost(services, dataset, publication):
        _require_unused(services, dataset, publication)
    with contextlib.suppress(SecretMissing):
        services.keys.vault.delete(secret_name(dataset, publication))
    with services.store.writing() as connection:
        key = {"dataset": dataset, "publication": publication}
        put(connection, tables.own_publication, key, {"state": "destroyed", "details": ""})
    if not view.retired(dataset, publication):
        body = {"dataset": dataset, "publication": publication, "reason": REASON}
        services.ledger.submit("dataset.retired", secrets.token_hex(16), body)


def is_lost(services: Services, dataset: str, publication: str) -> bool:
    """Whether the key is in this home no more since it was put back from a backup: nothing to wait for."""
    row = services.store.one(tables.own_publication, dataset=dataset, publication=publication)
    return row is not None and row["details"] == LOST


def _require_unused(services: Services, dataset: str, publication: str) -> None:
    """No question can be asked under the publication any more."""
    view = services.view
    for office in view.members("office"):
        current = view.current(dataset, office.id)
        if current is None or current.label == publication:
            raise Refusal(
                "in_use", f"it is the current publication for {office.id}: publish a newer one first"
            )
    free = _free_from(services, dataset, publication)
    if services.clock() < free:
        raise Refusal(
            "in_use", "a question under this publication may still be renewed: try again in some days"
        )


def retire_due(services: Services) -> list[str]:
    """Retire every own publication that has had its time; returns their names."""
    done: list[str] = []
    for row in services.store.all(tables.own_publication, state="published"):
        with contextlib.suppress(Refusal):
            _require_unused(services, row["dataset"], row["publication"])
            retire(services, row["dataset"], row["publication"])
            done.append(f"{row['dataset']}/{row['publication']}")
    return done


def _free_from(services: Services, dataset: str, publication: str) -> int:
    """Second from which no intent under the publication can be answered any more."""
    last = 0
    for _, entry in services.ledger.replica.of_type("query.intent"):
        for item in entry.body["certificate"]["datasets"]:
            if (item["dataset"], item["publication"]) == (dataset, publication):
                last = max(last, instant(entry.time))
    return last + RENEWAL_LIMIT_SECONDS + CLOCK_TOLERANCE_SECONDS if last else 0
