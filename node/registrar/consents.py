"""The registrar's consents: entered by its clerks or by the persons themselves, committed on the ledger.

A consent belongs to a case and a person. Kinds: ``signed``, ``paper``, ``guardian``, or ``none`` where the
person has refused. The ledger holds a commitment to each with 32 random bytes, which reveals nothing without
its opening. Only this store counts as consent, never what an office says.

Jobs: load the consents of cases, withdraw a consent, allow another question about a case in one month.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ledger.contract.view import View
from ledger.entries import bodies
from ledger.entries.entry import certificate_digest
from node.case import NO_CONSENT, Case
from node.errors import RefusalError, ServiceUnavailableError
from node.registrar.certify import stored_identifier
from node.registrar.recent_subjects import QuestionAllowance, SubjectIndex
from node.services import Services
from node.store import tables
from protocols.encoding import commit

COMMITMENTS_AN_ENTRY = 256
RECORD_SECONDS = 30.0


def load_consents(services: Services, cases: Iterable[Case]) -> int:
    """Take the consents of applications into the store and commit them on the ledger.

    Returns:
        Number of consents committed now; those on the ledger already are not counted.

    Raises:
        RefusalError: ``role`` if this node is not a registrar.
        ServiceUnavailableError: the ledger is out of reach; loading again commits the rest.
    """
    services.require_role("registrar")
    fresh = [commitment for case in cases for commitment in load_case(services, case)]
    record(services, fresh)
    return len(fresh)


def allow_question(
    services: Services, allowance: QuestionAllowance, signatures: list[dict[str, str]]
) -> None:
    """Let a case be in another question this month although its persons were in one.

    Args:
        services: of the registrar's node.
        allowance: case, month and reason.
        signatures: objects ``{key, alg, sig}`` of two operators over ``allowance.message()``.

    Raises:
        RefusalError: ``role`` if this node is not a registrar; or as ``SubjectIndex.allow``.
    """
    services.require_role("registrar")
    services.ledger.sync()
    SubjectIndex(services).allow(allowance, signatures)


def load_case(services: Services, case: Case) -> list[str]:
    """Take the consents of one application; returns commitments in hex that are not on the ledger yet."""
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
    """Put commitments on the ledger, up to ``COMMITMENTS_AN_ENTRY`` an entry."""
    for start in range(0, len(commitments), COMMITMENTS_AN_ENTRY):
        body = bodies.consent_commit(commitments[start : start + COMMITMENTS_AN_ENTRY])
        services.ledger.submit("consent.commit", secrets.token_hex(16), body)


def withdraw(services: Services, case: str, identifier: str) -> None:
    """Withdraw a person's consent and revoke every certificate that rests on it.

    The store forgets the consent at once. The entries for the ledger are written in the same transaction, and
    the outbox sends them until they are final.

    Raises:
        RefusalError: ``role`` if this node is not a registrar; ``no_consent`` if there is no such consent.
        ServiceUnavailableError: withdrawn here, and not on the ledger yet.
    """
    services.require_role("registrar")
    row = services.store.one(tables.consent, case_number=case, identifier=stored_identifier(identifier))
    if row is None or row["kind"] == NO_CONSENT:
        raise RefusalError("no_consent", "the store holds no consent of this person for this case")
    now = services.clock()
    with services.store.writing() as connection:
        connection.execute(
            update(tables.consent).where(tables.consent.c.id == row["id"]).values(kind=NO_CONSENT)
        )
        digests = _certificates_on(connection, row["id"])
        body = bodies.consent_revoke(row["commitment"])
        services.outbox.add(connection, f"withdrawal/{row['id']}", "consent.revoke", body, now)
        for digest in digests:
            name = f"revocation/{digest}"
            services.outbox.add(
                connection, name, "certificate.revoke", bodies.certificate_revoke(digest), now
            )
    services.outbox.wake()

    def recorded(view: View) -> bool:
        revoked = all(view.certificate_revoked(digest) for digest in digests)
        return revoked and not view.consent_live(row["commitment"])

    if not services.ledger.wait_for(recorded, RECORD_SECONDS):
        raise ServiceUnavailableError(
            "the consent is withdrawn here; the ledger has not recorded it yet: the node goes on sending it"
        )


def _certificates_on(connection: Connection, consent: str) -> list[str]:
    """Digests of this registrar's certificates that rest on a consent, in the caller's transaction."""
    link, certificate = tables.certificate_consent, tables.certificate
    query = select(certificate.c.document).join(link, link.c.query == certificate.c.query)
    documents = connection.execute(query.where(link.c.consent == consent)).scalars()
    return [certificate_digest(json.loads(document)["certificate"]) for document in documents]
