"""Checks ``rules``, ``certificate``, ``openings``, ``answer``, ``refusal``: what was asked and answered.

rules         the text has the digest, id, version and lists recorded and approved on the ledger
certificate   its fields are those of the intent on the ledger, but for its validity, which the registrar
              may renew; the registrar signed it. A question that names no dataset has no intent
openings      elements, R list and case map open its commitments; the positions are the household's
answer        per dataset: β = k·α under the key on the ledger (DLEQ), the department's receipt, and the
              digest that it recorded as answered
refusal       the registrar signed it, for this office and network; its code gives the outcome

Check ``identity``, with the openings that only the person and a court hold: whose report it is.

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
from ledger.contract.records import Intent
from ledger.entries.entry import certificate_digest, certificate_message, parse_signature
from ledger.entries.times import parse_time
from node.report.findings import CheckFailedError, require
from node.report.subject import Subject, text_of
from node.rules.verdict import refused_outcome
from protocols.check.answer import receipt_message, verify_answer
from protocols.check.certificate import Certificate, RulesReference, commit_household, first_difference
from protocols.check.json_form import SignatureValue
from protocols.check.openings import check_openings, commit_consents
from protocols.encoding import commit, fields
from protocols.psi import group, voprf

FIELDS = {"v", "case", "query", "persons", "operator", "consents", "household_salt"}
MAX_OPENINGS_BYTES = 1 << 20


def check_question(subject: Subject) -> None:
    """Run every check of this module."""
    check_rules(subject)
    if subject.report.get("refusal") is not None:
        check_refusal(subject)
        return
    check_certificate(subject)
    check_opened(subject)
    check_answers(subject)


def check_rules(subject: Subject) -> None:
    """The rules' text against the ledger and the certificate."""
    named = subject.report.get("rules")
    with subject.found.check("rules"):
        rules = subject.rules
        assert isinstance(named, dict)
        require(
            (named["id"], named["version"]) == (rules.id, rules.version),
            "the text is of other rules than named",
        )
        recorded = subject.view.rules(rules.id, rules.version)
        if recorded is None:
            raise CheckFailedError("the rules are not among the report's proven entries")
        require(recorded.digest == rules.digest, "the text has another digest than the ledger records")
        lists = (recorded.income, recorded.deduct, recorded.veto, recorded.exclude)
        same = lists == (rules.income, rules.deduct, rules.veto, rules.exclude)
        require(same, "the text lists other datasets than the ledger records")
        if subject.refused or not subject.certificate.datasets:
            approved = subject.view.is_approved(rules.id, rules.version)
            require(approved, "the rules are not approved by an auditor and each dataset's owner")
    with subject.found.check("rules"):
        if not subject.refused:
            rules = subject.rules
            own = RulesReference(rules.id, rules.version, rules.digest)
            require(subject.certificate.rules == own, "the question was certified under other rules")


def check_certificate(subject: Subject) -> None:
    """The certificate against the intent, and its signature."""
    report = subject.report
    with subject.found.check("certificate"):
        certificate = subject.certificate
        same = (certificate.network, certificate.office) == (subject.network, subject.office)
        require(same, "the certificate is for another network or office than the report's")
        require(parse_time(certificate.not_before) < parse_time(certificate.not_after), "it is never valid")
        if certificate.datasets:
            _compare_intent(certificate, subject.intent)
    with subject.found.check("certificate"):
        registrar = subject.certificate.registrar
        member = subject.view.member(registrar)
        was = member is not None and "registrar" in member.roles
        require(was, "the certificate's signer is no registrar of this network")
        message = certificate_message(subject.certificate.to_json())
        signature = SignatureValue.parse(report["signature"])
        subject.proven.check_signature(registrar, signature, message, subject.asked_at)


def _compare_intent(certificate: Certificate, intent: Intent) -> None:
    """Every field but the validity is the intent's, and so is the digest."""
    differing = first_difference(certificate, Certificate.parse(intent.certificate))
    if differing is not None:
        raise CheckFailedError(f"the certificate's {differing} differs from the intent's")
    digest = certificate_digest(certificate.to_json())
    require(digest == intent.digest, "the certificate's digest is not the intent's")


def check_opened(subject: Subject) -> None:
    """Commitments, and the household's positions among the elements."""
    report = subject.report
    with subject.found.check("openings"):
        check_openings(subject.certificate, subject.openings)
    with subject.found.check("openings"):
        positions, elements = report["positions"], subject.elements
        require(
            sorted(positions) == elements, "the positions are not those of the household's certified elements"
        )
        require(subject.household_size == len(elements), "the household has another size than was certified")


def check_answers(subject: Subject) -> None:
    """Each department's answer."""
    given: Any = subject.report.get("answers")
    for dataset in sorted(given) if isinstance(given, dict) else ():
        with subject.found.check("answer", dataset):
            answer = subject.answer(dataset)
            verify_answer(answer, bytes.fromhex(subject.publication(dataset).key), subject.openings.elements)
        with subject.found.check("answer", dataset):
            answer = subject.answer(dataset)
            message = receipt_message(subject.certificate, dataset, answer.response)
            owner = dataset.partition(".")[0]
            subject.proven.check_signature(owner, answer.signature, message, subject.asked_at)
        with subject.found.check("answer", dataset):
            recorded = subject.view.answer(subject.query, dataset)
            if recorded is None or not recorded.answered:
                raise CheckFailedError("the department's answer is not among the report's proven entries")
            same = recorded.response == subject.answer(dataset).response.hex()
            require(same, "the answer is not the one the department recorded")


def check_refusal(subject: Subject) -> None:
    """The registrar's refusal, and the outcome it gives."""
    report = subject.report
    with subject.found.check("refusal"):
        refusal = subject.refusal
        same = (refusal.network, refusal.office) == (subject.network, subject.office)
        require(same, "the refusal is for another network or office than the report's")
        registrar = subject.view.member(refusal.registrar)
        holds = registrar is not None and registrar.has("registrar")
        require(holds, "the refusal's signer is no registrar of this network")
        signature = SignatureValue.parse(report["refusal"]["signature"])
        subject.proven.check_signature(refusal.registrar, signature, refusal.message)
    with subject.found.check("refusal"):
        code, verdict = subject.refusal.code, report["verdict"]
        outcome = refused_outcome(code)
        require(verdict["outcome"] == outcome, "the outcome is not the one the registrar's refusal gives")
        codes = {reason["code"] for reason in verdict["reasons"]}
        require(codes == {code}, "the grounds are not the registrar's")


def check_identity(subject: Subject, data: bytes) -> None:
    """Run the check for every person of the openings."""
    opened: dict[str, Any] = {}
    with subject.found.check("identity"):
        opened = read_openings(data)
        require(opened["case"] == text_of(subject.report, "case"), "the openings are of another case")
        query = subject.refusal.query if subject.refused else subject.query
        require(opened["query"] == query, "the openings are of another question")
        members = [person["member"] for person in opened["persons"]]
        size = subject.household_size
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
        position = subject.position(person["member"])
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
        office = subject.view.member(subject.office)
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
