"""An application: the case, its household, and reading both from JSON.

Identifiers are kept exactly as the case writes them: whether one is valid is the office's finding, not an
error of the file. A ``Person`` shows neither name nor identifier in its ``repr``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from adapters.identifiers import canonical_or_none, holds_identifier
from node.rules.ruleset import Label, Region
from node.validation.documents import Problem, ScenarioError, decode_json
from node.validation.model import Date, Listed, NotedModel, Text, fault
from node.validation.reading import read

Consent = Literal["signed", "paper", "guardian", "none"]
NO_CONSENT = "none"
MemberId = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="a member's id: short, in lower case")
]
_LIKE_IDENTIFIER = re.compile(r"[0-9]{17}[0-9Xx]")


def _without_identifier(text: str) -> str:
    """Refuse a text that is shown in the clear and holds something like an identifier."""
    if holds_identifier(text):
        raise fault("holds what looks like an identifier: write identifiers under id only")
    return text


ClearText = Annotated[Text, AfterValidator(_without_identifier)]
"""A text that holds no identifier."""


class Person(NotedModel):
    """A member of a household, as the case writes it.

    Attributes:
        name: name as written.
        id: identifier as written, perhaps not valid, perhaps in an old or messy form.
        relation: to the applicant ("self" for the applicant).
        consent: "signed", "paper", "guardian" or "none".
        region: declared region of residence, digits, or None.
    """

    need: ClassVar[str] = "a person: an object with name, id, relation and consent"

    name: ClearText = Field(repr=False, description="a name")
    id: str = Field(repr=False, description="the identifier as a string")
    relation: ClearText = Field(description="a relation such as self, spouse or child")
    consent: Consent
    region: Region | None = None


class Case(NotedModel):
    """An application.

    Attributes:
        case: the case's number; also a file name, so it is never an identifier.
        rules: key of its rule set, ``<id>@<version>``.
        applied: date of the application.
        office: member id of the office that handles it.
        household: at least one person, in order; a position counts from 1.
    """

    case: Label = Field(description="a number such as 2026-000123, letters, digits, dots and dashes")
    rules: str = Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*@[0-9A-Za-z][0-9A-Za-z._-]*$",
        description='a rule set as "dibao@2026.1"',
    )
    applied: Date
    office: MemberId = Field(description="the office's member id")
    household: Listed[Person] = Field(min_length=1, description="a list of persons")

    @field_validator("case")
    @classmethod
    def _is_no_identifier(cls, case: str, info: ValidationInfo) -> str:
        if _LIKE_IDENTIFIER.search(case) or canonical_or_none(re.sub(r"[._-]", "", case)) is not None:
            raise fault("looks like an identifier and would become a file name: use a case number")
        if isinstance(info.context, _Surroundings) and case in info.context.taken:
            raise fault("is the number of another case too: change one")
        return case

    @field_validator("rules")
    @classmethod
    def _rules_are_known(cls, rules: str, info: ValidationInfo) -> str:
        known = info.context.rules if isinstance(info.context, _Surroundings) else None
        if known is not None and rules not in known:
            raise fault("names no readable rule set of this folder: add it under rules/ or correct it")
        return rules

    @field_validator("office")
    @classmethod
    def _office_is_known(cls, office: str, info: ValidationInfo) -> str:
        known = info.context.offices if isinstance(info.context, _Surroundings) else None
        if known is not None and office not in known:
            raise fault("is not a member with the role office: correct it")
        return office


@dataclass(frozen=True)
class _Surroundings:
    """What a case is checked against besides its own form.

    Attributes:
        offices: ids of members that may handle it, or None for any.
        rules: keys of the rule sets there are, or None for any.
        taken: numbers of other cases.
    """

    offices: Collection[str] | None = None
    rules: Collection[str] | None = None
    taken: Collection[str] = ()


def read_case(data: bytes, offices: Collection[str]) -> Case:
    """One application from the bytes of its file.

    Args:
        data: JSON, UTF-8.
        offices: ids of members that may handle it.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    case = _read(data, "case", problems, _Surroundings(offices))
    if case is None:
        raise ScenarioError(problems)
    return case


def load_cases(folder: Path) -> tuple[Case, ...]:
    """Every application ``*.json`` of a folder, whichever office handles it.

    Raises:
        ScenarioError: with every problem found.
    """
    problems: list[Problem] = []
    found = [
        _read(path.read_bytes(), path.name, problems, _Surroundings())
        for path in sorted(folder.glob("*.json"))
    ]
    if problems:
        raise ScenarioError(problems)
    return tuple(case for case in found if case is not None)


def cases_in(
    folder: Path, offices: Collection[str] | None, rules: Collection[str], problems: list[Problem]
) -> tuple[Case, ...]:
    """Every readable case of a scenario folder, by number.

    Args:
        folder: the scenario.
        offices: ids of its offices, or None where they are not all known.
        rules: keys of its rule sets.
        problems: every problem found is added to it.
    """
    found: dict[str, Case] = {}
    paths = sorted((folder / "cases").glob("*.json"))
    for path in paths:
        surroundings = _Surroundings(offices, rules, found)
        case = _read(path.read_bytes(), f"cases/{path.name}", problems, surroundings)
        if case is not None:
            found[case.case] = case
    if not paths:
        problems.append(Problem("cases", "", "holds no case: add cases/<number>.json"))
    return tuple(found[number] for number in sorted(found))


def _read(data: bytes, name: str, problems: list[Problem], surroundings: _Surroundings) -> Case | None:
    value = decode_json(data, name, problems)
    return None if value is None else read(Case, value, name, problems, context=surroundings)
