"""A check with everything its report needs, as the office holds it between asking and reporting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node.case import Case
from node.office.calls import SignedRefusal
from node.office.inquiry import Inquiry
from node.office.lookup import LookupEvidence
from node.rules.ruleset import RuleSet
from node.rules.verdict import Verdict, VerdictLine, shown_answer
from protocols.check.answer import Answer

UNDECIDED = Verdict("incomplete", None, None, ())
"""What a check is before its verdict."""


@dataclass
class Total:
    """An opened total with everything that proves it.

    Attributes:
        net: fen.
        document, signature: the term list and the office's signature.
        shares: one JSON object a holder: holder, value, proof, and the trustee's salt.
    """

    net: int
    document: dict[str, Any]
    signature: dict[str, str]
    shares: list[dict[str, str]]


@dataclass
class CheckState:
    """A check with all that its report needs.

    Attributes:
        case, rules, inquiry: what was asked.
        refusal: the registrar's signed refusal, where no question left.
        answers: departments' answers by dataset.
        evidence: lines with their proofs.
        gaps: reason by (household position, dataset) of every line not covered.
        positions: element position by household position.
        total: the opened total, or None.
        verdict: the rules' word.
        times: seconds by part of the way, for the benchmark.
    """

    case: Case
    rules: RuleSet
    inquiry: Inquiry
    refusal: SignedRefusal | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    evidence: LookupEvidence = field(default_factory=LookupEvidence)
    gaps: dict[tuple[int, str], str] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    total: Total | None = None
    verdict: Verdict = UNDECIDED
    lines: list[VerdictLine] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)

    def shown_lines(self) -> list[dict[str, Any]]:
        """Lines as ``summary.json`` shows them: position in the household, dataset, answer."""
        return [
            {"member": line.member, "dataset": line.dataset, "answer": shown_answer(self.rules, line)}
            for line in self.lines
        ]

    def milliseconds(self) -> dict[str, int]:
        """Time of each stage, in milliseconds."""
        return {stage: round(seconds * 1000) for stage, seconds in self.times.items()}
