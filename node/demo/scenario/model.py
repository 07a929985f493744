"""The parts of a scenario, as frozen values.

scenario/
  network.toml      network, epoch, pilot; members with roles; departments with datasets
  rules/*.toml      rule sets (node.rules)
  cases/*.json      applications (node.case)
  <member>/…        that member's raw files
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ledger.entries.body_schema import ROLES
from node.case import Case, MemberId
from node.department.declaration import DatasetDeclaration
from node.rules.ruleset import Label, RuleSet
from node.validation.model import Listed, NotedModel, Place, Text, fault, faults_at, unique
from node.validation.node_toml import Role


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
