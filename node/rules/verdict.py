"""The verdict of a check: computes the outcome from answers and the total, in integers.

Precedence, the first that holds:

1. ``no_consent``: a member has not consented. No question left; there are no lines.
2. ``incomplete``: an identifier is invalid (no question left), any line is not covered, or no counted
   member is left. A failure is never a pass: whatever else was found does not matter.
3. ``vetoed``: a hit in a veto dataset on a counted member. The total is not needed and not opened.
4. The thresholds, in the order of the rules: net ≤ (or <) limit × standard × 12 × heads, in integers; else
   the rules' ``otherwise``.

A member is counted if no exclude dataset matches it. Heads is the number of counted members, None where
no question left or an exclude dataset is not covered. Net income is Σ income − Σ deduct over the counted
members, in fen; None where no total was opened. Where no counted member has a row the total is 0, proved by
neighbours, and counts as opened.

Lines must be complete: one for each member and each dataset of the rules, no other. A report with a line left
out must not become a milder report.

A **gap** is why a dataset says nothing about a member, so that its line is "not covered":

| gap | text in a report | meaning |
|---|---|---|
| ``UNPUBLISHED`` | ``unpublished`` | the dataset has no publication that the office and an auditor verified |
| ``NO_GRANT`` | ``no_grant`` | the office has no grant for it |
| ``SILENT`` | ``silent`` | its department did not answer in time |
| ``REFUSED`` | ``refused_<code>`` | its department refused, with this code |
| ``TOO_OLD`` | ``too_old`` | the rules allow no data of this age |
| ``REGION`` | ``region`` | the publication covers other regions than the member's |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from node.errors import ReportError
from node.rules.ruleset import ReservedOutcome, RuleSet

SUMMED = "summed"
"""How ``match`` is shown for an amount dataset."""


class LineAnswer(StrEnum):
    """Result of looking up one member in one dataset."""

    MATCH = "match"
    NO_MATCH = "no_match"
    NOT_COVERED = "not_covered"


class LinesError(ReportError):
    """The lines or the total do not fit the rules and the household."""

    code = "lines"


class GapKind(StrEnum):
    """Kinds of gaps."""

    UNPUBLISHED = "unpublished"
    NO_GRANT = "no_grant"
    SILENT = "silent"
    REFUSED = "refused"
    TOO_OLD = "too_old"
    REGION = "region"


_REFUSED_PREFIX = f"{GapKind.REFUSED.value}_"


@dataclass(frozen=True)
class Gap:
    """Why a line is not covered.

    Attributes:
        kind: kind of the gap.
        code: the department's code where it refused, else empty.
    """

    kind: GapKind
    code: str = ""

    @classmethod
    def refused(cls, code: str) -> Gap:
        """A department refused with this code."""
        return cls(GapKind.REFUSED, code)

    @classmethod
    def parse(cls, text: str) -> Gap:
        """Read the text of a report.

        Raises:
            ReportError: the text names no gap.
        """
        if text.startswith(_REFUSED_PREFIX):
            return cls.refused(text.removeprefix(_REFUSED_PREFIX))
        try:
            kind = GapKind(text)
        except ValueError as error:
            raise ReportError("a line's reason is not one that a line can have") from error
        if kind is GapKind.REFUSED:
            raise ReportError("a line's reason names a refusal without its code")
        return cls(kind)

    def __str__(self) -> str:
        """The text of a report."""
        return _REFUSED_PREFIX + self.code if self.kind is GapKind.REFUSED else self.kind.value


UNPUBLISHED = Gap(GapKind.UNPUBLISHED)
NO_GRANT = Gap(GapKind.NO_GRANT)
SILENT = Gap(GapKind.SILENT)
TOO_OLD = Gap(GapKind.TOO_OLD)
REGION = Gap(GapKind.REGION)


@dataclass(frozen=True)
class VerdictLine:
    """One answer. ``member`` is the position in the household from 1, never an identifier."""

    member: int
    dataset: str
    answer: LineAnswer


@dataclass(frozen=True)
class Household:
    """What is known before any question.

    Attributes:
        size: number of members, at least 1.
        without_consent: positions of members who did not consent.
        invalid: positions of members whose identifier is not valid.
    """

    size: int
    without_consent: tuple[int, ...] = ()
    invalid: tuple[int, ...] = ()

    @property
    def may_ask(self) -> bool:
        """Whether a question may leave."""
        return not self.without_consent and not self.invalid


@dataclass(frozen=True)
class VerdictReason:
    """One ground of a verdict.

    Attributes:
        code: no_consent, invalid_identifier, not_covered, no_counted_member, excluded, veto, at_most, below
            or otherwise.
        member: position in the household, or None.
        dataset: dataset, or None.
        limit: the decimal string of a threshold that held, or None.
    """

    code: str
    member: int | None = None
    dataset: str | None = None
    limit: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome with its grounds.

    Attributes:
        outcome: a code of the rules, or one of ``ReservedOutcome``.
        net_fen: net income of the counted members over twelve months, fen; None where no total was opened.
        heads: counted members; None where no question left or an exclude dataset is not covered.
        reasons: grounds, the deciding ones first, then ``excluded`` members.
    """

    outcome: str
    net_fen: int | None
    heads: int | None
    reasons: tuple[VerdictReason, ...]

    def to_json(self) -> dict[str, Any]:
        """The report's form."""
        return {
            "outcome": str(self.outcome),
            "net_fen": self.net_fen,
            "heads": self.heads,
            "reasons": [asdict(reason) for reason in self.reasons],
        }


def refused_outcome(code: str) -> ReservedOutcome:
    """The outcome of a case that the registrar refused to certify with this code."""
    return ReservedOutcome.NO_CONSENT if code == "no_consent" else ReservedOutcome.INCOMPLETE


def too_old(rules: RuleSet, as_of: dt.date, applied: dt.date) -> bool:
    """Whether a source as of ``as_of`` is older at ``applied`` than the rules allow, and so not covered."""
    return rules.max_age_days is not None and (applied - as_of).days > rules.max_age_days


def covers_region(regions: Collection[str] | None, region: str | None) -> bool:
    """Whether a source that is limited to these regions covers a person of this region.

    Region codes are digits from the province down; a source covers its regions and every region inside them.

    Args:
        regions: of the source; None or empty for all.
        region: the person's, or None where it is not known: then the person is covered.
    """
    return not regions or region is None or any(region.startswith(own) for own in regions)


def shown_answer(rules: RuleSet, line: VerdictLine) -> str:
    """The answer as reports and summary show it: ``summed`` for an amount dataset with a row."""
    if line.answer is LineAnswer.MATCH and line.dataset in rules.amounts:
        return SUMMED
    return line.answer.value


def summed_lines(rules: RuleSet, lines: Sequence[VerdictLine]) -> tuple[VerdictLine, ...]:
    """Lines whose rows go into the total: matches of amount datasets on counted members, in order."""
    excluded = _excluded(rules, lines)
    amounts = set(rules.amounts)
    return tuple(
        line
        for line in lines
        if line.answer is LineAnswer.MATCH and line.dataset in amounts and line.member not in excluded
    )


def needs_total(rules: RuleSet, lines: Sequence[VerdictLine]) -> bool:
    """Whether the thresholds decide: the case is neither incomplete nor vetoed. False without any line.

    Where it is true and ``summed_lines`` is empty, the total is 0 and there is nothing to open.
    """
    if any(line.answer is LineAnswer.NOT_COVERED for line in lines):
        return False
    counted = {line.member for line in lines} - _excluded(rules, lines)
    return bool(counted) and not _vetoes(rules, lines)


def decide(
    rules: RuleSet, household: Household, lines: Sequence[VerdictLine], total: int | None = None
) -> Verdict:
    """Apply the rules.

    Args:
        rules: the rule set of the case.
        household: size, missing consents, invalid identifiers.
        lines: exactly one for each member and dataset of the rules; none where no question may leave.
        total: the opened Σ income − Σ deduct over counted members, fen; None where none was opened.

    Raises:
        LinesError: lines are missing, doubled or unknown; a total is missing, or was opened without need.
    """
    _check_lines(rules, household, lines)
    if not household.may_ask:
        _check_no_total(total)
        return _unasked(household)
    excluded = _excluded(rules, lines)
    exclude = set(rules.exclude)
    gaps = [line for line in lines if line.answer is LineAnswer.NOT_COVERED]
    heads = None if any(line.dataset in exclude for line in gaps) else household.size - len(excluded)
    out = tuple(
        VerdictReason("excluded", line.member, line.dataset)
        for line in lines
        if line.dataset in exclude and line.answer is LineAnswer.MATCH
    )
    grounds = tuple(VerdictReason("not_covered", line.member, line.dataset) for line in gaps)
    if heads == 0:
        grounds += (VerdictReason("no_counted_member"),)
    if heads is None or grounds:
        _check_no_total(total)
        return Verdict(ReservedOutcome.INCOMPLETE, None, heads, grounds + out)
    vetoes = tuple(VerdictReason("veto", line.member, line.dataset) for line in _vetoes(rules, lines))
    if vetoes:
        _check_no_total(total)
        return Verdict(ReservedOutcome.VETOED, None, heads, vetoes + out)
    net = _net(rules, lines, total)
    outcome, ground = _threshold(rules, net, heads)
    return Verdict(outcome, net, heads, (ground, *out))


def _unasked(household: Household) -> Verdict:
    if household.without_consent:
        reasons = tuple(VerdictReason("no_consent", member) for member in household.without_consent)
        return Verdict(ReservedOutcome.NO_CONSENT, None, None, reasons)
    reasons = tuple(VerdictReason("invalid_identifier", member) for member in household.invalid)
    return Verdict(ReservedOutcome.INCOMPLETE, None, None, reasons)


def _excluded(rules: RuleSet, lines: Sequence[VerdictLine]) -> set[int]:
    exclude = set(rules.exclude)
    return {line.member for line in lines if line.dataset in exclude and line.answer is LineAnswer.MATCH}


def _vetoes(rules: RuleSet, lines: Sequence[VerdictLine]) -> list[VerdictLine]:
    veto, excluded = set(rules.veto), _excluded(rules, lines)
    return [
        line
        for line in lines
        if line.dataset in veto and line.answer is LineAnswer.MATCH and line.member not in excluded
    ]


def _net(rules: RuleSet, lines: Sequence[VerdictLine], total: int | None) -> int:
    if not summed_lines(rules, lines):
        if total is not None and total != 0:
            raise LinesError("no counted member has a row, so the total is 0: give 0 or none")
        return 0
    if total is None:
        raise LinesError("these lines need an opened total: open it before deciding")
    return total


def _threshold(rules: RuleSet, net_fen: int, heads: int) -> tuple[str, VerdictReason]:
    annual = rules.per_head_monthly_fen * 12 * heads
    for outcome in rules.outcomes:
        if outcome.holds(net_fen, annual):
            return outcome.code, VerdictReason(outcome.kind, limit=outcome.limit)
    return rules.otherwise, VerdictReason("otherwise")


def _check_no_total(total: int | None) -> None:
    if total is not None:
        raise LinesError("a total was given that this verdict must not open: give none")


def _check_lines(rules: RuleSet, household: Household, lines: Sequence[VerdictLine]) -> None:
    if household.size < 1:
        raise LinesError("a household has at least one member: give its size")
    if not set(household.without_consent + household.invalid) <= set(range(1, household.size + 1)):
        raise LinesError("a member's position lies outside the household: count from 1")
    if not household.may_ask:
        if lines:
            raise LinesError("no question may leave for this household: give no lines")
        return
    expected = {(member, dataset) for member in range(1, household.size + 1) for dataset in rules.datasets}
    found = {(line.member, line.dataset) for line in lines}
    if len(found) != len(lines):
        raise LinesError("a line is there twice: give one for each member and dataset")
    if found != expected:
        missing, extra = len(expected - found), len(found - expected)
        raise LinesError(
            f"{missing} lines are missing and {extra} do not belong:"
            f" give one for each member and dataset of {rules.key}"
        )
