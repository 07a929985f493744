"""One check as the office holds it: what must survive a kill, and the terms it proposes.

An ``Inquiry`` is stored before its certificate is asked for and after every step that cannot be repeated, so
that a check begun again goes on under the same query id, the same certificate and the same intent: a retry
takes no new slot.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from adapters.errors import AdapterError
from adapters.identifiers import canonical_bytes, resident_id
from ledger.entries.times import parse_time
from node.case import NO_CONSENT, Case
from node.errors import RefusalError
from node.services import Services
from node.store import tables
from node.store.database import put
from protocols.check.certificate import Openings
from protocols.encoding import commit
from protocols.psi import group, voprf

BEGUN, CERTIFIED, LOGGED = "begun", "certified", "logged"
DONE, ABANDONED = "done", "abandoned"
ENDED = (DONE, ABANDONED)


@dataclass
class Inquiry:
    """A check of one household, in the office's own store.

    Attributes:
        query: query id.
        case: case number.
        blinds: scalar r of each person, in the household's order.
        salt, application: salted digest of the application it was begun for.
        certificate, signature: the registrar's, once certified.
        openings: JSON of the openings.
        operator: opening of the operator's commitment.
        intent: the intent's leaf in hex, once composed.
        closing: salts of the two commitments in ``query.close``, for a reconciliation.
        state: how far it has come.
    """

    query: str
    case: str
    blinds: list[int]
    salt: str
    application: str
    certificate: dict[str, Any] = field(default_factory=dict)
    signature: dict[str, str] = field(default_factory=dict)
    openings: dict[str, Any] = field(default_factory=dict)
    operator: dict[str, str] = field(default_factory=dict)
    intent: str = ""
    closing: dict[str, str] = field(default_factory=dict)
    state: str = BEGUN

    def opened(self) -> Openings:
        """The certificate's openings."""
        return Openings.from_json(self.openings)


def resume_or_begin(services: Services, case: Case) -> Inquiry:
    """The unfinished inquiry of this very application, or a new one.

    An application that has changed since, and a certificate that ran out before its intent was logged, are
    abandoned and asked again.
    """
    for row in services.store.all(tables.office_check, case_number=case.case):
        if row["state"] in ENDED:
            continue
        current = Inquiry(**json.loads(row["document"]))
        if (
            _same_application(current, case)
            and not _ran_out(current, services.clock())
            and not _is_forgotten(services, current)
        ):
            return current
        current.state = ABANDONED
        save(services, current)
    salt = secrets.token_bytes(32)
    blinds = [group.random_scalar() for _ in case.household]
    current = Inquiry(
        secrets.token_hex(16), case.case, blinds, salt.hex(), _application_digest(salt, case).hex()
    )
    save(services, current)
    return current


def _application_digest(salt: bytes, case: Case) -> bytes:
    """Salted digest of what a question depends on: rules, and each person with consent and region."""
    parts = [case.rules, *(f"{p.id}|{p.consent}|{p.region}" for p in case.household)]
    return commit(salt, b"application", *(part.encode() for part in parts))


def _same_application(current: Inquiry, case: Case) -> bool:
    """Whether an inquiry was begun for this application as it is now."""
    return _application_digest(bytes.fromhex(current.salt), case).hex() == current.application


def _ran_out(current: Inquiry, now: int) -> bool:
    """Whether a certificate ran out before its intent was logged."""
    return current.state == CERTIFIED and parse_time(current.certificate["not_after"]) <= now


def _is_forgotten(services: Services, current: Inquiry) -> bool:
    """Whether the ledger holds its intent and this store does not: restored from a backup made before."""
    return not current.intent and services.view.intent(current.query) is not None


def save(services: Services, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands."""
    with services.store.writing() as connection:
        put_inquiry(connection, inquiry)


def put_inquiry(connection: Connection, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands, inside the caller's transaction."""
    values = {
        "case_number": inquiry.case,
        "state": inquiry.state,
        "document": json.dumps(asdict(inquiry)),
    }
    put(connection, tables.office_check, {"query": inquiry.query}, values)


def member_positions(case: Case, inquiry: Inquiry) -> dict[int, int]:
    """Element position by household position (from 1), found by R = r·G and checked by α = r·H(x).

    Raises:
        RefusalError: ``openings`` when the registrar's openings do not hold a person of this household.
    """
    openings = inquiry.opened()
    persons = [identifier for identifier in identifiers(case) if identifier is not None]
    if len(persons) != len(case.household) or len(openings.real) != len(persons):
        raise RefusalError(
            "openings", "the registrar certified other persons than this household: ask it why"
        )
    by_commitment = dict(zip(openings.rlist, openings.real, strict=True))
    found: dict[int, int] = {}
    commitments = group.multiply_base(inquiry.blinds)
    for member, (point, alpha) in enumerate(
        zip(commitments, voprf.blind(persons, inquiry.blinds), strict=True), 1
    ):
        position = by_commitment.get(point)
        if position is None or openings.elements[position] != alpha:
            raise RefusalError(
                "openings", "the registrar certified other persons than this household: ask it why"
            )
        found[member] = position
    return found


def identifiers(case: Case) -> list[bytes | None]:
    """Canonical identifier of each person; None where it is invalid."""
    found: list[bytes | None] = []
    for person in case.household:
        try:
            found.append(canonical_bytes(resident_id(person.id)))
        except AdapterError:
            found.append(None)
    return found


def refused_members(case: Case, code: str) -> tuple[int, ...]:
    """Household positions a refusal of the registrar is about, as far as the application shows it."""
    if code == "no_consent":
        named = [at for at, person in enumerate(case.household, 1) if person.consent == NO_CONSENT]
    elif code == "invalid_identifier":
        named = [at for at, identifier in enumerate(identifiers(case), 1) if identifier is None]
    else:
        named = []
    return tuple(named)
