"""An application: the case, its household, and reading both from JSON.

Identifiers are kept exactly as the case writes them: whether one is valid is the office's finding, not an
error of the file. A ``Person`` shows neither name nor identifier in its ``repr``.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from node.rules.ruleset import LABEL, REGION, RuleSet
from node.rules.table import Problem, ScenarioError, Table

CONSENTS = ("signed", "paper", "guardian", "none")
NO_CONSENT = "none"


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


MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_RULES_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*@[0-9A-Za-z][0-9A-Za-z._-]*")
_LIKE_IDENTIFIER = re.compile(r"[0-9]{17}[0-9Xx]")
REGION_REMEDY = "two to twelve digits, in quotes"


def read_case(data: bytes, offices: list[str]) -> Case:
    """One application from the bytes of its file.

    Args:
        data: JSON, UTF-8.
        offices: ids of members that may handle it.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    table = _case_table(data, "case", problems)
    case = None if table is None else _case(table, offices)
    if problems or case is None:
        raise ScenarioError(tuple(problems))
    return case


def load_cases(folder: Path) -> tuple[Case, ...]:
    """Every application ``*.json`` of a folder, whichever office handles it.

    Raises:
        ScenarioError: with every problem found.
    """
    found: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        table = _case_table(path.read_bytes(), path.name, problems)
        if table is not None:
            found.append(_case(table, None))
    if problems:
        raise ScenarioError(tuple(problems))
    return tuple(found)


def cases_in(
    folder: Path, offices: list[str], rules: dict[str, RuleSet], problems: list[Problem]
) -> tuple[Case, ...]:
    """Every readable case of a scenario folder, by number; problems are added to ``problems``."""
    found: dict[str, Case] = {}
    for path in sorted((folder / "cases").glob("*.json")):
        name = f"cases/{path.name}"
        table = _case_table(path.read_bytes(), name, problems)
        if table is None:
            continue
        case = _case(table, offices)
        if case.case in found:
            table.refuse("case", "is the number of another case too: change one")
        found[case.case] = case
        if case.rules and case.rules not in rules:
            table.refuse(
                "rules", "names no readable rule set of this folder: add it under rules/ or correct it"
            )
    if not found:
        problems.append(Problem("cases", "", "holds no readable case: add cases/<number>.json"))
    return tuple(found[number] for number in sorted(found))


def _case_table(data: bytes, name: str, problems: list[Problem]) -> Table | None:
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        problems.append(Problem(name, "", f"save it as UTF-8: byte {error.start} is not"))
        return None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        problems.append(Problem(name, "", f"is not JSON, correct it at {where}: {error.msg}"))
        return None
    except _DoubledNameError:
        problems.append(Problem(name, "", "has a name twice in one object: remove one"))
        return None
    if not isinstance(value, dict):
        problems.append(Problem(name, "", "must be one object, one case a file"))
        return None
    return Table(value, name, "", problems)


class _DoubledNameError(Exception):
    """An object of a case has one name twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DoubledNameError
    return value


def _case(table: Table, offices: list[str] | None) -> Case:
    case = Case(
        case=table.text("case", "a number such as 2026-000123, letters, digits, dots and dashes", LABEL),
        rules=table.text("rules", 'a rule set as "dibao@2026.1"', _RULES_KEY),
        applied=table.date("applied"),
        office=table.text("office", "the office's member id", MEMBER_ID),
        household=tuple(_person(entry) for entry in table.tables("household", "a list of persons")),
    )
    table.finish()
    if _LIKE_IDENTIFIER.search(case.case):
        table.refuse("case", "looks like an identifier and would become a file name: use a case number")
    if case.office and offices is not None and case.office not in offices:
        table.refuse("office", "is not a member with the role office: correct it")
    return case


def _person(table: Table) -> Person:
    person = Person(
        name=table.text("name", "a name"),
        id=table.any_text("id", "the identifier as a string"),
        relation=table.text("relation", "a relation such as self, spouse or child"),
        consent=table.choice("consent", CONSENTS),
        region=table.text_or_none("region", REGION_REMEDY, REGION),
    )
    table.finish()
    return person
