"""The parts of a scenario, as frozen values.

    scenario/
      network.toml      network, epoch, pilot; members with roles; departments with datasets
      rules/*.toml      rule sets (node.rules)
      cases/*.json      applications
      <member>/…        that member's raw files

Identifiers are kept exactly as the case writes them: whether one is valid is the office's finding, not an
error of the folder. A ``Person`` shows neither name nor identifier in its ``repr``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.errors import ConfigurationError
from node.rules.ruleset import RuleSet
from node.rules.table import Problem

ROLES = ("auditor", "sequencer", "trustee", "registrar", "office", "department")
CONSENTS = ("signed", "paper", "guardian", "none")
NO_CONSENT = "none"


class ScenarioError(ConfigurationError):
    """A scenario folder is not well formed, or cannot be written.

    Attributes:
        problems: every problem found, each with file, field and remedy, never a value of a case.
    """

    code = "scenario"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Dataset:
    """One dataset of a department and where its rows come from.

    Attributes:
        id: ``<owner>.<what>``.
        title: for people; the id where none is given.
        kind: "member" (is in the set) or "amount" (fen per person, rows of one person added).
        source: source URI, relative to the scenario folder, as written.
        identifier: column holding the identifier.
        amount: column holding the amount; None for kind "member".
        unit: "yuan", "fen" or "wan" (10,000 yuan); None for kind "member".
        where: optional SQL condition over the source's columns.
        as_of: date the rows describe.
        secrecy: class of secrecy, "sensitive" where none is given.
        row_key: columns; rows with the same key count once. Empty: identical rows are all added.
        period: "YYYY-MM/YYYY-MM" the amounts cover, or None.
        regions: region prefixes covered; empty means every person.
    """

    id: str
    title: str
    kind: str
    source: str
    identifier: str
    amount: str | None
    unit: str | None
    where: str | None
    as_of: dt.date
    secrecy: str
    row_key: tuple[str, ...]
    period: str | None
    regions: tuple[str, ...]

    def covers(self, region: str | None) -> bool:
        """Whether a person who declared ``region`` is covered; one who declared none always is.

        A person's region and a dataset's are digit codes from the province down; the dataset covers the
        region itself and every region inside it.
        """
        return region is None or not self.regions or any(region.startswith(own) for own in self.regions)


@dataclass(frozen=True)
class Member:
    """A member of the network. ``datasets`` is empty unless it is a department."""

    id: str
    name: str
    roles: tuple[str, ...]
    datasets: tuple[Dataset, ...]


@dataclass(frozen=True)
class Person:
    """A member of a household, as the case writes it.

    Attributes:
        name: name as written.
        id: identifier as written, perhaps not valid, perhaps in an old or messy form.
        relation: to the applicant ("self" for the applicant).
        consent: "signed", "paper", "guardian" or "none".
        region: declared region of residence, digits, or None.
    """

    name: str = field(repr=False)
    id: str = field(repr=False)
    relation: str
    consent: str
    region: str | None


@dataclass(frozen=True)
class Case:
    """An application.

    Attributes:
        case: the case's number; also a file name, so it is never an identifier.
        rules: key of its rule set, ``<id>@<version>``.
        applied: date of the application.
        office: member id of the office that handles it.
        household: at least one person, in order; a position counts from 1.
    """

    case: str
    rules: str
    applied: dt.date
    office: str
    household: tuple[Person, ...]


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
    members: tuple[Member, ...]
    rules: Mapping[str, RuleSet]
    cases: tuple[Case, ...]

    def with_role(self, role: str) -> tuple[Member, ...]:
        """Members that hold ``role``, in order."""
        return tuple(member for member in self.members if role in member.roles)

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """Every dataset by id."""
        return {dataset.id: dataset for member in self.members for dataset in member.datasets}
