"""Raw files of the departments in a generated scenario: their datasets, formats and rows.

An ``Export`` describes one dataset: its fields in network.toml and the form of its rows. A ``Sink`` writes
one file format row by row, so that a scenario of any size is written in bounded memory.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from openpyxl import Workbook

from node.demo.scenario import people

Cell = str | int | float
_BATCH = 5_000
_TABLES = {"tax.company_owner": "owners", "hib.selfpaid": "settlement", "housing.two_or_more": "houses"}
_AS_OF = "2026-10-31"
_PERIOD = "2025-11/2026-10"


@dataclass(frozen=True)
class ExportRow:
    """Content of one row: an identifier as written, a name, an amount in fen (0 for a member dataset)."""

    identity: str
    name: str
    fen: int


class Sink(Protocol):
    """Writer of one file, row by row; ``close`` completes the file."""

    def write(self, row: tuple[Cell, ...]) -> None:
        """Add one row."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True)
class Export:
    """One dataset.

    Attributes:
        fields: its fields in network.toml, except its source.
        scheme, path, options: the parts of its source.
        columns: the file's columns, in order.
        row: makes a row from (serial number from 1, content, rng).
        share: the share of the background residents that are in it.
        rows_of_one: the largest number of rows of one background resident; a home owner has up to three.
        quoted: whether every cell of a CSV file is quoted.
    """

    fields: dict[str, str | list[str]]
    scheme: str
    path: str
    options: str
    columns: tuple[str, ...]
    row: Callable[[int, ExportRow, Random], tuple[Cell, ...]]
    share: float
    rows_of_one: int = 1
    quoted: bool = False

    @property
    def id(self) -> str:
        """The dataset's id."""
        return str(self.fields["id"])

    @property
    def is_amount(self) -> bool:
        """Whether rows have an amount."""
        return self.fields["kind"] == "amount"

    @property
    def source(self) -> str:
        """Source URI as network.toml has it."""
        return f"{self.scheme}:{self.path}{self.options}"


class _CsvSink:
    def __init__(self, path: Path, export: Export) -> None:
        encoding = export.options.removeprefix("?encoding=")
        self._file = path.open("w", encoding=encoding, newline="")
        quoted = csv.writer(self._file, quoting=csv.QUOTE_ALL)
        self._writer = quoted if export.quoted else csv.writer(self._file)
        self._writer.writerow(export.columns)

    def write(self, row: tuple[Cell, ...]) -> None:
        self._writer.writerow(row)

    def close(self) -> None:
        self._file.close()


class _XlsxSink:
    def __init__(self, path: Path, export: Export) -> None:
        self._path = path
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet(export.options.removeprefix("?sheet="))
        self._sheet.append(export.columns)

    def write(self, row: tuple[Cell, ...]) -> None:
        self._sheet.append(row)

    def close(self) -> None:
        self._book.save(self._path)


class _SqliteSink:
    def __init__(self, path: Path, table: str, columns: tuple[str, ...]) -> None:
        self._connection = sqlite3.connect(path)
        kinds = ", ".join(
            f"{column} {'INTEGER' if column.endswith('_fen') else 'TEXT'}" for column in columns
        )
        self._connection.execute(f"CREATE TABLE {table} ({kinds})")
        self._insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - our own constants
        self._rows: list[tuple[Cell, ...]] = []

    def write(self, row: tuple[Cell, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._connection.commit()
        self._connection.close()

    def _flush(self) -> None:
        self._connection.executemany(self._insert, self._rows)
        self._rows.clear()


def open_sink(export: Export, folder: Path, stack: ExitStack) -> Sink:
    """Open the file of an export under ``folder``; the stack closes it."""
    path = folder / export.path
    path.parent.mkdir(parents=True, exist_ok=True)
    sink: Sink
    if export.scheme == "csv":
        sink = _CsvSink(path, export)
    elif export.scheme == "xlsx":
        sink = _XlsxSink(path, export)
    else:
        sink = _SqliteSink(path, _TABLES[export.id], export.columns)
    stack.callback(sink.close)
    return sink


def _tax(serial: int, entry: ExportRow, rng: Random) -> tuple[Cell, ...]:
    kind = rng.choice(("工资薪金", "经营所得")) if entry.fen >= 0 else "经营所得"
    return f"T{serial:08d}", entry.name, entry.identity, kind, people.yuan_text(entry.fen, rng)


def _pension(_serial: int, entry: ExportRow, rng: Random) -> tuple[Cell, ...]:
    amount = people.yuan_text(entry.fen, rng)
    return entry.name, entry.identity, rng.choice((amount, entry.fen / 100))


def _subsidy(_serial: int, entry: ExportRow, rng: Random) -> tuple[Cell, ...]:
    return entry.name, entry.identity, rng.choice(("耕地地力", "农机购置")), people.yuan_text(entry.fen, rng)


def _vehicle(serial: int, entry: ExportRow, rng: Random) -> tuple[Cell, ...]:
    return f"试{serial:06d}", entry.identity, rng.choice(("小型轿车", "普通客车"))


def _home(serial: int, entry: ExportRow, _rng: Random) -> tuple[Cell, ...]:
    return f"H{serial:08d}", entry.identity


def _dataset(
    identity: str, title: str, column: str, amount: str = "", unit: str = ""
) -> dict[str, str | list[str]]:
    kind = "amount" if amount else "member"
    found: dict[str, str | list[str]] = {"id": identity, "title": title, "kind": kind, "identifier": column}
    if amount:
        found |= {"amount": amount, "unit": unit, "period": _PERIOD}
    return found | {"as_of": _AS_OF, "secrecy": "sensitive"}


EXPORTS = (
    Export(
        _dataset("tax.income", "个人所得", "身份证号", "年收入", "yuan")
        | {"where": "税目 <> '稿酬'", "row_key": ["流水号"]},
        "csv",
        "tax/income.csv",
        "?encoding=gb18030",
        ("流水号", "姓名", "身份证号", "税目", "年收入"),
        _tax,
        0.4,
    ),
    Export(
        _dataset("tax.company_owner", "企业登记", "sfzh"),
        "sqlite",
        "tax/registry.db",
        "?table=owners",
        ("sfzh", "company"),
        lambda serial, entry, _rng: (entry.identity, f"虚构企业{serial}"),
        0.03,
    ),
    Export(
        _dataset("sib.pension", "养老金", "公民身份号码", "年发放额", "yuan"),
        "xlsx",
        "sib/pension.xlsx",
        "?sheet=养老金",
        ("姓名", "公民身份号码", "年发放额"),
        _pension,
        0.2,
    ),
    Export(
        _dataset("agri.subsidy", "农业补贴", "身份证", "金额", "yuan"),
        "csv",
        "agri/subsidy.csv",
        "?encoding=utf-8-sig",
        ("户主", "身份证", "项目", "金额"),
        _subsidy,
        0.2,
        quoted=True,
    ),
    Export(
        _dataset("hib.selfpaid", "医疗自付", "id_no", "self_fen", "fen") | {"regions": ["3310"]},
        "sqlite",
        "hib/settlement.db",
        "?table=settlement",
        ("settle_no", "id_no", "self_fen"),
        lambda serial, entry, _rng: (f"S{serial:08d}", entry.identity, entry.fen),
        0.15,
    ),
    Export(
        _dataset("vehicle.owner", "机动车", "所有人证件号") | {"where": "车辆类型 <> '残疾人专用'"},
        "csv",
        "vehicle/vehicles.csv",
        "?encoding=gb18030",
        ("号牌", "所有人证件号", "车辆类型"),
        _vehicle,
        0.2,
    ),
    Export(
        _dataset("housing.two_or_more", "两套及以上住房", "owner_id"),
        "sqlite",
        "housing/registry.db",
        "?query=SELECT owner_id FROM houses GROUP BY owner_id HAVING COUNT(*) >= 2",
        ("house_no", "owner_id"),
        _home,
        0.4,
        rows_of_one=3,
    ),
    Export(
        _dataset("justice.custody", "服刑人员", "证件号码"),
        "csv",
        "justice/custody.csv",
        "?encoding=utf-8",
        ("姓名", "证件号码"),
        lambda _serial, entry, _rng: (entry.name, entry.identity),
        0.005,
    ),
    Export(
        _dataset("police.deceased", "死亡登记", "公民身份号码"),
        "csv",
        "police/deceased.csv",
        "?encoding=utf-8-sig",
        ("公民身份号码", "死亡日期"),
        lambda _serial, entry, rng: (entry.identity, rng.choice(("2026-03-01", "2026年3月1日", "20260301"))),
        0.01,
        quoted=True,
    ),
)
"""Every dataset of a generated scenario, in the order of network.toml."""
