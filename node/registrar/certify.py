"""The registrar's part of a check: consents, padding, the certificate, or a signed refusal.

The order of what is looked at, so that a refusal names the first thing a person can mend:

1. the question fits the ledger: caller is the office, rules and publications are those on it;
2. every person has consented in this registrar's own store; one without stops the case (``no_consent``);
3. every identifier is valid (``invalid_identifier``), nobody is named twice (``duplicate_person``), and
   nobody of the case's household is left out (``household_incomplete``);
4. nobody of them was in another question for a total this calendar month (``already_asked``), unless it is
   the same persons under the same rules and publications, or two people of the registrar signed a reason.

Then the registrar recomputes every blinded element itself, adds its own padding, sorts, and signs. The same
query id with the same request gets the same certificate; with another request a refusal.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from adapters.errors import AdapterError
from adapters.identifiers import canonical_bytes, resident_id
from ledger import canonical
from ledger.entries import body_schema
from ledger.entries.certificate import certificate_digest, certificate_message
from ledger.entries.times import format_time, parse_time
from ledger.errors import EntryError
from node.errors import RefusalError
from node.member_keys import signature
from node.registrar.recent_subjects import SubjectIndex
from node.services import Services, check_signature
from node.store import tables
from protocols.check.certificate import (
    BlindedPerson,
    CertifiedDataset,
    Openings,
    Terms,
    certify,
    refusal_message,
)
from protocols.encoding import commit, fields
from protocols.errors import ProtocolError
from protocols.profiles import CERTIFICATE_SECONDS, CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS

NO_CONSENT = "none"

_QUERY_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class CertificationRequest:
    """One person of a request: identifier as written, blind, case index."""

    identifier: str
    blind: int
    case: int


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate with its signature and openings."""

    certificate: dict[str, Any]
    signature: dict[str, str]
    openings: Openings


@dataclass(frozen=True)
class CertificationRefusal:
    """A signed refusal, for a report of a case that may not be asked."""

    document: dict[str, Any]
    signature: dict[str, str]
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
        self, peer: str, terms: dict[str, Any], cases: list[str], asked: list[CertificationRequest]
    ) -> IssuedCertificate | CertificationRefusal:
        """Answer one request of the office.

        Args:
            peer: calling member.
            terms: the question's terms, canonical JSON object.
            cases: case numbers by case index.
            asked: persons.

        Returns:
            A certificate, or a signed refusal where consent, an identifier or the calendar month stands
            against it.

        Raises:
            RefusalError: the request does not fit the ledger.
        """
        self._services.restore_fence.require()
        parsed = self._fit(peer, terms, len(cases))
        if not asked:
            raise RefusalError("certificate", "a question must name at least one person")
        request = _request_digest(terms, cases, asked)
        with self._lock:
            known = self._services.store.one(tables.certificate, query=parsed.query)
            if known is not None:
                return self._again(known, request)
            if self._services.view.intent(parsed.query) is not None:
                raise RefusalError(
                    "query_reused", "this query id was certified before a restore: draw a new one"
                )
            try:
                persons = self._persons(cases, asked)
                allowances = self.subjects.check(parsed, cases, persons)
                now = self._services.clock()
                with self._services.timings.part("cryptography"):
                    document, openings = certify(
                        parsed,
                        persons,
                        self._padding,
                        format_time(now - CLOCK_TOLERANCE_SECONDS),
                        format_time(now + CERTIFICATE_SECONDS),
                    )
            except RefusalError as refusal:
                return self._refuse(parsed, asked, refusal.code)
            except ProtocolError as error:
                raise RefusalError(error.code, str(error)) from error
            certified = IssuedCertificate(
                document, signature(self._services.keys.node, certificate_message(document)), openings
            )
            try:
                self._remember(parsed, persons, request, certified, allowances)
            except RefusalError as refusal:
                return self._refuse(parsed, asked, refusal.code)
            return certified

    def renew(self, peer: str, certificate: dict[str, Any], value: dict[str, str]) -> IssuedCertificate:
        """A new validity for a certificate of this registrar, consents checked again.

        Raises:
            RefusalError: not this office's, revoked, a consent is gone, or older than seven days after its
                intent.
        """
        services = self._services
        services.restore_fence.require()
        check_signature(services.view, services.member, value, certificate_message(certificate))
        known = services.store.one(tables.certificate, query=str(certificate["query"]))
        if certificate["office"] != peer or known is None:
            raise RefusalError(
                "unknown_certificate", "only the office that was certified renews a certificate"
            )
        services.ledger.sync()
        if services.view.certificate_revoked(certificate_digest(certificate)):
            raise RefusalError("revoked", "the certificate was revoked: ask again with a new question")
        stored = json.loads(known["document"])
        now = services.clock()
        intent = services.view.intent(str(certificate["query"]))
        if intent is None or now > parse_time(intent.at) + RENEWAL_LIMIT_SECONDS:
            raise RefusalError(
                "too_late", "a certificate is renewed at most 7 days after its intent: ask again"
            )
        for consent in stored["openings"]["consents"]:
            row = services.store.one(tables.consent, id=consent)
            if row is None or row["kind"] == NO_CONSENT:
                raise RefusalError("no_consent", "a consent of this question was withdrawn")
        renewed = dict(certificate)
        renewed["not_before"] = format_time(now - CLOCK_TOLERANCE_SECONDS)
        renewed["not_after"] = format_time(now + CERTIFICATE_SECONDS)
        return IssuedCertificate(
            renewed,
            signature(services.keys.node, certificate_message(renewed)),
            Openings.from_json(stored["openings"]),
        )

    def _fit(self, peer: str, terms: dict[str, Any], cases: int) -> Terms:
        """The terms as proposed, compared with the ledger by this node's local replay."""
        services = self._services
        parsed = _read_terms(terms, cases)
        with services.timings.part("ledger"):
            services.ledger.sync()
        view = services.view
        caller = view.member(peer)
        if caller is None or not caller.has("office") or parsed.office != peer:
            raise RefusalError(
                "not_an_office", "only the office named in a question may ask for its certificate"
            )
        if parsed.network != services.network or parsed.registrar != services.member:
            raise RefusalError("wrong_registrar", "the question names another network or registrar")
        rules = parsed.rules
        found = view.rules(rules["id"], rules["version"])
        if (
            found is None
            or found.digest != rules["digest"]
            or not view.is_approved(found.rules, found.version)
        ):
            raise RefusalError(
                "rules", "the rules are not approved on the ledger: publish and approve them first"
            )
        for item in parsed.datasets:
            publication = view.current(item.dataset, peer)
            if publication is None or (publication.label, publication.key) != (
                item.publication,
                item.key.hex(),
            ):
                raise RefusalError(
                    "publication", f"{item.dataset}: the question names no current publication"
                )
        if _QUERY_ID.fullmatch(parsed.query) is None:
            raise RefusalError("query_id", "a query id is 32 lower-case hex characters")
        return parsed

    def _again(self, known: dict[str, Any], request: str) -> IssuedCertificate:
        """The certificate already given for this query id."""
        if known["request"] != request:
            raise RefusalError(
                "query_reused", "this query id was certified for another question: draw a new one"
            )
        document = json.loads(known["document"])
        return IssuedCertificate(
            document["certificate"], document["signature"], Openings.from_json(document["openings"])
        )

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
        household = commit(salt, b"household", *(person.identifier.encode() for person in asked))
        document = {
            "v": 1,
            "network": terms.network,
            "office": terms.office,
            "registrar": terms.registrar,
            "query": terms.query,
            "code": code,
            "household": household.hex(),
        }
        return CertificationRefusal(
            document, signature(self._services.keys.node, refusal_message(document)), salt
        )

    def _remember(
        self,
        terms: Terms,
        persons: list[BlindedPerson],
        request: str,
        certified: IssuedCertificate,
        allowances: set[str],
    ) -> None:
        """Store the certificate and the subject index in one transaction, before the office sees it.

        Raises:
            RefusalError: ``no_consent``: a consent was withdrawn meanwhile.
        """
        document = {
            "certificate": certified.certificate,
            "signature": certified.signature,
            "openings": certified.openings.to_json(),
        }
        with self._services.store.writing() as connection:
            self._require_consents(connection, persons)
            connection.execute(
                insert(tables.certificate).values(
                    query=terms.query, request=request, document=json.dumps(document)
                )
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
    try:
        return resident_id(text)
    except AdapterError:
        return "invalid:" + text[:200]


def _read_terms(terms: dict[str, Any], cases: int) -> Terms:
    """A question's terms from their JSON object.

    Raises:
        RefusalError: ``malformed``: a field is missing, or is not what it should be.
    """
    try:
        rules = {name: str(terms["rules"][name]) for name in ("id", "version", "digest")}
        datasets = tuple(
            CertifiedDataset(
                str(item["dataset"]), str(item["publication"]), bytes.fromhex(item["key"]), str(item["grant"])
            )
            for item in terms["datasets"]
        )
        for item in datasets:
            body_schema.DATASET(item.dataset, "dataset")
        names = ("network", "office", "registrar", "query", "protocol", "reveal", "purpose")
        return Terms(
            **{name: str(terms[name]) for name in names}, rules=rules, datasets=datasets, cases=cases
        )
    except (KeyError, TypeError, ValueError, EntryError) as error:
        raise RefusalError(
            "malformed", "the question's terms lack a field or hold a malformed one"
        ) from error


def _valid_identifier(text: str) -> bytes:
    """Canonical bytes of a valid identifier."""
    try:
        return canonical_bytes(resident_id(text))
    except AdapterError as error:
        raise RefusalError(
            "invalid_identifier", "an identifier in the application is invalid: correct it"
        ) from error


def _request_digest(terms: dict[str, Any], cases: list[str], asked: list[CertificationRequest]) -> str:
    """Digest of a whole request, to know it again; it never leaves the registrar's store."""
    parts = [canonical.encode(terms), *(case.encode() for case in cases)]
    for person in asked:
        parts += [person.identifier.encode(), person.blind.to_bytes(32, "big"), bytes([person.case % 256])]
    return hashlib.sha256(fields(*parts)).hexdigest()
