"""What a scenario's answers are, by plain arithmetic over its raw files.

Nothing of the project is imported: a mistake shared with it would hide. Slow and simple on purpose.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import sqlite3
import tomllib
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from openpyxl import load_workbook

WEIGHTS = [2 ** (17 - place) % 11 for place in range(17)]


class Expected(NamedTuple):
    """What summary.json must say of a case; lines are (member, dataset, answer), sorted."""

    outcome: str
    net_fen: int | None
    heads: int | None
    lines: tuple[tuple[int, str, str], ...]


def check(first17: str) -> str:
    return "10X98765432"[sum(int(d) * w for d, w in zip(first17, WEIGHTS, strict=True)) % 11]


def person(text: object) -> str | None:
    """The 18 characters, or None where the text is no identifier."""
    found = unicodedata.normalize("NFKC", str(text)).replace(" ", "").strip("'\"").upper()
    if len(found) == 15 and found.isdecimal():
        found = found[:6] + "19" + found[6:]
        found += check(found)
    if len(found) != 18 or not found[:17].isdecimal() or check(found[:17]) != found[17]:
        return None
    try:
        dt.date(int(found[6:10]), int(found[10:12]), int(found[12:14]))
    except ValueError:
        return None
    return found


def fen(cell: object, unit: str) -> int | None:
    scale = {"fen": 1, "yuan": 100, "wan": 1_000_000}[unit]
    text = str(cell).replace(",", "").strip()
    if text.endswith("万"):
        text, scale = text[:-1], 1_000_000
    try:
        value = Decimal(text) * scale
    except ArithmeticError:
        return None
    assert value == int(value), "a fraction of a fen"
    return int(value)


def table(folder: Path, dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The source's rows after the filter."""
    scheme, _, rest = dataset["source"].partition(":")
    path, _, options = rest.partition("?")
    name, _, value = options.partition("=")
    if scheme == "sqlite":
        with sqlite3.connect(folder / path) as source:
            query = value if name == "query" else f"SELECT * FROM {value}"
            cursor = source.execute(query)
            columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
        source.close()
    elif scheme == "xlsx":
        book = load_workbook(folder / path)
        columns, *rows = [list(row) for row in book[value].iter_rows(values_only=True)]
    else:
        with (folder / path).open(encoding=value or "utf-8-sig", newline="") as file:
            columns, *rows = list(csv.reader(file))
    quoted = [f'"{column}"' for column in columns]
    with sqlite3.connect(":memory:") as memory:
        memory.execute(f"CREATE TABLE t ({', '.join(quoted)})")
        memory.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns))})", rows)
        kept = memory.execute(f"SELECT * FROM t WHERE {dataset.get('where', '1')}").fetchall()
    memory.close()
    return [dict(zip(columns, row, strict=True)) for row in kept]


def published(folder: Path, dataset: Mapping[str, Any]) -> dict[str, int]:
    """Fen (0 for a member dataset) by identifier."""
    found: dict[str, int] = {}
    seen = set()
    for row in table(folder, dataset):
        identity = person(row[dataset["identifier"]])
        amount = fen(row[dataset["amount"]], dataset["unit"]) if dataset["kind"] == "amount" else 0
        key = tuple(row[column] for column in dataset.get("row_key", []))
        if identity is None or amount is None or (key and key in seen):
            continue
        seen.add(key)
        found[identity] = found.get(identity, 0) + amount
    return found


def expected(folder: Path) -> dict[str, Expected]:
    """The answer of every case of a scenario folder."""
    network = tomllib.loads((folder / "network.toml").read_text(encoding="utf-8"))
    declared = {item["id"]: item for member in network["member"] for item in member.get("dataset", [])}
    data = {identity: published(folder, item) for identity, item in declared.items()}
    rules = {}
    for path in (folder / "rules").glob("*.toml"):
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        rules[f"{found['id']}@{found['version']}"] = found
    results = {}
    for path in (folder / "cases").glob("*.json"):
        case = json.loads(path.read_text(encoding="utf-8"))
        results[case["case"]] = one(case, rules[case["rules"]], declared, data)
    return results


def one(
    case: dict[str, Any],
    rules: dict[str, Any],
    declared: dict[str, dict[str, Any]],
    data: dict[str, dict[str, int]],
) -> Expected:
    household = case["household"]
    if any(member["consent"] == "none" for member in household):
        return Expected("no_consent", None, None, ())
    people = [person(member["id"]) for member in household]
    if None in people:
        return Expected("incomplete", None, None, ())
    asked = sorted(rules["income"] + rules["deduct"] + rules["veto"] + rules["exclude"])
    answers = {}
    for place, (member, identity) in enumerate(zip(household, people, strict=True), 1):
        for dataset in asked:
            if not covered(case, rules, member, declared.get(dataset)):
                answers[place, dataset] = "not_covered"
            else:
                answers[place, dataset] = "match" if identity in data[dataset] else "no_match"
    out = {place for (place, ds), answer in answers.items() if ds in rules["exclude"] and answer == "match"}
    gaps = {ds for (_, ds), answer in answers.items() if answer == "not_covered"}
    heads = None if gaps & set(rules["exclude"]) else len(household) - len(out)
    amounts = rules["income"] + rules["deduct"]
    lines = tuple(
        (place, ds, "summed" if answer == "match" and ds in amounts else answer)
        for (place, ds), answer in sorted(answers.items())
    )
    if gaps or not heads:
        return Expected("incomplete", None, heads, lines)
    if any(
        answers[place, ds] == "match" for place, ds in answers if ds in rules["veto"] and place not in out
    ):
        return Expected("vetoed", None, heads, lines)
    counted = [identity for place, identity in enumerate(people, 1) if place not in out and identity]
    net = sum(data[ds].get(identity, 0) for ds in rules["income"] for identity in counted)
    net -= sum(data[ds].get(identity, 0) for ds in rules["deduct"] for identity in counted)
    return Expected(threshold(rules, net, heads), net, heads, lines)


def covered(
    case: dict[str, Any], rules: dict[str, Any], member: dict[str, Any], dataset: dict[str, Any] | None
) -> bool:
    if dataset is None:
        return False
    region, regions = member.get("region"), dataset.get("regions", [])
    if region and regions and not region.startswith(tuple(regions)):
        return False
    applied, as_of = (dt.date.fromisoformat(text) for text in (case["applied"], dataset["as_of"]))
    return "max_age_days" not in rules or (applied - as_of).days <= rules["max_age_days"]


def threshold(rules: dict[str, Any], net: int, heads: int) -> str:
    share = Fraction(net, 12 * heads * rules["per_head_monthly_fen"])
    for outcome in rules["outcome"]:
        if "at_most" in outcome and share <= Fraction(outcome["at_most"]):
            return str(outcome["code"])
        if "below" in outcome and share < Fraction(outcome["below"]):
            return str(outcome["code"])
    return str(rules["otherwise"]["code"])
