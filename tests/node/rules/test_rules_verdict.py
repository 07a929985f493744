from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.demo.scenario.generate import RULES
from node.rules.ruleset import Outcome, parse
from node.rules.verdict import (
    Household,
    LineAnswer,
    LinesError,
    VerdictLine,
    decide,
    needs_total,
    shown_answer,
    summed_lines,
    too_old,
)

DIBAO = parse(RULES.encode())
YEAR = 110_000 * 12

Changed = dict[tuple[int, str], LineAnswer]
MATCH, NO_MATCH, NOT_COVERED = LineAnswer


def lines_of(size: int, changed: Changed) -> list[VerdictLine]:
    places = [(member, dataset) for member in range(1, size + 1) for dataset in DIBAO.datasets]
    return [VerdictLine(*place, changed.get(place, NO_MATCH)) for place in places]


def codes(reasons: Iterable[object]) -> list[str]:
    return [str(getattr(reason, "code", "")) for reason in reasons]


INCOME = {(1, "tax.income"): MATCH}
VETO = {(1, "vehicle.owner"): MATCH}
CUSTODY_1 = {(1, "justice.custody"): MATCH}
DEAD_2 = {(2, "police.deceased"): MATCH}


@pytest.mark.parametrize(
    ("changed", "total", "outcome", "net", "heads", "first"),
    [
        (INCOME, 2 * YEAR, "dibao", 2 * YEAR, 2, "at_most"),
        (INCOME, 2 * YEAR + 1, "edge", 2 * YEAR + 1, 2, "below"),
        (INCOME, 3 * YEAR - 1, "edge", 3 * YEAR - 1, 2, "below"),
        (INCOME, 3 * YEAR, "none", 3 * YEAR, 2, "otherwise"),
        (INCOME, -5, "dibao", -5, 2, "at_most"),
        ({}, None, "dibao", 0, 2, "at_most"),
        ({}, 0, "dibao", 0, 2, "at_most"),
        ({(1, "hib.selfpaid"): MATCH}, -7, "dibao", -7, 2, "at_most"),
        (INCOME | VETO, None, "vetoed", None, 2, "veto"),
        (INCOME | VETO | DEAD_2, None, "vetoed", None, 1, "veto"),
        (INCOME | VETO | {(2, "tax.income"): NOT_COVERED}, None, "incomplete", None, 2, "not_covered"),
        ({(2, "justice.custody"): NOT_COVERED}, None, "incomplete", None, None, "not_covered"),
        (CUSTODY_1 | DEAD_2, None, "incomplete", None, 0, "no_counted_member"),
        (CUSTODY_1 | DEAD_2 | VETO, None, "incomplete", None, 0, "no_counted_member"),
        (CUSTODY_1 | VETO | INCOME, None, "dibao", 0, 1, "at_most"),
        (CUSTODY_1 | {(1, "tax.income"): NOT_COVERED}, None, "incomplete", None, 1, "not_covered"),
        (CUSTODY_1 | {(2, "tax.income"): MATCH}, YEAR + 1, "edge", YEAR + 1, 1, "below"),
        (CUSTODY_1 | {(1, "police.deceased"): MATCH}, None, "dibao", 0, 1, "at_most"),
    ],
)
def test_precedence(
    changed: Changed, total: int | None, outcome: str, net: int | None, heads: int | None, first: str
) -> None:
    lines = lines_of(2, changed)
    verdict = decide(DIBAO, Household(2), lines, total)
    assert (verdict.outcome, verdict.net_fen, verdict.heads) == (outcome, net, heads)
    assert verdict.reasons[0].code == first
    assert needs_total(DIBAO, lines) is (verdict.net_fen is not None)


def test_before_any_question() -> None:
    both = decide(DIBAO, Household(3, without_consent=(2, 3), invalid=(1,)), [])
    assert (both.outcome, both.net_fen, both.heads) == ("no_consent", None, None)
    assert [(reason.code, reason.member) for reason in both.reasons] == [("no_consent", 2), ("no_consent", 3)]
    invalid = decide(DIBAO, Household(3, invalid=(1,)), [])
    assert (invalid.outcome, invalid.heads) == ("incomplete", None)
    assert codes(invalid.reasons) == ["invalid_identifier"]
    assert not needs_total(DIBAO, [])


def test_excluded_members_are_named_after_the_deciding_ground() -> None:
    verdict = decide(DIBAO, Household(2), lines_of(2, CUSTODY_1))
    assert codes(verdict.reasons) == ["at_most", "excluded"]
    assert (verdict.reasons[1].member, verdict.reasons[1].dataset) == (1, "justice.custody")


def test_lines_that_do_not_fit_are_refused() -> None:
    lines = lines_of(2, {})
    for wrong, reason in (
        (lines[1:], "1 lines are missing"),
        ([*lines, lines[0]], "there twice"),
        ([*lines, VerdictLine(1, "tax.other", NO_MATCH)], "1 do not belong"),
        ([*lines[1:], VerdictLine(3, lines[0].dataset, NO_MATCH)], "1 lines are missing and 1 do not belong"),
    ):
        with pytest.raises(LinesError, match=reason):
            decide(DIBAO, Household(2), wrong)
    for household, reason in (
        (Household(2, invalid=(1,)), "give no lines"),
        (Household(0), "at least one member"),
        (Household(2, invalid=(3,)), "outside the household"),
    ):
        with pytest.raises(LinesError, match=reason):
            decide(DIBAO, household, lines)


@pytest.mark.parametrize(
    ("changed", "total", "reason"),
    [
        (INCOME, None, "need an opened total"),
        ({}, 1, "the total is 0"),
        (INCOME | VETO, 0, "must not open"),
        ({(1, "tax.income"): NOT_COVERED}, 5, "must not open"),
    ],
)
def test_a_total_that_does_not_fit_is_refused(changed: Changed, total: int | None, reason: str) -> None:
    with pytest.raises(LinesError, match=reason):
        decide(DIBAO, Household(2), lines_of(2, changed), total)


def test_terms_and_shown_answers() -> None:
    lines = lines_of(2, INCOME | {(2, "hib.selfpaid"): MATCH} | CUSTODY_1)
    assert [(line.member, line.dataset) for line in summed_lines(DIBAO, lines)] == [(2, "hib.selfpaid")]
    shown = {(line.member, line.dataset): shown_answer(DIBAO, line) for line in lines}
    assert shown[1, "tax.income"] == "summed"
    assert shown[1, "justice.custody"] == "match"
    assert shown[2, "tax.income"] == "no_match"


def test_age_of_a_source() -> None:
    applied = dt.date(2026, 11, 2)
    limited = DIBAO.model_copy(update={"max_age_days": 30})
    assert not too_old(limited, dt.date(2026, 10, 3), applied)
    assert too_old(limited, dt.date(2026, 10, 2), applied)
    assert not too_old(limited, dt.date(2027, 1, 1), applied)
    assert not too_old(DIBAO, dt.date(1990, 1, 1), applied)


@given(
    net=st.integers(-(10**14), 10**14),
    heads=st.integers(1, 40),
    standard=st.integers(1, 10**8),
    whole=st.integers(0, 999),
    decimals=st.text("0123456789", max_size=9),
)
def test_thresholds_equal_fractions(net: int, heads: int, standard: int, whole: int, decimals: str) -> None:
    limit = f"{whole}.{decimals}" if decimals else str(whole)
    exact = Fraction(net, 12 * heads * standard)
    bound = whole + Fraction(int(decimals or "0"), 10 ** len(decimals))
    annual = standard * 12 * heads
    assert Outcome(code="a", at_most=limit).holds(net, annual) is (exact <= bound)
    assert Outcome(code="a", below=limit).holds(net, annual) is (exact < bound)


@given(
    heads=st.integers(1, 40),
    standard=st.integers(1, 10**8),
    limit=st.sampled_from(["1.0", "1.5", "0.001", "2"]),
)
def test_thresholds_at_the_very_fen(heads: int, standard: int, limit: str) -> None:
    annual = standard * 12 * heads
    bound = annual * Fraction(limit)
    edge = bound.numerator // bound.denominator
    exact = bound.denominator == 1
    assert Outcome(code="a", at_most=limit).holds(edge, annual)
    assert not Outcome(code="a", at_most=limit).holds(edge + 1, annual)
    assert Outcome(code="a", below=limit).holds(edge, annual) is not exact
