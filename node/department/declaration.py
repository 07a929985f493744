"""Dataset declaration: one dataset of a department and where its rows come from."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from adapters.dataset import DatasetSpec
from node.case import REGION_REMEDY
from node.rules.ruleset import DATASET_ID, LABEL, REGION
from node.rules.table import Problem, ScenarioError, Table


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


_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])/[0-9]{4}-(0[1-9]|1[0-2])")
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:.+", re.DOTALL)
_DEFAULT_SECRECY = "sensitive"


def read_dataset(table: Table) -> Dataset:
    """One dataset from its table; problems are added to the table's list."""
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
        regions=table.texts("regions", REGION_REMEDY, REGION),
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


def read_datasets(tables: list[dict[str, object]], name: str) -> tuple[Dataset, ...]:
    """Datasets from ``[[dataset]]`` tables of a department's own file.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    found = tuple(
        read_dataset(Table(table, name, f"dataset {at}", problems)) for at, table in enumerate(tables, 1)
    )
    if problems:
        raise ScenarioError(tuple(problems))
    return found


@dataclass(frozen=True)
class DatasetOptions:
    """One dataset as ``network.toml`` or an operator describes it.

    Attributes:
        id, title, kind, secrecy, as_of: as on the ledger.
        spec: how its rows are read.
        period, regions: coverage.
    """

    id: str
    title: str
    kind: str
    secrecy: str
    as_of: str
    spec: DatasetSpec
    period: str | None
    regions: tuple[str, ...]

    @property
    def coverage(self) -> dict[str, Any]:
        """The coverage field of ``dataset.publish``."""
        value: dict[str, Any] = {"title": self.title}
        if self.period is not None:
            value["period"] = self.period
        if self.regions:
            value["regions"] = list(self.regions)
        return value
