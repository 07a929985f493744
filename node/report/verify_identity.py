"""Check ``identity``: with the openings, whose report it is. Only the person and a court hold them.

    asked     for each person α = r·H(x) and R = r·G stand at the element of its position; the consents' ids
              open their commitment in the certificate; the operator's signature opens the intent's
    refused   the identifiers as written open the commitment in the registrar's refusal, and exactly those
              named invalid are

Reasons never repeat an identifier.
"""

from __future__ import annotations

from typing import Any

from adapters.identifiers import canonical_bytes, canonical_or_none, resident_id
from ledger import canonical
from ledger.entries.entry import parse_signature
from node.report.findings import CheckFailedError, require
from node.report.subject import Subject
from protocols.check.certificate import commit_household
from protocols.check.openings import commit_consents
from protocols.encoding import commit, fields
from protocols.psi import group, voprf

FIELDS = {"v", "case", "query", "persons", "operator", "consents", "household_salt"}
MAX_OPENINGS_BYTES = 1 << 20


def check_identity(subject: Subject, data: bytes) -> None:
    """Run the check for every person of the openings."""
    opened: dict[str, Any] = {}
    with subject.found.check("identity"):
        opened = read_openings(data)
        require(opened["case"] == subject.report["case"], "the openings are of another case")
        query = subject.refusal.query if subject.refused else subject.query
        require(opened["query"] == query, "the openings are of another question")
        members = [person["member"] for person in opened["persons"]]
        size = subject.report["household"]["size"]
        require(members == list(range(1, size + 1)), "the openings name another number of persons")
    if not opened:
        return
    if subject.report.get("refusal") is not None:
        _check_refused(subject, opened)
        return
    for person in opened["persons"]:
        _check_person(subject, person)
    _check_consents(subject, opened)
    _check_operator(subject, opened)


def read_openings(data: bytes) -> dict[str, Any]:
    """The openings' object.

    Raises:
        CanonicalError: not canonical JSON.
        CheckFailedError: not the openings of a report.
    """
    value = canonical.decode(data, max_bytes=MAX_OPENINGS_BYTES)
    if not isinstance(value, dict) or value.keys() != FIELDS or value["v"] != 1:
        raise CheckFailedError("the file does not hold the openings of a report")
    persons = value["persons"]
    if not isinstance(persons, list) or not all(isinstance(person, dict) for person in persons):
        raise CheckFailedError("the openings name no persons")
    return value


def _check_person(subject: Subject, person: dict[str, Any]) -> None:
    """α and R of one person."""
    with subject.found.check("identity", str(person.get("member"))):
        position = subject.report["positions"][person["member"] - 1]
        blind = group.scalar_from_bytes(bytes.fromhex(person["blind"]))
        [alpha] = voprf.blind([canonical_bytes(resident_id(person["identifier"]))], [blind])
        [commitment] = group.multiply_base([blind])
        require(subject.openings.elements[position] == alpha, "the line's element is not this person's")
        place = subject.openings.real.index(position)
        require(
            subject.openings.rlist[place] == commitment, "the R of the line's element is not this person's"
        )


def _check_consents(subject: Subject, opened: dict[str, Any]) -> None:
    """The consents the certificate rests on."""
    with subject.found.check("identity"):
        consents = opened["consents"]
        found = commit_consents(bytes.fromhex(consents["salt"]), consents["ids"])
        require(found == subject.certificate.consents, "the consents are not those of the certificate")


def _check_operator(subject: Subject, opened: dict[str, Any]) -> None:
    """The operator of the office behind the intent."""
    with subject.found.check("identity"):
        if not subject.certificate.datasets:
            require(opened["operator"] is None, "no intent was logged, so no operator signed one")
            return
        operator = dict(opened["operator"])
        salt = bytes.fromhex(operator.pop("salt"))
        signature = parse_signature(operator)
        committed = commit(salt, fields(signature.key.encode(), signature.raw)).hex()
        entry = subject.proven.entries[subject.asked_at]
        require(committed == entry.body["operator"], "the operator is not the one the intent commits to")
        office = subject.view.member(str(subject.report["office"]))
        keys = () if office is None else office.keys_for("operator")
        key = next((key for key in keys if key.id == signature.key), None)
        if key is None or key.alg != signature.alg:
            raise CheckFailedError("the operator's key is not the office's")
        key.verifier().verify(bytes.fromhex(subject.intent.digest), signature.raw)


def _check_refused(subject: Subject, opened: dict[str, Any]) -> None:
    """The household of a refusal, and the members it names for an invalid identifier."""
    with subject.found.check("identity"):
        refusal = subject.refusal
        written = [str(person["identifier"]) for person in opened["persons"]]
        salt = bytes.fromhex(opened["household_salt"])
        require(
            commit_household(salt, written) == refusal.household,
            "the persons are not those the registrar refused",
        )
        if refusal.code == "invalid_identifier":
            named = [reason["member"] for reason in subject.report["verdict"]["reasons"]]
            wrong = [member for member, text in enumerate(written, 1) if canonical_or_none(text) is None]
            require(named == wrong, "the grounds name other members than those whose identifier is invalid")
