from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.demo.scenario.load import load
from node.rules.verdict import covers_region
from node.validation.documents import ScenarioError
from tests.node.demo import second_scenario

CASE = "cases/B-01.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return second_scenario.build(tmp_path / "scenario", residents=0)


def test_fields_are_read(folder: Path) -> None:
    scenario = load(folder)
    assert (scenario.network, scenario.epoch, scenario.pilot, scenario.suite) == (
        "messier",
        "2026-11",
        True,
        None,
    )
    assert sorted(scenario.rules) == ["deposits@2026.2", "fresh@2026.2", "means@2026.2"]
    care = scenario.datasets["welfare.care"]
    assert (care.title, care.unit, care.regions, care.secrecy) == (
        "welfare.care",
        "fen",
        ("3310", "3311"),
        "sensitive",
    )
    assert covers_region(care.regions, None)
    assert covers_region(care.regions, "331098")
    assert not covers_region(care.regions, "33")
    assert not covers_region(care.regions, "3305")
    wages = scenario.datasets["revenue.wages"]
    assert (wages.row_key, wages.period, wages.amount) == (
        ("批次", "序号"),
        "2025-11/2026-10",
        "金额（万元）",
    )
    assert [case.case for case in scenario.cases] == sorted(second_scenario.EXPECTED)
    assert scenario.cases[11].household[1].region == "330500"


def test_a_person_is_not_shown(folder: Path) -> None:
    person = load(folder).cases[0].household[0]
    assert person.id not in repr(load(folder).cases)
    assert person.name not in repr(person)


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def case(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: change_case(folder, lambda value: value.update(fields))


def person(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: change_case(folder, lambda value: value["household"][1].update(fields))


def change_case(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads((folder / CASE).read_text(encoding="utf-8"))
    change(value)
    (folder / CASE).write_text(json.dumps(value), encoding="utf-8")


NETWORK = "network.toml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited(NETWORK, 'epoch = "2026-11"', 'epoch = "2026.11"'), "network.toml: epoch: must be a label"),
        (edited(NETWORK, "pilot = true", 'pilot = "yes"'), "network.toml: pilot: must be true or false"),
        (edited(NETWORK, "pilot = true", "pilots = true"), "pilots: is not known here"),
        (edited(NETWORK, 'network = "messier"', 'network = "'), "network.toml: is not TOML"),
        (
            edited(NETWORK, 'roles = ["registrar"]', 'roles = ["clerk"]'),
            r"member\[2\].roles\[1\]: must be one of auditor",
        ),
        (
            edited(NETWORK, 'roles = ["registrar"]', "roles = []"),
            r"member\[2\].roles: is empty: give a list with at least one of auditor",
        ),
        (edited(NETWORK, 'roles = ["registrar"]', 'roles = ["auditor"]'), "no member has the role registrar"),
        (edited(NETWORK, '"sequencer", ', ""), "exactly one member must have the role sequencer"),
        (edited(NETWORK, 'id = "window"', 'id = "court"'), r"member\[\d\].id: is there twice"),
        (
            edited(NETWORK, 'id = "window"', 'id = "Window"'),
            r"member\[2\].id: must be a member's id: short, in lower case",
        ),
        (
            edited(NETWORK, 'id = "revenue.firms"', 'id = "tax.firms"'),
            r"dataset\[2\].id: must begin with the id of the member that owns it",
        ),
        (
            edited(NETWORK, 'id = "revenue.firms"', 'id = "revenue.wages"'),
            r"member\[\d\].dataset\[2\].id: is there twice",
        ),
        (
            edited(NETWORK, 'kind = "amount"', 'kind = "sum"'),
            r"dataset\[1\].kind: must be one of member, amount",
        ),
        (edited(NETWORK, 'unit = "wan"', 'unit = "万"'), r"dataset\[1\].unit: must be one of yuan, fen, wan"),
        (edited(NETWORK, 'unit = "wan"', ""), r"dataset\[1\].unit: is missing"),
        (
            edited(NETWORK, 'identifier = "holder"', 'unit = "fen"\nidentifier = "holder"'),
            'belongs to kind "amount"',
        ),
        (edited(NETWORK, '"csv:revenue', '"revenue'), r"dataset\[1\].source: must be a source"),
        (edited(NETWORK, '"2025-11/2026-10"', '"2025-11/2025-10"'), "must not end before it begins"),
        (edited(NETWORK, '"2026-10-31"', '"2026-10-32"'), "as_of: must be a date"),
        (edited(NETWORK, '["3310", "3311"]', "[3310]"), r"regions\[1\]: must be two to twelve digits"),
        (
            edited(NETWORK, 'roles = ["department"]', 'roles = ["auditor"]'),
            r"member\[\d\].dataset: are for a department: add department",
        ),
        (
            edited("rules/means.toml", "2026.2", "2027.1"),
            "cases/B-01.json: rules: names no readable rule set",
        ),
        (
            edited("rules/fresh.toml", '"fresh"', '"means"'),
            "rules/means.toml: version: id and version are those of rules/fresh.toml too",
        ),
        (edited("rules/fresh.toml", "income =", "incomes ="), "rules/fresh.toml: incomes: is not known here"),
        (edited("rules/fresh.toml", '"things.cars", ', '"welfare.x", '), None),
        (
            edited("rules/fresh.toml", 'veto = ["things.cars", ', 'deduct2 = ["things.cars", '),
            "deduct2: is not known",
        ),
        (
            edited("rules/fresh.toml", '["welfare.care"]', '["welfare.care", "bank.x"]'),
            None,
        ),
        (
            edited(NETWORK, 'kind = "member"', 'kind = "amount"\namount = "holder"\nunit = "fen"'),
            r'rules/\w+.toml: veto\[\d\]: needs a dataset of kind "member"',
        ),
        (case(office="window"), "cases/B-01.json: office: is not a member with the role office"),
        (case(case="B-02"), "cases/B-02.json: case: is the number of another case"),
        (case(case="../B"), "cases/B-01.json: case: must be a number"),
        (case(case="331098196001010013"), "case: looks like an identifier"),
        (case(applied="2.11.2026"), "cases/B-01.json: applied: must be a date"),
        (case(household=[]), "household: is empty: give a list of persons"),
        (case(household=["x"]), r"household\[1\]: must be a person: an object with name, id"),
        (case(more=1), "more: is not known here"),
        (person(consent="yes"), r"household\[2\].consent: must be one of signed, paper, guardian, none"),
        (person(consent=None), r"household\[2\].consent: is missing"),
        (person(id=331098196001010013), r"household\[2\].id: must be the identifier as a string"),
        (person(region=3310), r"household\[2\].region: must be two to twelve digits"),
        (person(regio="3310"), r"household\[2\].regio: is not known here"),
        (edited(CASE, "{", "["), "cases/B-01.json: is not JSON, correct it at line 1"),
        (edited(CASE, "{", '{"case": "B-01", '), "has a name twice in one object"),
        (lambda folder: (folder / CASE).write_text("[]"), "must be one object"),
        (lambda folder: (folder / CASE).write_bytes(b'{"case": "\xff"}'), "save it as UTF-8"),
        (
            lambda folder: (folder / NETWORK).unlink(),
            "network.toml: is missing: give the folder of a scenario",
        ),
    ],
)
def test_a_wrong_field_is_named(folder: Path, change: Callable[[Path], None], message: str | None) -> None:
    change(folder)
    if message is None:
        load(folder)
        return
    with pytest.raises(ScenarioError, match=message):
        load(folder)


def test_faults_of_one_part_hide_none_of_another(folder: Path) -> None:
    edited(NETWORK, 'epoch = "2026-11"', "epoch = 2026")(folder)
    edited(NETWORK, 'id = "window"', 'id = "Window"')(folder)
    edited(NETWORK, 'roles = ["office"]', 'roles = ["office", "sequencer"]')(folder)
    edited(NETWORK, 'id = "revenue.firms"', 'id = "tax.firms"')(folder)
    edited("rules/fresh.toml", "income =", "incomes =")(folder)
    person(consent="yes")(folder)
    with pytest.raises(ScenarioError) as caught:
        load(folder)
    fields = [(problem.file, problem.field) for problem in caught.value.problems]
    revenue = next(field for _, field in fields if field.endswith("dataset[2].id"))
    assert fields == [
        (NETWORK, "epoch"),
        (NETWORK, "member[2].id"),
        (NETWORK, revenue),
        (NETWORK, "member"),
        ("rules/fresh.toml", "incomes"),
        (CASE, "household[2].consent"),
        *[(file, "rules") for file, field in fields if field == "rules"],
    ], "neither a missing registrar nor a case without an office, which cannot be known"


def test_joined_roles_need_a_pilot(folder: Path) -> None:
    edited(NETWORK, 'roles = ["office"]', 'roles = ["office", "trustee"]')(folder)
    load(folder)
    edited(NETWORK, "pilot = true", "")(folder)
    with pytest.raises(
        ScenarioError, match=r"member\[\d\].roles: office and trustee are one member: part them"
    ):
        load(folder)


def test_all_problems_are_reported_and_no_value_is(folder: Path) -> None:
    secret = "331098196001010013"
    edited(NETWORK, 'epoch = "2026-11"', f'epoch = "{secret}.x"')(folder)
    edited("rules/fresh.toml", 'region = "3310"', f'region = "{secret}"')(folder)
    person(id=int(secret), consent=secret, relation="", region=secret, **{secret: 1})(folder)
    with pytest.raises(ScenarioError) as caught:
        load(folder)
    text = str(caught.value)
    assert secret not in text
    found = {(problem.file, problem.field) for problem in caught.value.problems}
    assert (NETWORK, "epoch") in found
    assert ("rules/fresh.toml", "region") in found
    assert {field for file, field in found if file == CASE} >= {
        "household[2].id",
        "household[2].consent",
        "household[2].relation",
        "household[2].region",
    }


def test_an_empty_folder_names_what_is_missing(folder: Path) -> None:
    for path in [*(folder / "rules").iterdir(), *(folder / "cases").iterdir()]:
        path.unlink()
    with pytest.raises(ScenarioError) as caught:
        load(folder)
    assert [problem.file for problem in caught.value.problems] == ["rules", "cases"]
