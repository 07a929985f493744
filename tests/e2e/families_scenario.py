"""A scenario of many families that are alike, so that every test has households nobody else asks about.

Five members, four datasets, one rule set. Of each family F-nnn

    the first     has wages and pays for care       → one row to add, one to deduct
    the second    is in custody, and has wages      → not counted; the row must never be added
    the third     stands in no set

V-nn own a car, N-nn have a person who refuses, M-nn join the first of F-001 … with a further earner, S-nn
live alone with wages only. The strangers have rows and no case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.node.demo.second_scenario import identity

SUITE = "paillier-2048-test"
STANDARD = 110_000
WAGES, CARE, FURTHER, CUSTODY = 1_234_567, 234_567, 98_765_432, 77_777_777
NET = WAGES - CARE
FAMILIES, OTHERS = 90, 6

NETWORK = """\
network = "families"
epoch = "2026-11"
pilot = true
suite = "{suite}"
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
kind = "amount"
source = "csv:revenue/wages.csv"
identifier = "who"
amount = "fen"
unit = "fen"
as_of = "2026-10-31"
[[member.dataset]]
id = "revenue.cars"
kind = "member"
source = "csv:revenue/cars.csv"
identifier = "who"
as_of = "2026-10-31"
[[member]]
id = "welfare"
name = "社保"
roles = ["department"]
[[member.dataset]]
id = "welfare.care"
kind = "amount"
source = "csv:welfare/care.csv"
identifier = "who"
amount = "fen"
unit = "fen"
as_of = "2026-10-31"
[[member.dataset]]
id = "welfare.custody"
kind = "member"
source = "csv:welfare/custody.csv"
identifier = "who"
as_of = "2026-10-31"
"""

RULES = """\
id = "means"
version = "2026.1"
region = "3310"
effective = "2026-01-01"
per_head_monthly_fen = 110000
income = ["revenue.wages"]
deduct = ["welfare.care"]
veto = ["revenue.cars"]
exclude = ["welfare.custody"]
[[outcome]]
code = "dibao"
at_most = "1"
[otherwise]
code = "none"
"""


def build(folder: Path, families: int = FAMILIES, others: int = OTHERS) -> Path:
    """Write the scenario into ``folder``, which is made."""
    for name in ("rules", "cases", "revenue", "welfare"):
        (folder / name).mkdir(parents=True)
    (folder / "network.toml").write_text(NETWORK.format(suite=SUITE), encoding="utf-8")
    (folder / "rules" / "means.toml").write_text(RULES, encoding="utf-8")
    wages: list[tuple[str, int]] = []
    care: list[tuple[str, int]] = []
    cars: list[str] = []
    custody: list[str] = []
    people = _people()
    firsts = []
    for number in range(1, families + 1):
        first, second, third = next(people), next(people), next(people)
        firsts.append(first)
        wages += [(first, WAGES), (second, CUSTODY)]
        care.append((first, CARE))
        custody.append(second)
        _case(folder, f"F-{number:03d}", first, second, third)
    for number in range(1, others + 1):
        owner, refuser, further, alone, stranger = (next(people) for _ in range(5))
        cars.append(owner)
        wages += [(owner, WAGES), (further, FURTHER), (alone, FURTHER), (stranger, FURTHER)]
        _case(folder, f"V-{number:02d}", owner)
        _case(folder, f"N-{number:02d}", next(people), refuser, refuses=refuser)
        if number <= families:
            _case(folder, f"M-{number:02d}", firsts[number - 1], further)
        _case(folder, f"S-{number:02d}", alone)
    _amounts(folder / "revenue/wages.csv", wages)
    _amounts(folder / "welfare/care.csv", care)
    _members(folder / "revenue/cars.csv", cars)
    _members(folder / "welfare/custody.csv", custody)
    return folder


def _people() -> Iterator[str]:
    """Valid identifiers, all different."""
    for year in range(1950, 1990):
        for number in range(0, 990, 7):
            yield identity(number, year)


def _case(folder: Path, number: str, *household: str, refuses: str = "") -> None:
    people = [
        {
            "name": f"赵某{place}",
            "id": who,
            "relation": "spouse" if place else "self",
            "consent": "none" if who == refuses else "signed",
        }
        for place, who in enumerate(household)
    ]
    case = {
        "case": number,
        "rules": "means@2026.1",
        "applied": "2026-11-02",
        "office": "bureau",
        "household": people,
    }
    (folder / "cases" / f"{number}.json").write_text(json.dumps(case), encoding="utf-8")


def _amounts(path: Path, rows: list[tuple[str, int]]) -> None:
    path.write_text("who,fen\n" + "".join(f"{who},{fen}\n" for who, fen in rows), encoding="utf-8")


def _members(path: Path, rows: list[str]) -> None:
    path.write_text("who\n" + "".join(f"{who}\n" for who in rows), encoding="utf-8")
