"""The office's side of a check, in order: one household from its application to its recorded report.

    application → certificate (registrar) → intent on the ledger → answers (departments, in parallel)
    → lines: N = r⁻¹·β, tag, look-up, proofs → veto or gap? then no total
                                             → else signed term list → own share and the trustee's → total
    → verdict → report, sealed → query.close

A case that may not be asked ends at the registrar's signed refusal, with a report that says so. A silent
source leaves the inquiry open: the same check, run again, asks it again under the same intent.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from ledger.entries import bodies
from ledger.fault_points import Point
from node.case import Case
from node.governance import rule_sets
from node.office import inquiry
from node.office.answers import ask_departments, look_up, stays_open
from node.office.calls import SignedRefusal
from node.office.certification import certify
from node.office.check_state import Answers, CheckState, CompletedCheck, HouseholdLines
from node.office.inquiry import CloseSalts, Inquiry, InquiryState
from node.office.intent import log_intent
from node.office.report import write_report
from node.office.total import close_without_total, open_total
from node.references import rule_datasets
from node.report.parts import ReportTotal
from node.rules.ruleset import RuleSet
from node.rules.verdict import (
    Household,
    Verdict,
    VerdictReason,
    decide,
    needs_total,
    refused_outcome,
    summed_lines,
)
from node.services import Services
from protocols.check.certificate import RulesReference
from protocols.check.openings import recorded_list, recorded_report

OnStage = Callable[[str], None]
"""Told the name of each stage as it starts."""


class Office:
    """The office role: it runs checks."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services

    def run(self, case: Case, rules: RuleSet, out: Path, progress: OnStage) -> CompletedCheck:
        """Run one check to the end: verdict, report written, ``query.close`` recorded.

        Args:
            case: the application.
            rules: its rule set; compared with the ledger before anything is asked.
            out: folder for ``<case>.json`` and ``<case>.html``.
            progress: told the stages certify, intent, answers, lines, total, verdict and report.

        Raises:
            RefusalError, ServiceUnavailableError: as ``to_verdict``; an entry that the report needs is not on
                the ledger in time.
        """
        state = self.to_verdict(case, rules, progress)
        progress("report")
        report = write_report(self._services, state, out)
        self.close(state, report)
        return CompletedCheck(state, report)

    def to_verdict(self, case: Case, rules: RuleSet, progress: OnStage) -> CheckState:
        """Run one check to its verdict; nothing is written but the inquiry.

        Raises:
            RefusalError: the rules differ from the ledger, a budget is used up, or evidence of a peer does
                not hold.
            ServiceUnavailableError: registrar, ledger or trustee is out of reach; the check can be
                started again.
        """
        services = self._services
        services.ledger.sync()
        self._compare_rules(rules)
        current = inquiry.resume_or_begin(services, case)
        stages = StageTimes(progress)
        stages.start("certify")
        certification = certify(services, case, rules, current)
        if isinstance(certification, SignedRefusal):
            verdict = refused_verdict(case, certification.code)
            return CheckState(case, rules, current, verdict, certification)
        stages.start("intent")
        if current.certificate.datasets:
            log_intent(services, current)
        stages.start("answers")
        answers = ask_departments(services, current)
        services.observe(Point.ANSWERS_RECEIVED)
        stages.start("lines")
        lines = look_up(services, case, rules, current, certification, answers)
        stages.start("total")
        total = self._total(rules, current, answers, lines)
        stages.start("verdict")
        net = None if total is None else total.net_fen
        verdict = decide(rules, Household(len(case.household)), lines.lines, net)
        return CheckState(
            case,
            rules,
            current,
            verdict,
            positions=certification.positions,
            answers=answers,
            lines=lines,
            total=total,
            times=stages.seconds,
        )

    def close(self, state: CheckState, report: bytes) -> None:
        """Record ``query.close`` and end the inquiry, unless a silent source leaves it open.

        Entry and salts are stored in one transaction: a close that is on the ledger can always be opened.
        """
        services, current = self._services, state.inquiry
        if state.refusal is not None:
            current.state = InquiryState.DONE
            inquiry.save(services, current)
            return
        if any(stays_open(gap) for gap in state.lines.gaps.values()):
            return
        salts = CloseSalts(secrets.token_hex(32), secrets.token_hex(32))
        digest = None if state.total is None else state.total.list.digest
        total = recorded_list(bytes.fromhex(salts.total), digest)
        sealed = recorded_report(bytes.fromhex(salts.report), report)
        body = bodies.query_close(current.query, total.hex(), sealed.hex())
        current.close_salts, current.state = salts, InquiryState.DONE
        with services.store.writing() as connection:
            services.outbox.add(connection, f"close/{current.query}", "query.close", body, services.clock())
            inquiry.put_inquiry(connection, current)
        services.observe(Point.CLOSE_STORED)
        services.outbox.wake()

    def _compare_rules(self, rules: RuleSet) -> None:
        """Check that the rule text is the one on the ledger, list by list, and approved."""
        rule_sets.compare(self._services.view, rules)
        rule_datasets(self._services.view, RulesReference(rules.id, rules.version, rules.digest))

    def _total(
        self, rules: RuleSet, current: Inquiry, answers: Answers, lines: HouseholdLines
    ) -> ReportTotal | None:
        """Open the total where the rules need one; otherwise close the case index permanently."""
        certificate = current.certificate
        if certificate.protocol != "sum" or not certificate.datasets or answers.gaps:
            return None
        if needs_total(rules, lines.lines) and summed_lines(rules, lines.lines):
            return open_total(self._services, current, answers, lines)
        close_without_total(self._services, current)
        return None


class StageTimes:
    """Reports the start of each stage, and measures every stage but the last."""

    def __init__(self, progress: OnStage) -> None:
        """Args: ``progress`` is told each stage."""
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._running: tuple[str, float] | None = None

    def start(self, stage: str) -> None:
        """End the stage before, and start this one."""
        now = time.perf_counter()
        if self._running is not None:
            name, began = self._running
            self.seconds[name] = now - began
        self._running = (stage, now)
        self._progress(stage)


def refused_verdict(case: Case, code: str) -> Verdict:
    """The outcome of a case the registrar refused to certify."""
    outcome = refused_outcome(code)
    members = inquiry.refused_members(case, code)
    reasons = tuple(VerdictReason(code, member) for member in members) or (VerdictReason(code),)
    return Verdict(outcome, None, None, reasons)
