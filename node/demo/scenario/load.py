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

import re
import tomllib
from pathlib import Path
from typing import NoReturn

from node.case import MEMBER_ID, cases_in
from node.demo.scenario.model import ROLES, Scenario, ScenarioMember
from node.department.declaration import read_dataset
from node.rules.ruleset import LABEL, RulesError, RuleSet
from node.rules.ruleset import parse as parse_rules
from node.rules.table import Problem, ScenarioError, Table

_EPOCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,31}")
_NETWORK = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


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
    cases = cases_in(folder, offices, rules, problems)
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


def _member(table: Table) -> ScenarioMember:
    member = ScenarioMember(
        id=table.text("id", "a short id in lower case", MEMBER_ID),
        name=table.text("name", "a name"),
        roles=table.choices("roles", ROLES),
        datasets=tuple(
            read_dataset(entry)
            for entry in table.tables("dataset", "tables [[member.dataset]]", required=False)
        ),
    )
    table.finish()
    if member.datasets and "department" not in member.roles:
        table.refuse("roles", "add department: the member has datasets")
    for dataset in member.datasets:
        if dataset.id and not dataset.id.startswith(f"{member.id}."):
            table.refuse("dataset", f'{dataset.id}: its id must begin with the owner, "{member.id}."')
    return member


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
