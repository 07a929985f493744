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

from ledger.contract.view import View
from ledger.entries.certificate import certificate_digest
from node.case import Case
from node.errors import RefusalError, ServiceUnavailableError
from node.registrar.certify import NO_CONSENT, stored_identifier
from node.services import Services
from node.store import tables
from protocols.encoding import commit

COMMITMENTS_AN_ENTRY = 256
RECORD_SECONDS = 30.0


def load_case(services: Services, case: Case) -> list[str]:
    """Take the consents of one application; returns commitments in hex that are not yet on the ledger."""
    services.ledger.sync()
    fresh: list[str] = []
    taken: set[str] = set()
    with services.store.writing() as connection:
        for person in case.household:
            identifier = stored_identifier(person.id)
            if identifier in taken:
                continue
            taken.add(identifier)
            row = services.store.one(tables.consent, case_number=case.case, identifier=identifier)
            if row is None:
                row = _row(case.case, identifier, person.consent)
                connection.execute(insert(tables.consent).values(**row))
            if row["kind"] != NO_CONSENT and not services.view.consent_live(row["commitment"]):
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
    """A person withdraws: the store forgets the consent at once, and the ledger records it whatever happens.

    Every certificate that rests on the consent is revoked with it.

    Raises:
        RefusalError: ``no_consent`` when there is none.
        ServiceUnavailableError: withdrawn here, and not yet on the ledger: the outbox brings it there.
    """
    row = services.store.one(tables.consent, case_number=case, identifier=stored_identifier(identifier))
    if row is None or row["kind"] == NO_CONSENT:
        raise RefusalError("no_consent", "the store holds no consent of this person for this case")
    now = services.clock()
    with services.store.writing() as connection:
        connection.execute(
            update(tables.consent).where(tables.consent.c.id == row["id"]).values(kind=NO_CONSENT)
        )
        digests = _certificates_on(services, row["id"])
        body = {"commitment": row["commitment"]}
        services.outbox.add(connection, f"withdrawal/{row['id']}", "consent.revoke", body, now)
        for digest in digests:
            name = f"revocation/{digest}"
            services.outbox.add(connection, name, "certificate.revoke", {"digest": digest}, now)
    services.outbox.wake()

    def recorded(view: View) -> bool:
        revoked = all(view.certificate_revoked(digest) for digest in digests)
        return revoked and not view.consent_live(row["commitment"])

    if not services.ledger.wait_for(recorded, RECORD_SECONDS):
        raise ServiceUnavailableError(
            "the consent is withdrawn here and waits for the ledger: it is recorded then"
        )


def _certificates_on(services: Services, consent: str) -> list[str]:
    """Digests of this registrar's certificates that rest on a consent."""
    documents = [json.loads(found["document"]) for found in services.store.all(tables.certificate)]
    return [
        certificate_digest(document["certificate"])
        for document in documents
        if consent in document["openings"]["consents"]
    ]
