"""Every case has a report that verifies, whatever its outcome, and holds no identity."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.errors import ServiceUnavailableError
from node.messages.catalogue import Messages
from node.office.report import build_openings, build_report, write_report
from node.report.findings import CHECK_TEXTS, CHECKS
from node.report.form import seal_message
from node.report.html import mask_name, people_of, people_of_openings, render, yuan
from node.report.verify import verify_report
from tests.node.report.households import OUTCOMES, finished, report
from tests.node.report.world import IDS, world

EXPECTED = {
    "total": ("dibao", 1_200_000, 2),
    "single": ("dibao", 50_000, 2),
    "no_rows": ("dibao", 0, 1),
    "vetoed": ("vetoed", None, 2),
    "gaps": ("incomplete", None, 2),
    "region": ("incomplete", None, 2),
    "nothing": ("incomplete", None, None),
    "no_consent": ("no_consent", None, None),
    "invalid": ("incomplete", None, None),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_report_of_every_outcome_is_valid(outcome: str) -> None:
    data = report(outcome)
    assert verify_report(data, world().policy) == []
    assert verify_report(data, world().policy, build_openings(finished(outcome))) == []
    verdict = json.loads(data)["verdict"]
    assert (verdict["outcome"], verdict["net_fen"], verdict["heads"]) == EXPECTED[outcome]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_identity_is_in_a_report(outcome: str) -> None:
    text, case = report(outcome).decode(), finished(outcome).case
    for person in case.household:
        assert person.id not in text
        assert person.name not in text
    for blind in finished(outcome).inquiry.blinds:
        assert blind.to_bytes(32, "little").hex() not in text
    assert json.loads(text)["openings"] is None or "consents" not in json.loads(text)["openings"]


def test_the_reasons_of_gaps_are_those_of_the_check() -> None:
    lines = {(line["member"], line["dataset"]): line for line in json.loads(report("gaps"))["lines"]}
    assert lines[1, "bank.deposit"]["reason"] == "unpublished"
    assert lines[1, "tax.owner"]["reason"] == "refused_grant"
    assert lines[1, "tax.income"]["answer"] == "summed"
    old = lines[1, "housing.local"]
    assert (old["answer"], old["reason"]) == ("not_covered", "too_old")
    assert old["evidence"] is not None, "evidence is kept where only coverage fails"
    elsewhere = {(line["member"], line["dataset"]): line for line in json.loads(report("region"))["lines"]}
    assert elsewhere[1, "housing.local"]["reason"] == "region"
    assert elsewhere[2, "housing.local"]["reason"] is None


def test_two_reports_of_one_check_differ_by_their_salt() -> None:
    again = build_report(world().services, finished("vetoed"))
    assert again != report("vetoed")
    assert verify_report(again, world().policy) == []


def test_the_seal_covers_everything_but_itself() -> None:
    value = json.loads(report("nothing"))
    message = seal_message(value)
    assert seal_message({**value, "seal": None}) == message
    assert all(seal_message({**value, name: "x"}) != message for name in value if name != "seal")


def test_write_report_puts_identities_apart(tmp_path: Path) -> None:
    made = finished("total")
    data = write_report(world().services, made, tmp_path)
    number = made.case.case
    assert (tmp_path / f"{number}.json").read_bytes() == data
    openings = world().services.configuration.home.openings / f"{number}.json"
    assert openings.stat().st_mode & 0o777 == 0o600
    assert verify_report(data, world().policy, openings.read_bytes()) == []
    page = (tmp_path / f"{number}.html").read_text()
    assert "王*" in page
    assert all(person.id not in page and person.name not in page for person in made.case.household)


def test_a_report_waits_for_its_entries() -> None:
    never: Any = SimpleNamespace(network="", policy=world().policy, wait_for=lambda ready, seconds: False)
    services = replace(world().services, ledger=never)
    with pytest.raises(ServiceUnavailableError):
        build_report(services, finished("total"))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_page_says_what_the_report_says(outcome: str) -> None:
    made = finished(outcome)
    page = render(report(outcome), people_of(made.case))
    for stage in ("接受申请", "信息获取", "信息核对", "出具报告", "结果复核", "Application accepted"):
        assert stage in page
    assert made.case.case in page
    assert made.rules.key in page
    assert "人工复核" in page
    assert "None" not in page
    assert not re.search(r"https?://", page), "self-contained"
    single = "Only one row went into the total" in page
    assert single == (outcome == "single")
    if outcome == "total":
        assert "12,000.00" in page
        assert "3310**********" in page
    if outcome == "nothing":
        assert "核对机构没有该数据项的查询许可" in page


def test_the_page_hides_an_identifier_in_a_relation() -> None:
    case = finished("total").case
    people = people_of(case)
    old: Any = SimpleNamespace(
        household=[
            SimpleNamespace(name=one.name, id=one.id, relation="户主331099194801020333", consent=one.consent)
            for one in case.household
        ]
    )
    shown = people_of(old)
    assert [one.relation for one in shown] == ["户主" + "*" * 18] * len(people)
    page = render(report("total"), shown)
    assert "331099194801020333" not in page
    assert "户主" + "*" * 18 in page


def test_the_page_escapes_what_it_shows() -> None:
    people = people_of_openings({"persons": [{"name": "<b>", "identifier": IDS[0]}] * 2})
    page = render(report("vetoed"), people)
    assert "&lt;**" in page
    assert "<**" not in page
    assert people[0].identifier == IDS[0][:4] + "*" * 10 + IDS[0][-4:]


def test_names_and_amounts_as_people_read_them() -> None:
    assert [mask_name(name) for name in ("", "王", "王小明", "阿依古丽·买买提")] == [
        "",
        "王",
        "王**",
        "阿*******",
    ]
    assert [yuan(fen) for fen in (0, 5, -5, 123_456_789, -100)] == [
        "0.00",
        "0.05",
        "-0.05",
        "1,234,567.89",
        "-1.00",
    ]


def test_every_check_has_a_text() -> None:
    assert set(CHECKS) == set(CHECK_TEXTS)
    assert all(Messages("zh").translate(text) != text for text in CHECK_TEXTS.values())
