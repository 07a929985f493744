"""Inquiries: each check as the office stores it, so that a stopped check can continue where it was.

An ``Inquiry`` is stored before its certificate is requested and after every step that cannot be repeated. A
check that is started again continues under the same query id, certificate and intent, so a retry takes no new
slot.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from adapters.identifiers import canonical_bytes, canonical_or_none
from ledger.entries.times import parse_time
from node.case import NO_CONSENT, Case
from node.errors import RefusalError
from node.services import Services
from node.store import tables
from node.store.database import put
from protocols.check.certificate import Certificate
from protocols.check.json_form import SignatureValue
from protocols.check.openings import CertifiedQuestion, Openings
from protocols.encoding import commit
from protocols.psi import group, voprf


class InquiryState(StrEnum):
    """How far an inquiry has got, as the store and the journal name it."""

    BEGUN = "begun"
    CERTIFIED = "certified"
    LOGGED = "logged"
    DONE = "done"
    ABANDONED = "abandoned"


ENDED = (InquiryState.DONE, InquiryState.ABANDONED)


@dataclass(frozen=True)
class OperatorSignature:
    """The signature of the office's operator over the certificate's digest, and the salt of its commitment.

    The intent on the ledger holds the commitment only; the openings of a report hold both.
    """

    salt: bytes
    signature: SignatureValue

    def to_json(self) -> dict[str, str]:
        """``{salt, key, alg, sig}``."""
        return {"salt": self.salt.hex(), **self.signature.to_json()}

    @classmethod
    def parse(cls, value: Mapping[str, str]) -> OperatorSignature:
        """Read ``to_json``."""
        signature = {name: item for name, item in value.items() if name != "salt"}
        return cls(bytes.fromhex(value["salt"]), SignatureValue.parse(signature))


@dataclass(frozen=True)
class CloseSalts:
    """Salts that open the commitments in ``query.close`` to the term list and to the report, in hex."""

    total: str
    report: str

    def to_json(self) -> dict[str, str]:
        """``{total, report}``."""
        return {"total": self.total, "report": self.report}


@dataclass
class Inquiry:
    """A check of one household, in the office's own store.

    Attributes:
        query: query id.
        case: case number.
        blinds: scalar r of each person, in the household's order.
        salt, application: salted digest of the application it was begun for, in hex.
        certified: certificate, signature and openings, once there are any.
        operator: the operator's signature, once the intent is composed.
        intent: the intent's leaf in hex, once composed.
        close_salts: kept for a reconciliation, once ``query.close`` is recorded.
        state: how far it has got.
    """

    query: str
    case: str
    blinds: list[int]
    salt: str
    application: str
    certified: CertifiedQuestion | None = None
    operator: OperatorSignature | None = None
    intent: str = ""
    close_salts: CloseSalts | None = None
    state: InquiryState = InquiryState.BEGUN

    @property
    def certificate(self) -> Certificate:
        """The certificate of a certified inquiry."""
        return self._certified().certificate

    @property
    def signature(self) -> SignatureValue:
        """The registrar's signature over the certificate of a certified inquiry."""
        return self._certified().signature

    @property
    def openings(self) -> Openings:
        """The openings of a certified inquiry."""
        return self._certified().openings

    def _certified(self) -> CertifiedQuestion:
        assert self.certified is not None, "this inquiry has no certificate yet"
        return self.certified

    def to_json(self) -> dict[str, Any]:
        """The stored form; parts that do not exist yet are empty objects."""
        empty: dict[str, Any] = {"certificate": {}, "signature": {}, "openings": {}}
        return {
            "query": self.query,
            "case": self.case,
            "blinds": self.blinds,
            "salt": self.salt,
            "application": self.application,
            **(empty if self.certified is None else self.certified.to_json()),
            "operator": {} if self.operator is None else self.operator.to_json(),
            "intent": self.intent,
            "closing": {} if self.close_salts is None else self.close_salts.to_json(),
            "state": self.state.value,
        }

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Inquiry:
        """Read the stored form."""
        return cls(
            value["query"],
            value["case"],
            value["blinds"],
            value["salt"],
            value["application"],
            CertifiedQuestion.parse(value) if value["certificate"] else None,
            OperatorSignature.parse(value["operator"]) if value["operator"] else None,
            value["intent"],
            CloseSalts(**value["closing"]) if value["closing"] else None,
            InquiryState(value["state"]),
        )


def read_inquiry(row: Mapping[str, Any]) -> Inquiry:
    """The inquiry of a row of the store."""
    return Inquiry.parse(json.loads(row["document"]))


def resume_or_begin(services: Services, case: Case) -> Inquiry:
    """The unfinished inquiry of exactly this application, or a new one.

    An inquiry is abandoned where the application has changed since, where its certificate expired before its
    intent was logged, or where this store was restored from a backup made before its intent.
    """
    for row in services.store.all(tables.office_check, case_number=case.case):
        if row["state"] in ENDED:
            continue
        current = read_inquiry(row)
        if (
            _same_application(current, case)
            and not _has_expired(current, services.clock())
            and not _is_logged_elsewhere(services, current)
        ):
            return current
        current.state = InquiryState.ABANDONED
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
    """Whether an inquiry was begun for the same application with the same content."""
    return _application_digest(bytes.fromhex(current.salt), case).hex() == current.application


def _has_expired(current: Inquiry, now: int) -> bool:
    """Whether a certificate expired before its intent was logged."""
    return current.state == InquiryState.CERTIFIED and parse_time(current.certificate.not_after) <= now


def _is_logged_elsewhere(services: Services, current: Inquiry) -> bool:
    """Whether the ledger holds its intent and this store does not: the store is from an earlier backup."""
    return not current.intent and services.view.intent(current.query) is not None


def save(services: Services, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands."""
    with services.store.writing() as connection:
        put_inquiry(connection, inquiry)


def put_inquiry(connection: Connection, inquiry: Inquiry) -> None:
    """Store an inquiry as it stands, inside the caller's transaction."""
    values = {
        "case_number": inquiry.case,
        "state": inquiry.state.value,
        "document": json.dumps(inquiry.to_json()),
    }
    put(connection, tables.office_check, {"query": inquiry.query}, values)


def member_positions(case: Case, blinds: list[int], openings: Openings) -> dict[int, int]:
    """Element position by household position (from 1), found by R = r·G and checked by α = r·H(x).

    Args:
        case: the application.
        blinds: scalar r of each person, in the household's order.
        openings: the registrar's, which open the certificate.

    Raises:
        RefusalError: ``openings`` when the registrar's openings do not hold a person of this household.
    """
    persons = [identifier for identifier in identifiers(case) if identifier is not None]
    if len(persons) != len(case.household) or len(openings.real) != len(persons):
        raise RefusalError(
            "openings", "the registrar certified other persons than this household: ask it why"
        )
    by_commitment = dict(zip(openings.rlist, openings.real, strict=True))
    found: dict[int, int] = {}
    commitments = group.multiply_base(blinds)
    for member, (point, alpha) in enumerate(zip(commitments, voprf.blind(persons, blinds), strict=True), 1):
        position = by_commitment.get(point)
        if position is None or openings.elements[position] != alpha:
            raise RefusalError(
                "openings", "the registrar certified other persons than this household: ask it why"
            )
        found[member] = position
    return found


def identifiers(case: Case) -> list[bytes | None]:
    """Canonical identifier of each person; None where it is invalid."""
    found = (canonical_or_none(person.id) for person in case.household)
    return [None if text is None else canonical_bytes(text) for text in found]


def refused_members(case: Case, code: str) -> tuple[int, ...]:
    """Household positions a refusal of the registrar is about, as far as the application shows it."""
    if code == "no_consent":
        named = [at for at, person in enumerate(case.household, 1) if person.consent == NO_CONSENT]
    elif code == "invalid_identifier":
        named = [at for at, identifier in enumerate(identifiers(case), 1) if identifier is None]
    else:
        named = []
    return tuple(named)
