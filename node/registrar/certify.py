"""The registrar's part of a check: consents, padding, the certificate, or a signed refusal.

The checks run in this order, so that a refusal names the first thing the applicant can correct:

1. the question fits the ledger: the caller is the office; rules and publications are those on the ledger;
2. every person has consented, by this registrar's own store; one person without consent stops the case
   (``no_consent``);
3. every identifier is valid (``invalid_identifier``), no person is named twice (``duplicate_person``), and
   no member of the case's household is left out (``household_incomplete``);
4. no person was in another question for a total this calendar month (``already_asked``), unless it named the
   same persons under the same rules and publications, or two people of the registrar signed a reason.

Then the registrar recomputes every blinded element itself, adds its own padding, sorts, and signs. A request
repeated with the same query id gets the same certificate; another request with that id is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select

from adapters.identifiers import canonical_bytes, canonical_or_none
from ledger import canonical
from ledger.entries import body_schema
from ledger.entries.entry import certificate_digest, certificate_message
from ledger.entries.times import format_time, parse_time
from ledger.errors import EntryError
from node.case import NO_CONSENT
from node.errors import RefusalError
from node.member_keys import sign
from node.references import rule_datasets
from node.registrar.recent_subjects import SubjectIndex
from node.services import Services, check_signature
from node.store import tables
from protocols.check.certificate import RefusalDocument, SignedCertificate, Terms, commit_household
from protocols.check.certify import BlindedPerson, certify
from protocols.check.json_form import SignatureValue
from protocols.check.openings import CertifiedQuestion
from protocols.encoding import fields
from protocols.errors import ProtocolError
from protocols.profiles import CERTIFICATE_SECONDS, CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS

_QUERY_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class CertificationRequest:
    """One person of a request: identifier as written, blind, case index."""

    identifier: str
    blind: int
    case: int


@dataclass(frozen=True)
class CertificationRefusal:
    """A signed refusal, for the report of a case that may not be asked.

    Attributes:
        document, signature: what the registrar signed.
        salt: opens the document's commitment to the household; for the office alone.
    """

    document: RefusalDocument
    signature: SignatureValue
    salt: bytes


class Registrar:
    """The registrar role of one node."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services
        self._padding = services.keys.vault.get("padding")
        self.subjects = SubjectIndex(services)
        self._lock = threading.Lock()

    def certify(
        self, peer: str, terms: Terms, cases: list[str], asked: list[CertificationRequest]
    ) -> CertifiedQuestion | CertificationRefusal:
        """Answer one request of the office.

        Args:
            peer: calling member.
            terms: the question's terms.
            cases: case numbers by case index.
            asked: persons.

        Returns:
            A certificate with its openings, or a signed refusal where a consent, an identifier or the
            calendar month does not allow the question.

        Raises:
            RefusalError: the request does not fit the ledger.
        """
        self._services.restore_fence.require()
        self._fit(peer, terms)
        if not asked:
            raise RefusalError("certificate", "a question must name at least one person")
        request = _request_digest(terms, cases, asked)
        with self._lock:
            known = self._services.store.one(tables.certificate, query=terms.query)
            if known is not None:
                return self._again(known, request)
            if self._services.view.intent(terms.query) is not None:
                raise RefusalError(
                    "query_reused", "this query id was certified before a restore: draw a new one"
                )
            try:
                persons = self._persons(cases, asked)
                allowances = self.subjects.check(terms, cases, persons)
                now = self._services.clock()
                with self._services.timings.part("cryptography"):
                    certificate, openings = certify(
                        terms,
                        persons,
                        self._padding,
                        format_time(now - CLOCK_TOLERANCE_SECONDS),
                        format_time(now + CERTIFICATE_SECONDS),
                    )
            except RefusalError as refusal:
                return self._refuse(terms, asked, refusal.code)
            except ProtocolError as error:
                raise RefusalError(error.code, str(error)) from error
            message = certificate_message(certificate.to_json())
            certified = CertifiedQuestion(certificate, sign(self._services.keys.node, message), openings)
            try:
                self._remember(terms, persons, request, certified, allowances)
            except RefusalError as refusal:
                return self._refuse(terms, asked, refusal.code)
            return certified

    def renew(self, peer: str, signed: SignedCertificate) -> SignedCertificate:
        """A new validity for a certificate of this registrar, consents checked again.

        Raises:
            RefusalError: not this office's, revoked, a consent is gone, or older than seven days after its
                intent.
        """
        services, certificate = self._services, signed.certificate
        services.restore_fence.require()
        document = certificate.to_json()
        check_signature(services.view, services.member, signed.signature, certificate_message(document))
        known = services.store.one(tables.certificate, query=certificate.query)
        if certificate.office != peer or known is None:
            raise RefusalError(
                "unknown_certificate", "only the office that was certified renews a certificate"
            )
        services.ledger.sync()
        if services.view.certificate_revoked(certificate_digest(document)):
            raise RefusalError("revoked", "the certificate was revoked: ask again with a new question")
        now = services.clock()
        intent = services.view.intent(certificate.query)
        if intent is None or now > parse_time(intent.at) + RENEWAL_LIMIT_SECONDS:
            raise RefusalError(
                "too_late", "a certificate is renewed at most 7 days after its intent: ask again"
            )
        for consent in _stored(known).openings.consents:
            row = services.store.one(tables.consent, id=consent)
            if row is None or row["kind"] == NO_CONSENT:
                raise RefusalError("no_consent", "a consent of this question was withdrawn")
        renewed = replace(
            certificate,
            not_before=format_time(now - CLOCK_TOLERANCE_SECONDS),
            not_after=format_time(now + CERTIFICATE_SECONDS),
        )
        message = certificate_message(renewed.to_json())
        return SignedCertificate(renewed, sign(services.keys.node, message))

    def _fit(self, peer: str, terms: Terms) -> None:
        """Compare the proposed terms with the ledger, by this node's local replay."""
        services = self._services
        _check_dataset_ids(terms)
        with services.timings.part("ledger"):
            services.ledger.sync()
        view = services.view
        caller = view.member(peer)
        if caller is None or not caller.has("office") or terms.office != peer:
            raise RefusalError(
                "not_an_office", "only the office named in a question may ask for its certificate"
            )
        if terms.network != services.network or terms.registrar != services.member:
            raise RefusalError("wrong_registrar", "the question names another network or registrar")
        rule_datasets(view, terms.rules)
        for item in terms.datasets:
            publication = view.current(item.dataset, peer)
            if publication is None or (publication.label, publication.key) != (
                item.publication,
                item.key.hex(),
            ):
                raise RefusalError(
                    "publication", f"{item.dataset}: the question names no current publication"
                )
        if _QUERY_ID.fullmatch(terms.query) is None:
            raise RefusalError("query_id", "a query id is 32 lower-case hex characters")

    def _again(self, known: dict[str, Any], request: str) -> CertifiedQuestion:
        """The certificate already given for this query id."""
        if known["request"] != request:
            raise RefusalError(
                "query_reused", "this query id was certified for another question: draw a new one"
            )
        return _stored(known)

    def _persons(self, cases: list[str], asked: list[CertificationRequest]) -> list[BlindedPerson]:
        """Persons with their consents, or the first refusal in the order of the module."""
        found: list[tuple[CertificationRequest, dict[str, Any]]] = []
        self._check_consents(cases)
        for person in asked:
            row = self._services.store.one(
                tables.consent,
                case_number=cases[person.case],
                identifier=stored_identifier(person.identifier),
            )
            if row is None or row["kind"] == NO_CONSENT:
                raise RefusalError(
                    "no_consent", "a member of the household has not consented: no question may leave"
                )
            found.append((person, row))
        persons = [
            BlindedPerson(_valid_identifier(person.identifier), person.blind, person.case, str(row["id"]))
            for person, row in found
        ]
        if len({person.identifier for person in persons}) != len(persons):
            raise RefusalError("duplicate_person", "a person is named twice: correct the application")
        self._check_whole(cases, asked)
        return persons

    def _check_consents(self, cases: list[str]) -> None:
        """Nobody in the store for a case has refused or withdrawn, named in the question or not."""
        for case in cases:
            stored = self._services.store.all(tables.consent, case_number=case)
            if any(row["kind"] == NO_CONSENT for row in stored):
                raise RefusalError("no_consent", "a member has not consented: no question may leave")

    def _check_whole(self, cases: list[str], asked: list[CertificationRequest]) -> None:
        """A household is asked whole: every person in the consent store for its case.

        Leaving a member out would make another household's total and hide that member's vetoes.
        """
        for index, case in enumerate(cases):
            named = {stored_identifier(person.identifier) for person in asked if person.case == index}
            stored = self._services.store.all(tables.consent, case_number=case)
            if {row["identifier"] for row in stored} - named:
                raise RefusalError(
                    "household_incomplete", "a member of the household is left out: ask about all of them"
                )

    def _refuse(self, terms: Terms, asked: list[CertificationRequest], code: str) -> CertificationRefusal:
        """A signed refusal that names nobody."""
        salt = secrets.token_bytes(32)
        household = commit_household(salt, [person.identifier for person in asked])
        document = RefusalDocument(terms.network, terms.office, terms.registrar, terms.query, code, household)
        return CertificationRefusal(document, sign(self._services.keys.node, document.message), salt)

    def _remember(
        self,
        terms: Terms,
        persons: list[BlindedPerson],
        request: str,
        certified: CertifiedQuestion,
        allowances: set[str],
    ) -> None:
        """Store the certificate and the subject index in one transaction, before the office sees it.

        Raises:
            RefusalError: ``no_consent``: a consent was withdrawn meanwhile.
        """
        document = json.dumps(certified.to_json())
        with self._services.store.writing() as connection:
            self._require_consents(connection, persons)
            connection.execute(
                insert(tables.certificate).values(query=terms.query, request=request, document=document)
            )
            links = [
                {"consent": consent, "query": terms.query}
                for consent in sorted({person.consent for person in persons})
            ]
            connection.execute(insert(tables.certificate_consent), links)
            if terms.protocol == "sum" and terms.datasets:
                self.subjects.remember(connection, terms, persons, allowances)

    def _require_consents(self, connection: Connection, persons: list[BlindedPerson]) -> None:
        """Every consent still stands, in the transaction that stores the certificate."""
        for person in persons:
            query = select(tables.consent.c.kind).where(tables.consent.c.id == person.consent)
            if connection.execute(query).scalar() in (None, NO_CONSENT):
                raise RefusalError("no_consent", "a consent was withdrawn meanwhile: no question may leave")


def stored_identifier(text: str) -> str:
    """How the consent store names a person: canonical identifier, or as written where it is invalid."""
    canonical_id = canonical_or_none(text)
    return "invalid:" + text[:200] if canonical_id is None else canonical_id


def _stored(row: dict[str, Any]) -> CertifiedQuestion:
    """The certified question of a row of the store."""
    return CertifiedQuestion.parse(json.loads(row["document"]))


def _check_dataset_ids(terms: Terms) -> None:
    """Dataset ids have the ledger's form, before an error message may repeat one.

    Raises:
        RefusalError: ``malformed``.
    """
    try:
        for item in terms.datasets:
            body_schema.DATASET(item.dataset, "dataset")
    except EntryError as error:
        raise RefusalError("malformed", "the question's terms hold a malformed dataset id") from error


def _valid_identifier(text: str) -> bytes:
    """Canonical bytes of a valid identifier."""
    canonical_id = canonical_or_none(text)
    if canonical_id is None:
        raise RefusalError("invalid_identifier", "an identifier in the application is invalid: correct it")
    return canonical_bytes(canonical_id)


def _request_digest(terms: Terms, cases: list[str], asked: list[CertificationRequest]) -> str:
    """Digest of a whole request, to recognise a repeated one; it never leaves the registrar's store."""
    parts = [canonical.encode(terms.to_json()), *(case.encode() for case in cases)]
    for person in asked:
        parts += [person.identifier.encode(), person.blind.to_bytes(32, "big"), bytes([person.case % 256])]
    return hashlib.sha256(fields(*parts)).hexdigest()
