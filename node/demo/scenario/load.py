"""Read and validate a scenario folder; all problems are reported together.

Checked beyond single fields:

- member ids, dataset ids, case numbers and rule keys are unique; a dataset's id starts with its owner's id;
- there is exactly one sequencer, and at least one office, registrar and trustee; office and registrar, or
  office and trustee, are one member only in a pilot; only a department has datasets;
- a case names a rule set and an office of this folder;
- rules name amount datasets to add or subtract and member datasets to veto or exclude. A dataset in the rules
  that nobody publishes is no error: its lines are "not covered".

What may only follow from a fault that is reported already is not reported: that a role is missing, or that a
case names no office, is known only where every member can be read.

Raw files are not opened here: that is the adapters' work. Values are never repeated in a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from node.case import cases_in
from node.demo.scenario.model import NetworkTable, Scenario, ScenarioMember
from node.rules.ruleset import RulesError, RuleSet
from node.rules.ruleset import parse as parse_rules
from node.validation.decode import decode_toml
from node.validation.problems import Problem, ScenarioError
from node.validation.reading import read

NETWORK = "network.toml"
_KINDS = {"income": "amount", "deduct": "amount", "veto": "member", "exclude": "member"}
"""Kind of the datasets in each list of a rule set."""

_Read = list[ScenarioMember | None]
"""Members in the order of network.toml; None for one that has a fault."""


def load(folder: Path) -> Scenario:
    """Read a scenario folder.

    Raises:
        ScenarioError: with every problem found in network.toml, rules and cases.
    """
    path = folder / NETWORK
    if not path.is_file():
        raise ScenarioError([Problem(NETWORK, "", "is missing: give the folder of a scenario")])
    problems: list[Problem] = []
    value = decode_toml(path.read_bytes(), NETWORK, problems)
    if value is None:
        raise ScenarioError(problems)
    table = read(NetworkTable, value, NETWORK, problems)
    members = _members(value.get("member"), problems)
    is_pilot = value.get("pilot") is True if table is None else table.pilot
    problems.extend(_member_problems(members, is_pilot=is_pilot))
    rules = _rules(folder, problems)
    problems.extend(_kind_problems(rules, members))
    by_key = {found.key: found for found in rules.values()}
    offices = _with_role(members, "office") if None not in members else None
    cases = cases_in(folder, offices, by_key, problems)
    if table is None or problems:
        raise ScenarioError(problems)
    return Scenario(
        folder=folder,
        network=table.network,
        epoch=table.epoch,
        pilot=table.pilot,
        suite=table.suite,
        members=tuple(member for member in members if member is not None),
        rules=by_key,
        cases=cases,
    )


def _members(tables: object, problems: list[Problem]) -> _Read:
    """Every member; what is not a list of tables is a fault of the whole file."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return [None]
    return [
        read(ScenarioMember, table, NETWORK, problems, at=f"member[{place}]")
        for place, table in enumerate(tables, 1)
    ]


def _rules(folder: Path, problems: list[Problem]) -> dict[str, RuleSet]:
    """Every rule set that can be read, by its file's name."""
    found: dict[str, RuleSet] = {}
    keys: dict[str, str] = {}
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
        if rules.key in keys:
            remedy = f"id and version are those of {keys[rules.key]} too: change one's version"
            problems.append(Problem(name, "version", remedy))
        found[name], keys[rules.key] = rules, name
    return found


def _with_role(members: _Read, role: str) -> list[str]:
    return [member.id for member in members if member is not None and role in member.roles]


def _member_problems(members: _Read, *, is_pilot: bool) -> Iterator[Problem]:
    """What no member shows alone."""
    ids: list[str] = []
    datasets: list[str] = []
    for place, member in enumerate(members, 1):
        if member is None:
            continue
        at = f"member[{place}]"
        yield from _seen(f"{at}.id", member.id, ids)
        for number, dataset in enumerate(member.datasets, 1):
            yield from _seen(f"{at}.dataset[{number}].id", dataset.id, datasets)
        if not is_pilot:
            yield from _joined(at, member.roles)
    are_all_known = None not in members
    sequencers = len(_with_role(members, "sequencer"))
    if sequencers > 1 or (are_all_known and not sequencers):
        yield Problem(NETWORK, "member", "exactly one member must have the role sequencer: give it to one")
    for role in ("office", "registrar", "trustee"):
        if are_all_known and not _with_role(members, role):
            yield Problem(NETWORK, "member", f"no member has the role {role}: give it to one")


def _seen(field: str, identity: str, before: list[str]) -> Iterator[Problem]:
    """A problem where an id is there already."""
    if identity in before:
        yield Problem(NETWORK, field, "is there twice: change one id")
    before.append(identity)


def _joined(at: str, roles: Sequence[str]) -> Iterator[Problem]:
    """Roles of one member that only a pilot joins."""
    for role in ("registrar", "trustee"):
        if "office" in roles and role in roles:
            remedy = f"office and {role} are one member: part them, or mark the network pilot = true"
            yield Problem(NETWORK, f"{at}.roles", remedy)


def _kind_problems(rules: dict[str, RuleSet], members: _Read) -> Iterator[Problem]:
    """Datasets of a kind that the list they stand in cannot use."""
    kinds = {one.id: one.kind for member in members if member is not None for one in member.datasets}
    for file, found in rules.items():
        for name, kind in _KINDS.items():
            for place, identity in enumerate(getattr(found, name), 1):
                if kinds.get(identity, kind) != kind:
                    remedy = f'needs a dataset of kind "{kind}": correct the list or the dataset'
                    yield Problem(file, f"{name}[{place}]", remedy)
