from __future__ import annotations

import datetime as dt
import hashlib

import pytest

from node.demo.scenario.generate import RULES
from node.rules.ruleset import RulesError, parse


def test_the_example_parses() -> None:
    rules = parse(RULES.encode())
    assert rules.key == "dibao@2026.1"
    assert (rules.region, rules.effective, rules.per_head_monthly_fen) == (
        "3310",
        dt.date(2026, 1, 1),
        110_000,
    )
    assert rules.amounts == ("agri.subsidy", "hib.selfpaid", "sib.pension", "tax.income")
    assert len(rules.datasets) == 9
    assert [(o.code, o.kind, o.limit) for o in rules.outcomes] == [
        ("dibao", "at_most", "1.0"),
        ("edge", "below", "1.5"),
    ]
    assert (rules.otherwise, rules.max_age_days, rules.title) == ("none", None, None)
    assert rules.digest == hashlib.sha256(RULES.encode()).hexdigest()
    assert rules.source == RULES.encode()


def test_optional_fields() -> None:
    rules = parse(
        b'max_age_days = 0\ntitle = "t"\nnote = "n"\n' + RULES.replace('"2026-01-01"', "2026-01-01").encode()
    )
    assert (rules.max_age_days, rules.title, rules.effective) == (0, "t", dt.date(2026, 1, 1))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('id = "dibao"', "", "id: is missing"),
        ('version = "2026.1"', "version = 2026.1", "version: must be a label"),
        ('region = "3310"', "region = 3310", "region: must be two to twelve digits"),
        ('"2026-01-01"', '"2026-02-30"', "effective: must be a date"),
        ("= 110000", "= 1100.00", "per_head_monthly_fen: must be an integer"),
        ("= 110000", "= true", "per_head_monthly_fen: must be an integer"),
        ("= 110000", "= 0", "per_head_monthly_fen: must be an integer, 1 or more"),
        ("veto =", "vetos =", "vetos: is not known here"),
        ('"agri.subsidy"]', '"agri"]', r"income\[3\]: must be a dataset id"),
        ('"agri.subsidy"]', '"tax.income"]', r"income\[3\]: is there twice"),
        (
            'deduct = ["hib.selfpaid"]',
            'deduct = ["tax.income"]',
            r"deduct\[1\]: also stands in income: keep it in one list",
        ),
        ('at_most = "1.0"', "at_most = 1.0", r"outcome\[1\].at_most: must be a decimal in quotes"),
        ('at_most = "1.0"', 'at_most = "1e0"', r"outcome\[1\].at_most: must be a decimal in quotes"),
        ('at_most = "1.0"', 'at_most = "-1"', r"outcome\[1\].at_most: must be a decimal in quotes"),
        ('at_most = "1.0"', 'at_most = "1.0"\nbelow = "2"', r"outcome\[1\]: give exactly one"),
        ('at_most = "1.0"', "", r"outcome\[1\]: give exactly one"),
        ('code = "edge"', 'code = "dibao"', r"outcome\[2\].code: is the code of another outcome too"),
        ('code = "edge"', 'code = "vetoed"', r"outcome\[2\].code: is reserved"),
        ("[otherwise]", "[other]", "otherwise: is missing"),
        ("[[outcome]]", "[outcome]", "is not TOML"),
        ("income =", "max_age_days = -1\nincome =", "max_age_days: must be an integer, 0 or more"),
    ],
)
def test_a_wrong_field_is_named(old: str, new: str, field: str) -> None:
    assert old in RULES
    with pytest.raises(RulesError, match=field):
        parse(RULES.replace(old, new).encode(), "rules/x.toml")


def test_every_problem_is_reported_with_the_file() -> None:
    text = RULES.replace('region = "3310"', "").replace("= 110000", "= -1").replace("veto =", "vetos =")
    with pytest.raises(RulesError) as caught:
        parse(text.encode(), "rules/x.toml")
    assert [problem.field for problem in caught.value.problems] == ["region", "per_head_monthly_fen", "vetos"]
    assert all(line.startswith("rules/x.toml: ") for line in str(caught.value).splitlines())


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(RulesError, match="save it as UTF-8"):
        parse(RULES.encode("gb18030"))


def test_rules_that_ask_nothing_are_refused() -> None:
    lines = [
        line for line in RULES.splitlines() if not line.startswith(("income", "deduct", "veto", "exclude"))
    ]
    with pytest.raises(RulesError, match="at least one dataset"):
        parse("\n".join(lines).encode())


def test_faults_of_single_fields_hide_none_of_the_whole() -> None:
    text = (
        RULES.replace('region = "3310"', "region = 3310")
        .replace('deduct = ["hib.selfpaid"]', 'deduct = ["tax.income"]')
        .replace('code = "none"', 'code = "edge"')
    )
    with pytest.raises(RulesError) as caught:
        parse(text.encode())
    assert [problem.field for problem in caught.value.problems] == ["region", "deduct[1]", "otherwise.code"]


def test_a_copy_keeps_the_text_it_was_read_from() -> None:
    rules = parse(RULES.encode()).model_copy(update={"max_age_days": 30})
    assert (rules.source, rules.max_age_days) == (RULES.encode(), 30)
