"""A report as typed documents: it reads back exactly what was written, and nothing that lacks its form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger import canonical
from node.report.parts import HouseholdReport, ReportPartError
from tests.node.report.breaking import decoded
from tests.node.report.households import OUTCOMES, report

Change = Callable[[dict[str, Any]], object]

CHANGES: dict[str, Change] = {
    "the report lacks salt": lambda value: value.pop("salt"),
    "the report has a field": lambda value: value.update(note="x"),
    "a date, YYYY-MM-DD": lambda value: value.update(applied="2026-13-01"),
    "the ledger's part lacks checkpoint": lambda value: value["ledger"].pop("checkpoint"),
    "an entry lacks leaf": lambda value: value["ledger"]["entries"][0].pop("leaf"),
    "an entry, path: must be 32 bytes": lambda value: value["ledger"]["entries"][0].update(path=["00"]),
    "a line, member: must be an integer from 1": lambda value: value["lines"][0].update(member=0),
    "a line, answer: must be one of": lambda value: value["lines"][0].update(answer="maybe"),
    "a line, reason: ": lambda value: value["lines"][0].update(reason="tired"),
    "a line, evidence: ": lambda value: value["lines"][0].update(evidence={}),
    "the total, net_fen: must be an integer": lambda value: value["total"].update(net_fen="1"),
    "the verdict, heads: must be an integer from 0": lambda value: value["verdict"].update(heads=-1),
    "a reason lacks limit": lambda value: value["verdict"]["reasons"][0].pop("limit"),
    "the rules part lacks text": lambda value: value["rules"].pop("text"),
    "the household, size: ": lambda value: value["household"].update(size=0),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_report_reads_back_as_written(outcome: str) -> None:
    parsed = HouseholdReport.parse(decoded(outcome))
    assert canonical.encode(parsed.to_json()) == report(outcome)


@pytest.mark.parametrize("message", CHANGES)
def test_a_malformed_part_is_named(message: str) -> None:
    value = decoded("total")
    CHANGES[message](value)
    with pytest.raises(ReportPartError) as caught:
        HouseholdReport.parse(value)
    assert message in str(caught.value)


def test_a_refusal_is_a_document_and_its_signature() -> None:
    value = decoded("no_consent")
    del value["refusal"]["signature"]
    with pytest.raises(ReportPartError, match="the refusal's part lacks signature"):
        HouseholdReport.parse(value)
