"""The registrar's consent store: what its clerks or the persons themselves entered, committed on the ledger.

A consent belongs to a case and a person. Kinds: ``signed``, ``paper``, ``guardian``, or ``none`` where the
person has refused. Each is committed with 32 random bytes; the commitment says nothing to anybody without its
opening. Consents are taken from here only, never from an office.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlalchemy import insert, update

from ledger.certificate import certificate_digest
from node.certify import NO_CONSENT, stored_identifier
from node.errors import Refusal
from node.scenario.model import Case
from node.services import Services
from node.store import tables
from protocols.encoding import commit

COMMITMENTS_AN_ENTRY = 256


def load_case(services: Services, case: Case) -> list[str]:
    """Take the consents of one application; returns new commitments in hex, not yet on the ledger."""
    fresh: list[str] = []
    with services.store.writing() as connection:
        for person in case.household:
            identifier = stored_identifier(person.id)
            known = services.store.one(tables.consent, case_number=case.case, identifier=identifier)
            if known is not None:
                continue
            row = _row(case.case, identifier, person.consent)
            connection.execute(insert(tables.consent).values(**row))
            if person.consent != NO_CONSENT:
                fresh.append(row["commitment"])
    return fresh


def _row(case: str, identifier: str, kind: str) -> dict[str, Any]:
    """One consent with its commitment."""
    consent, salt = secrets.token_hex(16), secrets.token_bytes(32)
    commitment = commit(salt, b"consent", consent.encode(), case.encode(), identifier.encode(), kind.encode())
    return {
        "id": consent,
        "case_number": case,
        "identifier": identifier,
        "kind": kind,
        "commitment": commitment.hex(),
        "salt": salt.hex(),
    }


def record(services: Services, commitments: list[str]) -> None:
    """Put commitments on the ledger, some hundreds an entry."""
    for start in range(0, len(commitments), COMMITMENTS_AN_ENTRY):
        body = {"commitments": commitments[start : start + COMMITMENTS_AN_ENTRY]}
        services.ledger.submit("consent.commit", secrets.token_hex(16), body)


def withdraw(services: Services, case: str, identifier: str) -> None:
    """A person withdraws: the store forgets the consent at once, the ledger records it.

    Raises:
        Refusal: ``no_consent`` when there is none.
    """
    row = services.store.one(tables.consent, case_number=case, identifier=stored_identifier(identifier))
    if row is None or row["kind"] == NO_CONSENT:
        raise Refusal("no_consent", "the store holds no consent of this person for this case")
    with services.store.writing() as connection:
        connection.execute(
            update(tables.consent).where(tables.consent.c.id == row["id"]).values(kind=NO_CONSENT)
        )
    services.ledger.submit("consent.revoke", secrets.token_hex(16), {"commitment": row["commitment"]})
    for found in services.store.all(tables.certificate):
        document = json.loads(found["document"])
        if row["id"] in document["openings"]["consents"]:
            _revoke(services, certificate_digest(document["certificate"]))


def _revoke(services: Services, digest: str) -> None:
    """Revoke a certificate that rests on a withdrawn consent, once."""
    services.ledger.sync()
    if not services.view.certificate_revoked(digest):
        services.ledger.submit("certificate.revoke", secrets.token_hex(16), {"digest": digest})
