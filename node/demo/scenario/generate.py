"""Generator of a synthetic scenario: network.toml, a rule set, cases, and nine exports with messy rows.

Every cell is determined by the arguments, through one ``random.Random``. Background residents are generated
as a stream; only the households of the cases are kept in memory, and their rows are scattered among the
others. The expected answers are not written: a test computes them from the raw files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from node.demo.scenario import people
from node.demo.scenario.exports import EXPORTS, Export, ExportRow, Sink, open_sink
from node.demo.scenario.people import PLOTS, Plot, rows
from node.validation.documents import Problem, ScenarioError

_APPLIED = "2026-11-02"
_BAD_SHARE = 0.004
_TWIN_SHARE = 0.02
_ROYALTY_FEN = 500_000
_CASE_LIMIT = 999_999
_CHILD_EVERY = 5

_MEMBERS = (
    ("audit", "审计局", ("auditor", "sequencer", "trustee")),
    ("desk", "街道便民服务中心", ("registrar",)),
    ("office", "核对中心", ("office",)),
    ("tax", "税务局", ("department",)),
    ("sib", "社会保险中心", ("department",)),
    ("agri", "农业农村局", ("department",)),
    ("hib", "医疗保障局", ("department",)),
    ("vehicle", "车辆管理所", ("department",)),
    ("housing", "自然资源局", ("department",)),
    ("justice", "司法局", ("department",)),
    ("police", "公安局", ("department",)),
)

RULES = """\
id = "dibao"
version = "2026.1"
region = "3310"
effective = "2026-01-01"
per_head_monthly_fen = 110000
income = ["tax.income", "sib.pension", "agri.subsidy"]
deduct = ["hib.selfpaid"]
veto = ["vehicle.owner", "housing.two_or_more", "tax.company_owner"]   # a hit on any counted member
exclude = ["justice.custody", "police.deceased"]                       # a hit: not counted as a member
[[outcome]]
code = "dibao"       # 低保: net income per counted head and month <= standard
at_most = "1.0"
[[outcome]]
code = "edge"        # 低保边缘: < 1.5 × standard
below = "1.5"
[otherwise]
code = "none"
"""
"""The rule set of every generated scenario."""


@dataclass(frozen=True)
class _Resident:
    """A person of a case, with the amounts and member datasets that the plot assigns."""

    identity: str
    name: str
    amounts: tuple[tuple[str, int], ...]
    hits: tuple[str, ...]


class _County:
    """The open files of all departments; writes a person's rows in the forms of real exports."""

    def __init__(self, folder: Path, rng: Random, stack: ExitStack) -> None:
        self._rng = rng
        self._sinks: dict[str, Sink] = {export.id: open_sink(export, folder, stack) for export in EXPORTS}
        self._serials = dict.fromkeys(self._sinks, 0)
        self._exports = {export.id: export for export in EXPORTS}

    def add(self, export: Export, identity: str, name: str, fen: int) -> None:
        """Write a row; in tax a duplicate with the same serial number may follow, which must not count."""
        self._serials[export.id] += 1
        row = export.row(self._serials[export.id], ExportRow(identity, name, fen), self._rng)
        self._sinks[export.id].write(row)
        if export.fields.get("row_key") and self._rng.random() < _TWIN_SHARE:
            self._sinks[export.id].write(row)

    def case_member(self, resident: _Resident) -> None:
        """Write all rows of a person of a case, and some that must not count."""
        for dataset, fen in resident.amounts:
            export = self._exports[dataset]
            self.add(export, people.messy(resident.identity, self._rng), resident.name, fen)
        if resident.amounts:
            self._uncounted(resident)
        for dataset in resident.hits:
            export = self._exports[dataset]
            identity = people.messy(resident.identity, self._rng)
            for _ in range(min(2, export.rows_of_one)):
                self.add(export, identity, resident.name, 0)

    def _uncounted(self, resident: _Resident) -> None:
        """Write rows that must not count: a royalty, a single home, and a vehicle for the disabled."""
        royalty = people.yuan_text(_ROYALTY_FEN, self._rng)
        self._serials["tax.income"] += 1
        number = f"T{self._serials['tax.income']:08d}"
        self._sinks["tax.income"].write((number, resident.name, resident.identity, "稿酬", royalty))
        self._serials["vehicle.owner"] += 1
        plate = f"试{self._serials['vehicle.owner']:06d}"
        self._sinks["vehicle.owner"].write((plate, resident.identity, "残疾人专用"))
        if "housing.two_or_more" not in resident.hits:
            self.add(self._exports["housing.two_or_more"], resident.identity, resident.name, 0)

    def background(self, identity: str, name: str) -> None:
        """Write the rows of a resident of no case, a few of them malformed."""
        rng = self._rng
        for export in EXPORTS:
            if rng.random() >= export.share:
                continue
            bad = rng.random() < _BAD_SHARE
            written = people.broken(identity, rng) if bad else people.messy(identity, rng)
            for _ in range(rng.randint(1, export.rows_of_one)):
                self.add(export, written, name, rng.randrange(1, 10_000_000) if export.is_amount else 0)


def generate(
    folder: Path, residents: int = 2000, cases: int = 12, seed: int = 1, suite: str | None = None
) -> Path:
    """Write a scenario.

    Args:
        folder: a folder that does not exist yet or is empty.
        residents: number of residents including the people of the cases, which is the minimum.
        cases: number of cases, from 1; they use the plots in turn.
        seed: seed of the random choices.
        suite: name of the sum's suite for network.toml, or None to leave it out.

    Returns:
        ``folder``.

    Raises:
        ScenarioError: the folder is not empty, or a number is out of range.
    """
    _check(folder, residents, cases)
    rng = Random(seed)  # noqa: S311 - synthetic data that must be repeatable
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules").mkdir()
    (folder / "cases").mkdir()
    _write(folder / "network.toml", _network(suite))
    _write(folder / "rules" / "dibao-2026.toml", RULES)
    supply = people.Supply(seed)
    special: list[_Resident] = []
    for number in range(1, cases + 1):
        special += _case(folder, number, supply, rng)
    others = max(0, residents - len(special))
    step = max(1, others // len(special))
    with ExitStack() as stack:
        county = _County(folder, rng, stack)
        waiting = iter(special)
        for place, (identity, name) in enumerate(_background(others, supply)):
            county.background(identity, name)
            if place % step == 0:
                for resident in _next(waiting):
                    county.case_member(resident)
        for resident in waiting:
            county.case_member(resident)
    return folder


def _check(folder: Path, residents: int, cases: int) -> None:
    problems = []
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(Problem(str(folder), "", "is not empty: give a new folder, or remove it first"))
    if not 0 <= residents <= people.CHILDREN.limit:
        problems.append(Problem("residents", "", f"give a number from 0 to {people.CHILDREN.limit}"))
    if not 1 <= cases <= _CASE_LIMIT:
        problems.append(Problem("cases", "", f"give a number from 1 to {_CASE_LIMIT}"))
    if problems:
        raise ScenarioError(problems)


def _next(waiting: Iterator[_Resident]) -> Iterator[_Resident]:
    for resident in waiting:
        yield resident
        return


def _background(count: int, supply: people.Supply) -> Iterator[tuple[str, str]]:
    """Residents of no case, every fifth a child."""
    for place in range(count):
        yield supply.take(people.CHILDREN if place % _CHILD_EVERY == 0 else people.ADULTS)


def _case(folder: Path, number: int, supply: people.Supply, rng: Random) -> list[_Resident]:
    """Write one case file; return its people with their rows."""
    plot = PLOTS[(number - 1) % len(PLOTS)]
    amounts = list(rows(plot, rng))
    household, found = [], []
    for position, relation in enumerate(plot.relations, 1):
        pool = people.CHILDREN if relation == "child" else people.ADULTS
        identity, name = supply.take(pool)
        own = tuple((row.dataset, row.fen) for row in amounts if row.position == position)
        hits = tuple(dataset for place, dataset in plot.hits if place == position)
        found.append(_Resident(identity, name, own, hits))
        household.append(_person(plot, position, identity, name, rng))
    case = {
        "case": f"2026-{number:06d}",
        "rules": "dibao@2026.1",
        "applied": _APPLIED,
        "office": "office",
        "household": household,
    }
    text = json.dumps(case, ensure_ascii=False, indent=1) + "\n"
    _write(folder / "cases" / f"{case['case']}.json", text)
    return found


def _person(plot: Plot, position: int, identity: str, name: str, rng: Random) -> dict[str, str]:
    relation = plot.relations[position - 1]
    consent = "guardian" if relation == "child" else rng.choice(("signed", "paper"))
    written = rng.choice((identity, identity, identity.lower(), people.old_form(identity)))
    person = {
        "name": name,
        "id": people.wrong_check(identity) if position == plot.invalid else written,
        "relation": relation,
        "consent": "none" if position == plot.refuses else consent,
    }
    return person | ({"region": people.COUNTY} if relation == "self" else {})


def _network(suite: str | None) -> str:
    """Text of network.toml; JSON strings and lists of strings are valid TOML."""
    lines = ['network = "s-county"', 'epoch = "2026-11"', "pilot = true"]
    if suite is not None:
        lines.append(f"suite = {_quoted(suite)}")
    for identity, name, roles in _MEMBERS:
        lines += ["", "[[member]]", f"id = {_quoted(identity)}", f"name = {_quoted(name)}"]
        lines.append(f"roles = {_quoted(list(roles))}")
        for export in EXPORTS:
            if export.id.startswith(f"{identity}."):
                lines.append("[[member.dataset]]")
                lines += [f"{key} = {_quoted(value)}" for key, value in export.fields.items()]
                lines.append(f"source = {_quoted(export.source)}")
    return "\n".join(lines) + "\n"


def _quoted(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
