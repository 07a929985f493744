"""The asker's side of a check, top to bottom: one household from its application to its report.

    application → certificate (registrar) → intent on the ledger → answers (departments, in parallel)
    → lines: N = r⁻¹·β, tag, look-up, proofs → veto or gap? then no total
                                             → else signed term list → own share and the trustee's → total
    → verdict → report, sealed → query.close

A case that may not be asked ends at the registrar's signed refusal, with a report that says so. A silent
source leaves the inquiry open: the same check begun again asks it again under the same intent.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from ledger.contract.records import Grant
from ledger.entries.times import parse_time
from ledger.fault_points import Point
from node.case import Case
from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.governance import rule_sets
from node.office import calls, inquiry, plan
from node.office.check_state import CheckState
from node.office.inquiry import CERTIFIED, DONE, Inquiry
from node.office.intent import log_intent
from node.office.lookup import make_lines
from node.office.total import close_without_total, open_total
from node.references import rule_datasets
from node.rules.ruleset import RuleSet
from node.rules.verdict import (
    Household,
    Verdict,
    VerdictLine,
    VerdictReason,
    decide,
    needs_total,
    summed_lines,
    too_old,
)
from node.rules.verdict import LineAnswer as Word
from node.services import Services, check_signature
from node.tlog.restore_fence import CODE as RESTORED
from protocols.check.answer import Answer, receipt_message, verify_answer
from protocols.check.certificate import check_openings
from protocols.check.commitments import recorded_list, recorded_report
from protocols.check.terms import list_digest
from protocols.errors import ProtocolError
from protocols.profiles import padded_elements

PARALLEL_SOURCES = 16

OnStage = Callable[[str], None]

log = logging.getLogger("hedui.check")


class Office:
    """The office role: it runs checks."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services

    def check(self, case: Case, rules: RuleSet, progress: OnStage) -> CheckState:
        """Run one check to its verdict.

        Args:
            case: the application.
            rules: its rule set; compared with the ledger before anything is asked.
            progress: told the stage: certify, intent, answers, lines, total, verdict.

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
        finished = CheckState(case, rules, current)
        progress = _timed(progress, finished.times)
        progress("certify")
        missing = self._certify(finished)
        if finished.refusal is not None:
            finished.verdict = refused_verdict(case, finished.refusal.code)
            return finished
        progress("intent")
        if current.certificate["datasets"]:
            log_intent(services, current)
        progress("answers")
        silent = self._ask(finished)
        services.observe(Point.ANSWERS_RECEIVED)
        progress("lines")
        self._look_up(finished, missing | silent)
        progress("total")
        self._total(finished, silent)
        progress("verdict")
        household = Household(len(case.household))
        net = None if finished.total is None else finished.total.net
        finished.verdict = decide(rules, household, finished.lines, net)
        return finished

    def close(self, finished: CheckState, report: bytes) -> None:
        """Record ``query.close`` and end the inquiry, unless a silent source leaves it open.

        Entry and salts are kept in one transaction: a close that is on the ledger can always be opened.
        """
        services, current = self._services, finished.inquiry
        if finished.refusal is None:
            if any(stays_open(reason) for reason in finished.gaps.values()):
                return
            current.closing = {"total": secrets.token_hex(32), "report": secrets.token_hex(32)}
            digest = None if finished.total is None else list_digest(finished.total.document)
            total = recorded_list(bytes.fromhex(current.closing["total"]), digest)
            sealed = recorded_report(bytes.fromhex(current.closing["report"]), report)
            body = {"query": current.query, "total": total.hex(), "report": sealed.hex()}
            current.state = DONE
            with services.store.writing() as connection:
                services.outbox.add(
                    connection, f"close/{current.query}", "query.close", body, services.clock()
                )
                inquiry.put_inquiry(connection, current)
            services.observe(Point.CLOSE_STORED)
            services.outbox.wake()
            return
        current.state = DONE
        inquiry.save(services, current)

    def _compare_rules(self, rules: RuleSet) -> None:
        """The rule text is the one on the ledger, list by list, and approved."""
        rule_sets.compare(self._services.view, rules)
        named = {"id": rules.id, "version": rules.version, "digest": rules.digest}
        rule_datasets(self._services.view, named)

    def _certify(self, finished: CheckState) -> dict[str, str]:
        """Certificate and openings, new or from an earlier run; returns why datasets are not asked."""
        services, case, current = self._services, finished.case, finished.inquiry
        now = services.ledger.now_text()
        count = padded_elements(len(case.household))
        chosen = plan.choose_datasets(services.view, services.member, finished.rules, count, now)
        if current.state != inquiry.BEGUN:
            named = {item["dataset"] for item in current.certificate["datasets"]}
            missing = {
                name: chosen.missing.get(name, "unpublished")
                for name in finished.rules.datasets
                if name not in named
            }
            finished.positions = inquiry.member_positions(case, current)
            self._renew(current)
            return missing
        terms = self._terms(finished, chosen)
        outcome = calls.certify(services, terms, case, current.blinds)
        if isinstance(outcome, calls.SignedRefusal):
            finished.refusal = outcome
            return chosen.missing
        check_openings(outcome.certificate, outcome.openings)
        services.observe(Point.CERTIFIED)
        current.certificate, current.signature = outcome.certificate, outcome.signature
        current.openings = outcome.openings.to_json()
        current.state = CERTIFIED
        finished.positions = inquiry.member_positions(case, current)
        inquiry.save(services, current)
        return chosen.missing

    def _terms(self, finished: CheckState, chosen: plan.DatasetChoice) -> dict[str, Any]:
        """The question's terms, as proposed to the registrar."""
        services, rules = self._services, finished.rules
        grants: list[Grant] = [grant for _, grant in chosen.publications.values()]
        registrar = calls.registrar_of(services.view)
        return {
            "network": services.network,
            "office": services.member,
            "registrar": registrar,
            "query": finished.inquiry.query,
            "protocol": chosen.protocol,
            "reveal": grants[0].reveal if grants else "bits",
            "purpose": grants[0].purpose if grants else rules.id,
            "rules": {"id": rules.id, "version": rules.version, "digest": rules.digest},
            "datasets": [
                {
                    "dataset": dataset,
                    "grant": grant.grant,
                    "key": publication.key,
                    "publication": publication.label,
                }
                for dataset, (publication, grant) in sorted(chosen.publications.items())
            ],
        }

    def _renew(self, current: Inquiry) -> None:
        """A fresh validity where the certificate of an earlier run has run out."""
        if parse_time(current.certificate["not_after"]) > self._services.clock() + 60:
            return
        renewed = calls.renew(self._services, current.certificate, current.signature)
        current.certificate, current.signature = renewed.certificate, renewed.signature
        inquiry.save(self._services, current)

    def _ask(self, finished: CheckState) -> dict[str, str]:
        """Ask every owner in parallel; returns why a dataset has no answer."""
        services, current = self._services, finished.inquiry
        owners: dict[str, list[str]] = {}
        for item in current.certificate["datasets"]:
            owners.setdefault(item["dataset"].partition(".")[0], []).append(item["dataset"])
        if not owners:
            return {}
        leaf, receipt = services.ledger.replica_receipt(current.query)
        silent: dict[str, str] = {}

        def ask(owner: str) -> tuple[str, list[Answer] | str]:
            return owner, self._ask_owner(current, leaf, receipt, owner, owners[owner])

        with ThreadPoolExecutor(PARALLEL_SOURCES, thread_name_prefix="ask") as pool:
            for owner, outcome in pool.map(ask, owners):
                if isinstance(outcome, str):
                    silent.update(dict.fromkeys(owners[owner], outcome))
                    continue
                for answer in outcome:
                    if not self._accept(finished, owner, answer):
                        silent[answer.dataset] = "refused_malformed"
        return silent

    def _ask_owner(
        self, current: Inquiry, leaf: bytes, receipt: bytes, owner: str, datasets: list[str]
    ) -> list[Answer] | str:
        """One owner's answers, or why there are none."""
        try:
            return calls.ask(self._services, owner, current, leaf, receipt, datasets)
        except ServiceUnavailableError:
            return "silent"
        except NodeError as error:
            return f"refused_{error.code}"

    def _accept(self, finished: CheckState, owner: str, answer: Answer) -> bool:
        """An answer counts only when it was made with the published key and its receipt is the owner's."""
        current = finished.inquiry
        keys = {item["dataset"]: bytes.fromhex(item["key"]) for item in current.certificate["datasets"]}
        message = receipt_message(current.certificate, answer.dataset, answer.response)
        try:
            with self._services.timings.part("cryptography"):
                verify_answer(answer, keys[answer.dataset], current.opened().elements)
            check_signature(self._services.view, owner, answer.signature, message)
        except (ProtocolError, RefusalError) as error:
            log.warning("%s: the answer of %s does not hold: %s", answer.dataset, owner, error.code)
            return False
        finished.answers[answer.dataset] = answer
        return True

    def _look_up(self, finished: CheckState, unanswered: dict[str, str]) -> None:
        """Lines of every household member and dataset, with their evidence."""
        services, case, rules = self._services, finished.case, finished.rules
        view = services.view
        labels = {item["dataset"]: item["publication"] for item in finished.inquiry.certificate["datasets"]}
        for dataset in rules.datasets:
            publication = view.publication(dataset, labels[dataset]) if dataset in labels else None
            for member, person in enumerate(case.household, 1):
                reason = unanswered.get(dataset)
                if reason is None and publication is not None:
                    reason = coverage_gap(rules, case, publication.as_of, publication.regions, person.region)
                if reason is not None:
                    finished.gaps[member, dataset] = reason
        with services.timings.part("cryptography"):
            finished.evidence = make_lines(
                services, finished.inquiry, finished.positions, rules, finished.answers
            )
        words = {True: Word.MATCH, False: Word.NO_MATCH}
        for member in range(1, len(case.household) + 1):
            for dataset in rules.datasets:
                word = Word.NOT_COVERED
                if (member, dataset) not in finished.gaps:
                    found = finished.evidence.lines[finished.positions[member], dataset]
                    word = words[found.answer == "match"]
                finished.lines.append(VerdictLine(member, dataset, word))

    def _total(self, finished: CheckState, silent: dict[str, str]) -> None:
        """Open the total where the rules need one; otherwise close the case index permanently."""
        certificate = finished.inquiry.certificate
        if certificate["protocol"] != "sum" or not certificate["datasets"] or silent:
            return
        if not needs_total(finished.rules, finished.lines) or not summed_lines(
            finished.rules, finished.lines
        ):
            close_without_total(self._services, finished)
            return
        finished.total = open_total(self._services, finished)


def stays_open(reason: str) -> bool:
    """Whether a gap is asked again later under the same intent: a source was silent, or refused for now.

    A department restored from a backup never answers an old question: that needs a new intent.
    """
    return reason == "silent" or (reason.startswith("refused_") and reason != f"refused_{RESTORED}")


def _timed(progress: OnStage, times: dict[str, float]) -> OnStage:
    """The same progress, keeping the seconds each stage takes."""
    began: list[tuple[str, float]] = []

    def stage(name: str) -> None:
        now = time.perf_counter()
        if began:
            last, at = began.pop()
            times[last] = now - at
        began.append((name, now))
        progress(name)

    return stage


def coverage_gap(
    rules: RuleSet, case: Case, as_of: str, regions: tuple[str, ...] | None, region: str | None
) -> str | None:
    """Why a source does not cover a person: ``too_old`` or ``region``; None when it does."""
    if too_old(rules, date.fromisoformat(as_of), case.applied):
        return "too_old"
    if regions and region is not None and not any(region.startswith(own) for own in regions):
        return "region"
    return None


def refused_verdict(case: Case, code: str) -> Verdict:
    """The outcome of a case the registrar refused to certify."""
    outcome = "no_consent" if code == "no_consent" else "incomplete"
    members = inquiry.refused_members(case, code)
    reasons = tuple(VerdictReason(code, member) for member in members) or (VerdictReason(code),)
    return Verdict(outcome, None, None, reasons)
