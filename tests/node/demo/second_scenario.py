"""A scenario that shares nothing with the generated one: members, columns, units, standard and rule sets.

Seven members, eight datasets, three rule sets: ``means`` asks what is published, ``deposits`` also asks for
a dataset nobody publishes, ``fresh`` finds the pension data too old. ``EXPECTED`` holds the answers.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import Workbook

STANDARD = 98_765
YEAR = STANDARD * 12
HALF_AS_MUCH_AGAIN = YEAR * 3 // 2

EXPECTED = {
    "B-01": ("dibao", YEAR * 2, 2),  # exactly at the standard
    "B-02": ("edge", YEAR * 2 + 1, 2),  # one fen above
    "B-03": ("none", HALF_AS_MUCH_AGAIN, 1),  # exactly 1.5 times
    "B-04": ("edge", HALF_AS_MUCH_AGAIN - 1, 1),  # one fen below
    "B-05": ("dibao", -1_234_567, 2),  # a loss
    "B-06": ("dibao", 500_000, 1),  # a deceased member, whose pension and car do not count
    "B-07": ("incomplete", None, 0),  # everyone in custody
    "B-08": ("no_consent", None, None),
    "B-09": ("vetoed", None, 2),  # two homes and a firm
    "B-10": ("dibao", 0, 1),  # no row at all
    "B-11": ("incomplete", None, None),  # invalid identifier
    "B-12": ("incomplete", None, 2),  # a person outside the care data's region
    "B-13": ("incomplete", None, None),  # a person outside an exclude dataset's region
    "B-14": ("incomplete", None, 1),  # deposits: nobody publishes them
    "B-15": ("incomplete", None, 1),  # deposits: nor does a veto decide then
    "B-16": ("incomplete", None, 1),  # fresh: the pension data are too old
    "B-17": ("none", 80_000_000, 2),  # one person in three amount datasets, in several forms
}

_NETWORK = """\
network = "messier"
epoch = "2026-11"
pilot = true
{suite}
[[member]]
id = "court"
name = "审计署派出局"
roles = ["auditor", "sequencer", "trustee"]
[[member]]
id = "window"
name = "便民窗口"
roles = ["registrar"]
[[member]]
id = "bureau"
name = "核对办"
roles = ["office"]
[[member]]
id = "revenue"
name = "税局"
roles = ["department"]
[[member.dataset]]
id = "revenue.wages"
title = "工资与经营"
kind = "amount"
source = "csv:revenue/wages 2026.csv?encoding=gb18030"
identifier = "证件号"
amount = "金额（万元）"
unit = "wan"
row_key = ["批次", "序号"]
as_of = "2026-10-31"
period = "2025-11/2026-10"
[[member.dataset]]
id = "revenue.firms"
kind = "member"
source = "sqlite:revenue/firms.db?query=SELECT holder, COUNT(*) FROM firms WHERE status='open' GROUP BY 1"
identifier = "holder"
as_of = "2026-10-31"
[[member]]
id = "welfare"
name = "社保"
roles = ["department"]
[[member.dataset]]
id = "welfare.pension"
kind = "amount"
source = "xlsx:welfare/pension.xlsx?sheet=发放"
identifier = "公民身份号码"
amount = "金额"
unit = "yuan"
where = "状态 = '正常'"
as_of = "2026-08-31"
[[member.dataset]]
id = "welfare.care"
kind = "amount"
source = "sqlite:welfare/care.db?table=care"
identifier = "id_no"
amount = "paid"
unit = "fen"
as_of = "2026-10-30"
regions = ["3310", "3311"]
secrecy = "sensitive"
[[member]]
id = "things"
name = "登记中心"
roles = ["department"]
[[member.dataset]]
id = "things.cars"
kind = "member"
source = "csv:things/cars.csv"
identifier = "owner"
as_of = "2026-10-31"
[[member.dataset]]
id = "things.homes"
kind = "member"
source = "sqlite:things/homes.db?query=SELECT owner FROM homes GROUP BY owner HAVING COUNT(*) >= 2"
identifier = "owner"
as_of = "2026-10-31"
[[member]]
id = "safety"
name = "公安司法"
roles = ["department"]
[[member.dataset]]
id = "safety.custody"
kind = "member"
source = "csv:safety/custody.csv?encoding=utf-8-sig"
identifier = "证件"
as_of = "2026-10-31"
[[member.dataset]]
id = "safety.deceased"
kind = "member"
source = "csv:safety/deceased.csv?encoding=gb18030"
identifier = "证件"
as_of = "2026-10-31"
regions = ["33"]
"""

_RULES = """\
id = "{id}"
version = "2026.2"
region = "3310"
effective = 2026-01-01
per_head_monthly_fen = 98765
{extra}
income = ["revenue.wages", "welfare.pension"]
deduct = ["welfare.care"]
veto = ["things.cars", "things.homes", "revenue.firms"{veto}]
exclude = ["safety.custody", "safety.deceased"]
[[outcome]]
code = "dibao"
at_most = "1"
[[outcome]]
code = "edge"
below = "1.50"
[otherwise]
code = "none"
"""

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def identity(number: int, year: int = 1960) -> str:
    """A valid identifier of an address code that is not allotted."""
    first17 = f"331098{year}{1 + number % 12:02d}{1 + number % 28:02d}{1 + number:03d}"
    return first17 + "10X98765432"[sum(int(d) * w for d, w in zip(first17, _WEIGHTS, strict=True)) % 11]


def ending_in_x(start: int) -> str:
    return next(
        found for found in (identity(n, 1971) for n in range(start, start + 900)) if found.endswith("X")
    )


def wide(text: str) -> str:
    return "".join(chr(ord(mark) + 0xFEE0) for mark in text)


def old(text: str) -> str:
    return text[:6] + text[8:17]


class _Files:
    """Rows by dataset, and the cases."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {}
        self.cases: list[dict[str, Any]] = []
        self.serial = 0

    def wages(self, who: str, fen: int, *, text: str | None = None, times: int = 1) -> None:
        """In wan, to the fen; ``times`` copies with one row key."""
        self.serial += 1
        amount = f"{Decimal(fen) / 1_000_000:f}" if text is None else text
        self.add("wages", ("P1", self.serial, who, amount), times)

    def pension(self, who: Any, amount: Any, state: str = "正常") -> None:
        self.add("pension", (who, amount, state))

    def care(self, who: str, fen: int) -> None:
        self.add("care", (who, fen))

    def add(self, dataset: str, row: tuple[Any, ...], times: int = 1) -> None:
        self.rows.setdefault(dataset, []).extend([row] * times)

    def case(self, rules: str, *household: str | tuple[str, dict[str, str]]) -> None:
        people = []
        for place, entry in enumerate(household):
            who, more = (entry, {}) if isinstance(entry, str) else entry
            relation = "spouse" if place else "self"
            people.append(
                {"name": f"钱某{place}", "id": who, "relation": relation, "consent": "paper"} | more
            )
        number = f"B-{len(self.cases) + 1:02d}"
        self.cases.append(
            {
                "case": number,
                "rules": f"{rules}@2026.2",
                "applied": "2026-11-02",
                "office": "bureau",
                "household": people,
            }
        )


def build(folder: Path, residents: int = 60, suite: str | None = None) -> Path:
    """Write the scenario into ``folder``, which is made."""
    files = _Files()
    people = (identity(number) for number in range(900))
    _first_cases(files, people)
    _more_cases(files, people)
    _others(files, residents)
    for name in ("rules", "cases", "revenue", "welfare", "things", "safety"):
        (folder / name).mkdir(parents=True)
    network = _NETWORK.format(suite="" if suite is None else f'suite = "{suite}"')
    (folder / "network.toml").write_text(network, encoding="utf-8")
    for name, extra, veto in (
        ("means", 'title = "经济状况"', ""),
        ("deposits", "", ', "bank.deposits"'),
        ("fresh", "max_age_days = 30", ""),
    ):
        text = _RULES.format(id=name, extra=extra, veto=veto)
        (folder / "rules" / f"{name}.toml").write_text(text, encoding="utf-8")
    for case in files.cases:
        (folder / "cases" / f"{case['case']}.json").write_text(json.dumps(case), encoding="utf-8")
    _write(folder, files.rows)
    return folder


def _first_cases(files: _Files, people: Iterator[str]) -> None:
    a, b = next(people), next(people)
    files.wages(old(a), YEAR, times=3)
    files.pension(wide(b), "11,851.80")
    files.case("means", a, wide(b))
    x, b = ending_in_x(0), next(people)
    files.wages(x.lower(), YEAR + 1)
    files.pension(f"'{b}", 11_851.8)
    files.case("means", x.lower(), old(b))
    a = next(people)
    files.wages(f'"{a}"', HALF_AS_MUCH_AGAIN - 1_000_000, times=2)
    files.pension(a, "1万")
    files.case("means", a)
    a = next(people)
    files.wages(f" {a} ", HALF_AS_MUCH_AGAIN + 99_999)
    files.care(old(a), 100_000)
    files.case("means", a)
    a, b = next(people), next(people)
    files.wages(a, -2_234_567)
    files.pension(b, "10,000.00")
    files.pension(b, "99,999.00", "停发")
    files.case("means", a, b)
    a, b = next(people), next(people)
    files.pension(a, 5000)
    files.pension(b, "88,888.88")
    files.add("cars", (f"{b[:6]} {b[6:]}",))
    files.add("deceased", (old(b),))
    files.case("means", a, b)
    a, b = next(people), next(people)
    files.add("custody", (wide(a),))
    files.add("custody", (b,), 2)
    files.pension(a, 1)
    files.case("means", a, b)


def _more_cases(files: _Files, people: Iterator[str]) -> None:
    files.case("means", next(people), (next(people), {"consent": "none"}))
    a, b = next(people), next(people)
    files.add("homes", (a,), 2)
    files.add("firms", (b, "open"))
    files.wages(a, 1)
    files.case("means", a, b)
    a = next(people)
    files.add("homes", (a,))
    files.add("firms", (a, "closed"))
    files.case("means", a)
    a, b = next(people), next(people)
    files.case("means", a, b[:17] + ("1" if b[17] == "0" else "0"))
    files.case("means", next(people), (next(people), {"region": "330500"}))
    files.case("means", (next(people), {"region": "331098"}), (next(people), {"region": "4401"}))
    a, b = next(people), next(people)
    files.pension(a, 100)
    files.case("deposits", a)
    files.add("cars", (b,))
    files.case("deposits", b)
    a = next(people)
    files.pension(a, 100)
    files.case("fresh", a)
    a, b = next(people), next(people)
    for form, text in ((a, "20"), (old(a), "30万"), (wide(a), "1.000001"), (f"'{a}", "38.999999")):
        files.wages(form, 0, text=text)
    files.pension(a, "100,000.00")
    files.pension(a, "100,000.00")
    files.care(a, 30_000_000)
    files.case("means", a, b)


def _others(files: _Files, residents: int) -> None:
    """People of no case and rows that are bad."""
    for number in range(residents):
        who = identity(number, 1985)
        files.wages(who, number * 12_345)
        files.pension(who if number % 3 else int(old(who)), number)
        files.add("homes", (who,), number % 4)
        files.add("cars", (who,), number % 2)
        files.care(who, number)
    good = identity(0, 1985)
    for bad in (
        "",
        "3.31098E+17",
        good[:17] + ("1" if good[17] == "0" else "0"),
        "331098198502300011",
        "某某",
    ):
        files.wages(bad, 100)
        files.pension(bad, "1.00")
        files.add("custody", (bad,))
        files.add("deceased", (bad,))
        files.add("cars", (bad,))
    files.wages(identity(1, 1985), 0, text="不详")
    files.pension(identity(2, 1985), None)
    files.add("deceased", (identity(3, 1985),))
    files.add("custody", (identity(4, 1985),))


def _write(folder: Path, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    _csv(
        folder / "revenue/wages 2026.csv",
        "gb18030",
        ("批次", "序号", "证件号", "金额（万元）"),
        rows["wages"],
    )
    _csv(folder / "things/cars.csv", "utf-8", ("owner",), rows["cars"])
    _csv(folder / "safety/custody.csv", "utf-8-sig", ("证件",), rows["custody"])
    _csv(folder / "safety/deceased.csv", "gb18030", ("证件",), rows["deceased"])
    _sqlite(folder / "revenue/firms.db", "firms (holder TEXT, status TEXT)", rows["firms"])
    _sqlite(folder / "welfare/care.db", "care (id_no TEXT, paid INTEGER)", rows["care"])
    _sqlite(folder / "things/homes.db", "homes (owner TEXT)", rows["homes"])
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "封面"
    sheet.append(["not this sheet"])
    paid = book.create_sheet("发放")
    paid.append(["公民身份号码", "金额", "状态"])
    for row in rows["pension"]:
        paid.append(row)
    book.save(folder / "welfare/pension.xlsx")


def _csv(path: Path, encoding: str, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([header, *rows])


def _sqlite(path: Path, shape: str, rows: list[tuple[Any, ...]]) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE {shape}")
        database.executemany(
            f"INSERT INTO {shape.partition(' ')[0]} VALUES ({', '.join('?' * len(rows[0]))})", rows
        )
    database.close()
