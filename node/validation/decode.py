"""Decoding of TOML and JSON files whose faults are reported without quoting them."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from node.validation.problems import Problem

_TOML_PLACE = re.compile(r"\(at (line [0-9]+, column [0-9]+|end of document)\)")


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
