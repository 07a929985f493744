"""A scenario folder: its parts as frozen values, read and validated; all problems are reported together.

Checked beyond single fields:

- member ids, dataset ids, case numbers and rule keys are unique; a dataset's id starts with its owner's id;
- there is exactly one sequencer, and at least one office, registrar and trustee; roles that
  ``SEPARATE_ROLES`` keeps apart are one member only in a pilot; only a department has datasets;
- a case names a rule set and an office of this folder;
- rules name amount datasets to add or subtract and member datasets to veto or exclude. A dataset in the rules
  that nobody publishes is no error: its lines are "not covered".

What may only follow from a fault that is reported already is not reported: that a role is missing, or that a
case names no office, is known only where every member can be read.

Raw files are not opened here: that is the adapters' work. Values are never repeated in a message.

    scenario/
      network.toml      network, epoch, pilot; members with roles; departments with datasets
      rules/*.toml      rule sets (node.rules)
      cases/*.json      applications (node.case)
      <member>/…        that member's raw files
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ledger.contract.network import SEPARATE_ROLES
from ledger.entries.body_schema import ROLES
from node.case import Case, MemberId, cases_in
from node.department.declaration import DatasetDeclaration
from node.rules.ruleset import Label, RulesError, RuleSet
from node.rules.ruleset import parse as parse_rules
from node.validation.documents import Problem, ScenarioError, decode_toml
from node.validation.model import Listed, NotedModel, Place, Text, fault, faults_at, unique
from node.validation.node_toml import Role
from node.validation.reading import read

NETWORK = "network.toml"
_KINDS = {"income": "amount", "deduct": "amount", "veto": "member", "exclude": "member"}
"""Kind of the datasets in each list of a rule set."""


class ScenarioMember(NotedModel):
    """A member of the network. ``datasets`` is empty unless it is a department."""

    id: MemberId
    name: Text = Field(description="a name")
    roles: Annotated[Listed[Role], AfterValidator(unique)] = Field(
        min_length=1, description=f"a list with at least one of {', '.join(ROLES)}"
    )
    datasets: Listed[DatasetDeclaration] = Field(
        default=(), alias="dataset", description="tables [[member.dataset]]"
    )

    @field_validator("datasets")
    @classmethod
    def _belong_to_a_department(
        cls, datasets: tuple[DatasetDeclaration, ...], info: ValidationInfo
    ) -> tuple[DatasetDeclaration, ...]:
        """Only a department has datasets, and a dataset's id begins with its owner's."""
        if datasets and "department" not in info.data.get("roles", ("department",)):
            raise fault("are for a department: add department to the member's roles, or remove them")
        owner = info.data.get("id")
        others: list[tuple[Place, str]] = [
            ((at, "id"), "must begin with the id of the member that owns it, and a dot")
            for at, dataset in enumerate(datasets)
            if owner is not None and dataset.id.partition(".")[0] != owner
        ]
        if others:
            raise faults_at(others)
        return datasets


class NetworkTable(NotedModel):
    """network.toml with its members as they stand, so that each is read whether the others can be or not."""

    network: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$", description="a label such as s-county")
    epoch: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,31}$", description="a label such as 2026-11")
    pilot: bool = False
    suite: Label | None = Field(default=None, description="a suite's name")
    members: Listed[dict[str, Any]] = Field(
        alias="member", min_length=1, description="tables [[member]]", repr=False
    )


@dataclass(frozen=True)
class Scenario:
    """A whole scenario.

    Attributes:
        folder: the folder it was read from; sources are relative to it.
        network: the network's id.
        epoch: label of the publications' epoch.
        pilot: whether roles may be joined as only a pilot may.
        suite: name of the sum's suite, or None for the default.
        members: in the order of network.toml.
        rules: by key ``<id>@<version>``.
        cases: sorted by case number.
    """

    folder: Path
    network: str
    epoch: str
    pilot: bool
    suite: str | None
    members: tuple[ScenarioMember, ...]
    rules: Mapping[str, RuleSet]
    cases: tuple[Case, ...]

    def with_role(self, role: str) -> tuple[ScenarioMember, ...]:
        """Members that hold ``role``, in order."""
        return tuple(member for member in self.members if role in member.roles)

    @property
    def datasets(self) -> Mapping[str, DatasetDeclaration]:
        """Every dataset by id."""
        return {dataset.id: dataset for member in self.members for dataset in member.datasets}


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
    for one, other in SEPARATE_ROLES:
        if one in roles and other in roles:
            remedy = f"{one} and {other} are one member: part them, or mark the network pilot = true"
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
