"""Results of the stages of a check, and the finished check that a report is built from.

certify → Certification, or the registrar's SignedRefusal
answers → Answers
lines   → HouseholdLines
total   → ReportTotal, or None
verdict → CheckState with all of these → CompletedCheck once its report is written and recorded
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger import canonical
from node.case import Case
from node.office.calls import SignedRefusal
from node.office.inquiry import Inquiry
from node.report.parts import ReportTotal
from node.rules.ruleset import RuleSet
from node.rules.verdict import Gap, Verdict, VerdictLine, shown_answer
from protocols.check.answer import Answer
from protocols.check.evidence import ElementProof, EvidenceLine


@dataclass(frozen=True)
class Certification:
    """A certified question.

    Attributes:
        positions: element position by household position.
        gaps: why a dataset of the rules is not asked.
    """

    positions: Mapping[int, int]
    gaps: Mapping[str, Gap]


@dataclass(frozen=True)
class Answers:
    """What the departments answered.

    Attributes:
        by_dataset: answers whose proof and receipt hold.
        gaps: why a dataset that was asked has no answer.
    """

    by_dataset: Mapping[str, Answer] = field(default_factory=dict)
    gaps: Mapping[str, Gap] = field(default_factory=dict)


@dataclass(frozen=True)
class LookupEvidence:
    """Evidence of the lines, and the proofs that tie it to certified elements.

    Attributes:
        lines: evidence of each element and answered dataset.
        proofs: for each element one proof over the datasets that decide a total, and one over the vetoes.
    """

    lines: Mapping[tuple[int, str], EvidenceLine] = field(default_factory=dict)
    proofs: tuple[ElementProof, ...] = ()

    def for_trustee(self, answers: Mapping[str, Answer], datasets: Collection[str]) -> bytes:
        """Canonical JSON of what decides a total: answers, lines and proofs of these datasets, no others."""
        return canonical.encode(
            {
                "answers": {name: answers[name].to_json() for name in sorted(datasets)},
                "lines": [
                    line.to_json() for (_, name), line in sorted(self.lines.items()) if name in datasets
                ],
                "proofs": [proof.to_json() for proof in self.proofs if set(proof.datasets) <= set(datasets)],
            }
        )


@dataclass(frozen=True)
class HouseholdLines:
    """The lines of a household.

    Attributes:
        lines: one for each household position and dataset of the rules, in this order.
        gaps: reason by (household position, dataset) of every line that is not covered.
        evidence: what proves the others.
    """

    lines: tuple[VerdictLine, ...] = ()
    gaps: Mapping[tuple[int, str], Gap] = field(default_factory=dict)
    evidence: LookupEvidence = field(default_factory=LookupEvidence)


@dataclass(frozen=True)
class CheckState:
    """A check that has reached its verdict, with all that its report needs.

    Attributes:
        case, rules, inquiry: what was asked.
        verdict: the outcome with its grounds.
        refusal: the registrar's signed refusal, where no question left; then the parts below are empty.
        positions: element position by household position.
        answers: the departments' answers.
        lines: lines with their evidence and gaps.
        total: the opened total, or None.
        times: seconds by stage, for operators and benchmarks.
    """

    case: Case
    rules: RuleSet
    inquiry: Inquiry
    verdict: Verdict
    refusal: SignedRefusal | None = None
    positions: Mapping[int, int] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    lines: HouseholdLines = field(default_factory=HouseholdLines)
    total: ReportTotal | None = None
    times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CompletedCheck:
    """A check whose report is written.

    Attributes:
        state: the check.
        report: bytes of ``report.json``.
    """

    state: CheckState
    report: bytes

    def summary(self) -> dict[str, Any]:
        """What the office's operator sees of the check at once, as JSON; times in milliseconds."""
        state = self.state
        return {
            "case": state.case.case,
            "outcome": str(state.verdict.outcome),
            "net_fen": state.verdict.net_fen,
            "heads": state.verdict.heads,
            "lines": [
                {"member": line.member, "dataset": line.dataset, "answer": shown_answer(state.rules, line)}
                for line in state.lines.lines
            ],
            "persons": len(state.case.household),
            "times": {stage: round(seconds * 1000) for stage, seconds in state.times.items()},
        }
