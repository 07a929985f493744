"""Decoding of TOML and JSON files, and the faults of a document; it needs no pydantic, so it loads quickly.

A ``Problem`` names the file, the path in it and the remedy, and never a value of the document.
What looks like an identifier in a file's name is not shown either.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.identifiers import hide_identifiers
from node.errors import ConfigurationError

_FIELD_NAME = re.compile(r"(?!.*[0-9]{4})[a-z][A-Za-z0-9_]{0,31}")
_TOML_PLACE = re.compile(r"\(at (line [0-9]+, column [0-9]+|end of document)\)")


@dataclass(frozen=True)
class Problem:
    """One fault of a document: in which file, at which field, and how to remedy it.

    Attributes:
        file: the file's name.
        field: path inside the file; empty for the file as a whole.
        remedy: what to do; never a value of the document.
    """

    file: str
    field: str
    remedy: str

    def __str__(self) -> str:
        file = hide_identifiers(self.file)
        return f"{file}: {self.field}: {self.remedy}" if self.field else f"{file}: {self.remedy}"


class InvalidDocumentError(ConfigurationError):
    """A document is not well formed.

    Attributes:
        problems: every problem found, in reading order.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ScenarioError(InvalidDocumentError):
    """An application, a dataset file or a scenario folder is not well formed, or cannot be written."""

    code = "scenario"


def shown_key(key: str) -> str:
    """A key fit for a message: what does not look like a field's name may be a person's."""
    return key if _FIELD_NAME.fullmatch(key) else "(a key that is not shown)"


def decode_toml(data: bytes, file: str, problems: list[Problem]) -> dict[str, Any] | None:
    """The table of a TOML file in UTF-8, with or without a byte order mark; None after adding its problem."""
    text = _decode_utf8(data, file, problems)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # tomllib's message may quote a key, so that only its place is repeated.
        found = _TOML_PLACE.search(str(error))
    where = "" if found is None else f" at {found[1]}"
    problems.append(Problem(file, "", f"is not TOML, correct it{where}"))
    return None


def decode_json(data: bytes, file: str, problems: list[Problem]) -> dict[str, Any] | None:
    """The object of a JSON file in UTF-8, with or without a byte order mark; None after adding its problem.

    A name that stands twice in one object is refused.
    """
    text = _decode_utf8(data, file, problems)
    if text is None:
        return None
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        remedy = f"is not JSON, correct it at line {error.lineno} column {error.colno}: {error.msg}"
    except _DoubledKeyError:
        remedy = "has a name twice in one object: remove one"
    except (ValueError, RecursionError):
        remedy = "is not JSON that can be read: shorten its numbers and its nesting"
    else:
        if isinstance(value, dict):
            return value
        remedy = "must be one object"
    problems.append(Problem(file, "", remedy))
    return None


class _DoubledKeyError(Exception):
    """An object has one name twice."""


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DoubledKeyError
    return value


def _decode_utf8(data: bytes, file: str, problems: list[Problem]) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start
    problems.append(Problem(file, "", f"save it as UTF-8: byte {start} is not"))
    return None
