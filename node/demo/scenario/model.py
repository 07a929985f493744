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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.case import Case
from node.department.declaration import Dataset
from node.rules.ruleset import RuleSet

ROLES = ("auditor", "sequencer", "trustee", "registrar", "office", "department")


@dataclass(frozen=True)
class ScenarioMember:
    """A member of the network. ``datasets`` is empty unless it is a department."""

    id: str
    name: str
    roles: tuple[str, ...]
    datasets: tuple[Dataset, ...]


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
    def datasets(self) -> Mapping[str, Dataset]:
        """Every dataset by id."""
        return {dataset.id: dataset for member in self.members for dataset in member.datasets}
