"""The declaration of a dataset: what a department publishes, and where its rows come from.

A scenario's network.toml, a department's own file for ``hedui dataset publish`` and the request to publish
hold it in the same form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from adapters.dataset import DatasetSpec
from node.rules.ruleset import DatasetId, Label, Region
from node.validation.documents import Problem, ScenarioError, decode_toml
from node.validation.model import Date, Listed, NotedModel, Text, fault, missing, unique
from node.validation.reading import read, read_request

_Column = Annotated[Text, Field(description="a column")]


class DatasetDeclaration(NotedModel):
    """One dataset of a department and where its rows come from.

    Attributes:
        id: ``<owner>.<what>``.
        title: for people; the id where none is given.
        kind: "member" (is in the set) or "amount" (fen per person, rows of one person added).
        source: source URI as written; a file's path is relative to the declaration's folder.
        identifier: column that holds the identifier.
        amount: column that holds the amount; None for kind "member".
        unit: "yuan", "fen" or "wan" (10,000 yuan); None for kind "member".
        where: optional SQL condition over the source's columns.
        as_of: date the rows describe.
        secrecy: class of secrecy, "sensitive" where none is given.
        row_key: columns; rows with the same key count once. Empty: identical rows are all added.
        period: "YYYY-MM/YYYY-MM" the amounts cover, or None.
        regions: region prefixes covered; empty means every person.
    """

    id: DatasetId
    title: Text = Field(default_factory=lambda data: data.get("id", ""), description="a text")
    kind: Literal["member", "amount"]
    source: str = Field(
        pattern=r"(?s)^[a-z][a-z0-9+.-]*:.+$", description='a source such as "csv:tax/income.csv"'
    )
    identifier: Text = Field(description="the identifier's column")
    amount: Text | None = Field(default=None, validate_default=True, description="the amount's column")
    unit: Literal["yuan", "fen", "wan"] | None = Field(default=None, validate_default=True)
    where: Text | None = Field(default=None, description="an SQL condition")
    as_of: Date
    secrecy: Label = Field(default="sensitive", description="a class such as sensitive")
    row_key: Annotated[Listed[_Column], AfterValidator(unique)] = ()
    period: str | None = Field(
        default=None,
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])/[0-9]{4}-(0[1-9]|1[0-2])$",
        description='months such as "2025-11/2026-10"',
    )
    regions: Annotated[Listed[Region], AfterValidator(unique)] = ()

    @field_validator("amount", "unit")
    @classmethod
    def _only_of_amounts(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Kind "amount" has an amount and a unit, and kind "member" has neither."""
        kind = info.data.get("kind")
        if kind == "amount" and value is None:
            raise missing()
        if kind == "member" and value is not None:
            raise fault('belongs to kind "amount": remove it or change the kind')
        return value

    @field_validator("period")
    @classmethod
    def _ends_after_it_begins(cls, period: str | None) -> str | None:
        if period is not None and period[:7] > period[8:]:
            raise fault("must not end before it begins")
        return period

    @property
    def coverage(self) -> dict[str, Any]:
        """The coverage field of ``dataset.publish``."""
        value: dict[str, Any] = {"title": self.title}
        if self.period is not None:
            value["period"] = self.period
        if self.regions:
            value["regions"] = list(self.regions)
        return value

    def spec(self, folder: Path) -> DatasetSpec:
        """How the adapters read the rows.

        Args:
            folder: what a file source's path is relative to.
        """
        return DatasetSpec(
            source=self.source,
            identifier=self.identifier,
            kind=self.kind,
            amount=self.amount,
            unit=self.unit,
            where=self.where,
            row_key=self.row_key,
            root=folder,
        )

    @classmethod
    def parse(cls, value: object) -> DatasetDeclaration:
        """A declaration from the JSON form that ``to_json`` gives.

        Raises:
            RefusalError: ``malformed``, with every fault.
        """
        return read_request(cls, value, "dataset")

    def to_json(self) -> dict[str, Any]:
        """The JSON form, in which a request to publish names a dataset."""
        return self.model_dump(mode="json", exclude_none=True)


class _DatasetFile(NotedModel):
    """A department's own file of datasets."""

    datasets: Listed[DatasetDeclaration] = Field(
        default=(), alias="dataset", description="tables [[dataset]]"
    )


def read_dataset_file(data: bytes, name: str) -> tuple[DatasetDeclaration, ...]:
    """The ``[[dataset]]`` tables of a department's own file; none where it has none.

    Args:
        data: TOML, UTF-8.
        name: file name for messages.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    value = decode_toml(data, name, problems)
    found = None if value is None else read(_DatasetFile, value, name, problems)
    if found is None:
        raise ScenarioError(problems)
    return found.datasets
