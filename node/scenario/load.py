"""Read and validate a scenario folder; all problems are reported together.

Checked beyond single fields:

- member ids, dataset ids, case numbers and rule keys are unique; a dataset's id starts with its owner's id;
- there is exactly one sequencer, and at least one office, registrar and trustee; office and registrar, or
  office and trustee, are one member only in a pilot; only a department has datasets;
- a case names a rule set and an office of this folder;
- rules name amount datasets to add or subtract and member datasets to veto or exclude. A dataset in the rules
  that nobody publishes is no error: its lines are "not covered".

Raw files are not opened here: that is the adapters' work. Values are never repeated in a message.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import NoReturn

from node.rules.ruleset import DATASET_ID, LABEL, REGION, RulesError, RuleSet
from node.rules.ruleset import parse as parse_rules
from node.rules.table import Problem, Table
from node.scenario.model import CONSENTS, ROLES, Case, Dataset, Member, Person, Scenario, ScenarioError

_MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_EPOCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,31}")
_NETWORK = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])/[0-9]{4}-(0[1-9]|1[0-2])")
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:.+", re.DOTALL)
_RULES_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*@[0-9A-Za-z][0-9A-Za-z._-]*")
_LIKE_IDENTIFIER = re.compile(r"[0-9]{17}[0-9Xx]")
_REGION_REMEDY = "two to twelve digits, in quotes"
_DEFAULT_SECRECY = "sensitive"


def load(folder: Path) -> Scenario:
    """Read a scenario folder.

    Raises:
        ScenarioError: with every problem found in network.toml, rules and cases.
    """
    problems: list[Problem] = []
    network = _toml_table(folder, "network.toml", problems)
    members = tuple(_member(table) for table in network.tables("member", "tables [[member]]"))
    rules = _rules(folder, problems)
    offices = [member.id for member in members if "office" in member.roles]
    cases = _cases(folder, offices, rules, problems)
    scenario = Scenario(
        folder=folder,
        network=network.text("network", "a label such as s-county", _NETWORK),
        epoch=network.text("epoch", "a label such as 2026-11", _EPOCH),
        pilot=network.flag("pilot", absent=False),
        suite=network.text_or_none("suite", "a suite's name", LABEL),
        members=members,
        rules=rules,
        cases=cases,
    )
    network.finish()
    _check_members(network, scenario)
    _check_kinds(scenario, problems)
    if problems:
        raise ScenarioError(tuple(problems))
    return scenario


def _toml_table(folder: Path, name: str, problems: list[Problem]) -> Table:
    path = folder / name
    if not path.is_file():
        _stop(name, "is missing: give the folder of a scenario")
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        _stop(name, f"save it as UTF-8: byte {error.start} is not")
    except tomllib.TOMLDecodeError as error:
        _stop(name, f"is not TOML, correct it: {error}")
    return Table(value, name, "", problems)


def _stop(name: str, remedy: str) -> NoReturn:
    raise ScenarioError((Problem(name, "", remedy),))


def _member(table: Table) -> Member:
    member = Member(
        id=table.text("id", "a short id in lower case", _MEMBER_ID),
        name=table.text("name", "a name"),
        roles=table.choices("roles", ROLES),
        datasets=tuple(
            _dataset(entry) for entry in table.tables("dataset", "tables [[member.dataset]]", required=False)
        ),
    )
    table.finish()
    if member.datasets and "department" not in member.roles:
        table.refuse("roles", "add department: the member has datasets")
    for dataset in member.datasets:
        if dataset.id and not dataset.id.startswith(f"{member.id}."):
            table.refuse("dataset", f'{dataset.id}: its id must begin with the owner, "{member.id}."')
    return member


def _dataset(table: Table) -> Dataset:
    identity = table.text("id", 'an id like "tax.income"', DATASET_ID)
    kind = table.choice("kind", ("member", "amount"))
    amount, unit = _amount(table, kind)
    title = table.text_or_none("title", "a text")
    secrecy = table.text_or_none("secrecy", "a class such as sensitive", LABEL)
    dataset = Dataset(
        id=identity,
        title=identity if title is None else title,
        kind=kind,
        source=table.text("source", 'a source such as "csv:tax/income.csv"', _SOURCE),
        identifier=table.text("identifier", "the identifier's column"),
        amount=amount,
        unit=unit,
        where=table.text_or_none("where", "an SQL condition"),
        as_of=table.date("as_of"),
        secrecy=_DEFAULT_SECRECY if secrecy is None else secrecy,
        row_key=table.texts("row_key", "a column"),
        period=table.text_or_none("period", 'months such as "2025-11/2026-10"', _PERIOD),
        regions=table.texts("regions", _REGION_REMEDY, REGION),
    )
    table.finish()
    if dataset.period is not None and dataset.period[:7] > dataset.period[8:]:
        table.refuse("period", "must not end before it begins")
    return dataset


def _amount(table: Table, kind: str) -> tuple[str | None, str | None]:
    if kind == "amount":
        return table.text("amount", "the amount's column"), table.choice("unit", ("yuan", "fen", "wan"))
    for name in ("amount", "unit"):
        if table.has(name) and kind == "member":
            table.refuse(name, 'belongs to kind "amount": remove it or change the kind')
    return None, None


def _rules(folder: Path, problems: list[Problem]) -> dict[str, RuleSet]:
    found: dict[str, RuleSet] = {}
    paths = sorted((folder / "rules").glob("*.toml"))
    if not paths:
        problems.append(Problem("rules", "", "holds no rule set: add rules/<name>.toml"))
    for path in paths:
        name = f"rules/{path.name}"
        try:
            rules = parse_rules(path.read_bytes(), name)
        except RulesError as error:
            problems.extend(error.problems)
            continue
        if rules.key in found:
            problems.append(Problem(name, "version", f"{rules.key} is there twice: change one's version"))
        found[rules.key] = rules
    return found


def read_datasets(tables: list[dict[str, object]], name: str) -> tuple[Dataset, ...]:
    """Datasets from ``[[dataset]]`` tables of a department's own file.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    found = tuple(
        _dataset(Table(table, name, f"dataset {at}", problems)) for at, table in enumerate(tables, 1)
    )
    if problems:
        raise ScenarioError(tuple(problems))
    return found


def read_case(data: bytes, offices: list[str]) -> Case:
    """One application from the bytes of its file.

    Args:
        data: JSON, UTF-8.
        offices: ids of members that may handle it.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    table = _case_table(data, "case", problems)
    case = None if table is None else _case(table, offices)
    if problems or case is None:
        raise ScenarioError(tuple(problems))
    return case


def load_cases(folder: Path) -> tuple[Case, ...]:
    """Every application ``*.json`` of a folder, whichever office handles it.

    Raises:
        ScenarioError: with every problem found.
    """
    found: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        table = _case_table(path.read_bytes(), path.name, problems)
        if table is not None:
            found.append(_case(table, None))
    if problems:
        raise ScenarioError(tuple(problems))
    return tuple(found)


def _cases(
    folder: Path, offices: list[str], rules: dict[str, RuleSet], problems: list[Problem]
) -> tuple[Case, ...]:
    found: dict[str, Case] = {}
    for path in sorted((folder / "cases").glob("*.json")):
        name = f"cases/{path.name}"
        table = _case_table(path.read_bytes(), name, problems)
        if table is None:
            continue
        case = _case(table, offices)
        if case.case in found:
            table.refuse("case", "is the number of another case too: change one")
        found[case.case] = case
        if case.rules and case.rules not in rules:
            table.refuse(
                "rules", "names no readable rule set of this folder: add it under rules/ or correct it"
            )
    if not found:
        problems.append(Problem("cases", "", "holds no readable case: add cases/<number>.json"))
    return tuple(found[number] for number in sorted(found))


def _case_table(data: bytes, name: str, problems: list[Problem]) -> Table | None:
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        problems.append(Problem(name, "", f"save it as UTF-8: byte {error.start} is not"))
        return None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        problems.append(Problem(name, "", f"is not JSON, correct it at {where}: {error.msg}"))
        return None
    except _DoubledNameError:
        problems.append(Problem(name, "", "has a name twice in one object: remove one"))
        return None
    if not isinstance(value, dict):
        problems.append(Problem(name, "", "must be one object, one case a file"))
        return None
    return Table(value, name, "", problems)


class _DoubledNameError(Exception):
    """An object of a case has one name twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DoubledNameError
    return value


def _case(table: Table, offices: list[str] | None) -> Case:
    case = Case(
        case=table.text("case", "a number such as 2026-000123, letters, digits, dots and dashes", LABEL),
        rules=table.text("rules", 'a rule set as "dibao@2026.1"', _RULES_KEY),
        applied=table.date("applied"),
        office=table.text("office", "the office's member id", _MEMBER_ID),
        household=tuple(_person(entry) for entry in table.tables("household", "a list of persons")),
    )
    table.finish()
    if _LIKE_IDENTIFIER.search(case.case):
        table.refuse("case", "looks like an identifier and would become a file name: use a case number")
    if case.office and offices is not None and case.office not in offices:
        table.refuse("office", "is not a member with the role office: correct it")
    return case


def _person(table: Table) -> Person:
    person = Person(
        name=table.text("name", "a name"),
        id=table.any_text("id", "the identifier as a string"),
        relation=table.text("relation", "a relation such as self, spouse or child"),
        consent=table.choice("consent", CONSENTS),
        region=table.text_or_none("region", _REGION_REMEDY, REGION),
    )
    table.finish()
    return person


def _check_members(network: Table, scenario: Scenario) -> None:
    ids = [member.id for member in scenario.members if member.id]
    for identity in sorted({item for item in ids if ids.count(item) > 1}):
        network.refuse("member", f"{identity} is there twice: change one id")
    datasets = [dataset.id for member in scenario.members for dataset in member.datasets if dataset.id]
    for identity in sorted({item for item in datasets if datasets.count(item) > 1}):
        network.refuse("member.dataset", f"{identity} is there twice: change one id")
    if len(scenario.with_role("sequencer")) != 1:
        network.refuse("member", "exactly one member must have the role sequencer: give it to one")
    for role in ("office", "registrar", "trustee"):
        if not scenario.with_role(role):
            network.refuse("member", f"no member has the role {role}: give it to one")
    if not scenario.pilot:
        _check_parted(network, scenario)


def _check_parted(network: Table, scenario: Scenario) -> None:
    for member in scenario.with_role("office"):
        for role in ("registrar", "trustee"):
            if role in member.roles:
                network.refuse(
                    "member", f"{member.id} is office and {role}: part them, or mark the network pilot = true"
                )


def _check_kinds(scenario: Scenario, problems: list[Problem]) -> None:
    datasets = scenario.datasets
    wanted = {"income": "amount", "deduct": "amount", "veto": "member", "exclude": "member"}
    for key, rules in scenario.rules.items():
        for name, kind in wanted.items():
            for identity in getattr(rules, name):
                if identity in datasets and datasets[identity].kind not in (kind, ""):
                    remedy = f'needs kind "{kind}" for {identity}: correct the list or the dataset'
                    problems.append(Problem(f"rules {key}", name, remedy))
