"""Checks ``rules``, ``certificate``, ``openings``, ``answer``, ``refusal``: what was asked and answered.

rules         the text has the digest, id, version and lists recorded and approved on the ledger
certificate   its fields are those of the intent on the ledger, but for its validity, which the registrar
              may renew; the registrar signed it. A question that names no dataset has no intent
openings      elements, R list and case map open its commitments; the positions are the household's
answer        per dataset: β = k·α under the key on the ledger (DLEQ), the department's receipt, and the
              digest that it recorded as answered
refusal       the registrar signed it, for this office and network; its code gives the outcome
"""

from __future__ import annotations

from typing import Any

from ledger.contract.records import Intent
from ledger.entries.certificate import certificate_digest, certificate_message
from ledger.entries.times import parse_time
from node.report.findings import CheckFailedError, require
from node.report.subject import Subject
from node.rules.verdict import refused_outcome
from protocols.check.answer import receipt_message, verify_answer
from protocols.check.certificate import Certificate, RulesReference, first_difference
from protocols.check.openings import check_openings
from protocols.check.signature import SignatureValue


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
        same = (certificate.network, certificate.office) == (report["network"], report["office"])
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
        require(
            report["household"]["size"] == len(elements), "the household has another size than was certified"
        )


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
        same = (refusal.network, refusal.office) == (report["network"], report["office"])
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
