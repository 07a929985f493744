"""Verification of a report: offline, under the reader's own policy, one check after another.

    bytes → form; what is no report at all is not looked at further     (``form``)
          → policy: given or pinned by the reader, never from the report
          → checkpoint → receipt of each entry → replay                (``verify_ledger``)
          → seal
          → rules → certificate → openings → answers, or refusal       (``verify_question``)
          → lines → evidence → element proofs → coverage               (``verify_lines``)
          → terms → release → shares → total → verdict                 (``verify_total``)
          → with an openings file: identity                            (``identity``)

The seal alone proves nothing but who wrote the report: a holder of the office's key can seal anything, so
each piece of evidence is proved by a check of its own, from the ledger, the registrar, the departments or
the trustee.
"""

from __future__ import annotations

from ledger.formats.policy import Policy
from node.report.findings import CheckFailedError, Failure, Findings, require
from node.report.form import decode_report, is_report, seal_message
from node.report.subject import Subject
from node.report.verify_ledger import read_ledger
from node.report.verify_lines import check_lines
from node.report.verify_question import check_identity, check_question
from node.report.verify_total import check_result
from protocols.check.json_form import SignatureValue


def verify_report(data: bytes, policy: Policy | None, openings: bytes | None = None) -> list[Failure]:
    """Verify a report.

    Args:
        data: bytes of ``report.json``.
        policy: whom the reader trusts; None where none of the reader's policies is the one the report names.
        openings: bytes of the openings file, to check whose report it is.

    Returns:
        Every check that fails, in the order of the checks; none: the report is valid.
    """
    found = Findings()
    report = decode_report(data, found)
    if not is_report(report):
        return found.failures
    subject = Subject(report, read_ledger(report, policy, found), found)
    check_policy(subject, policy)
    check_seal(subject)
    check_question(subject)
    check_lines(subject)
    check_result(subject)
    if openings is not None:
        check_identity(subject, openings)
    return found.failures


def check_policy(subject: Subject, policy: Policy | None) -> None:
    """The report is made for this policy, and this policy's log is that of the report's network."""
    report, view = subject.report, subject.view
    with subject.found.check("policy"):
        if policy is None:
            raise CheckFailedError("none of your policies is the one this report names")
        require(report["policy"] == policy.fingerprint, "the report names another policy than yours")
    with subject.found.check("policy"):
        network = view.network()
        same = network is not None and network.network == subject.network
        require(same, "the report's network is not that of the genesis entry")
        logs = [key.raw for member in view.members() for key in member.keys_for("log")]
        if logs:
            own = policy is not None and policy.log.public.raw in logs
            require(own, "the policy's log is not the log of this network")


def check_seal(subject: Subject) -> None:
    """The office's node key signed everything but the seal."""
    report = subject.report
    with subject.found.check("seal"):
        office = subject.view.member(subject.office)
        require(
            office is not None and office.has("office"), "the report's office has no such role on the ledger"
        )
        seal = SignatureValue.parse(report["seal"])
        subject.proven.check_signature(subject.office, seal, seal_message(report))
