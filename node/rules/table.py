"""Strict reading of a decoded TOML or JSON table.

Every field is asked for by name with what it must be; a field that is missing, of the wrong kind or unknown
becomes a ``Problem`` in a shared list, and reading goes on, so that a person sees all problems at once.
A problem names file, field and remedy and never repeats a value: a value may be an identifier.
After a problem the reader returns a placeholder of the right type; callers raise when the list is not empty.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from node.errors import ConfigurationError

_MANY_DIGITS = re.compile(r"\d{6}")
_NO_DATE = dt.date.min
NOTE = "note"
"""A free text that every table may carry and nothing reads."""


@dataclass(frozen=True)
class Problem:
    """One thing to put right: in which file, at which field, and how."""

    file: str
    field: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.remedy}" if self.field else f"{self.file}: {self.remedy}"


def shown_name(name: str) -> str:
    """A field name fit for a message: one with six digits in a row may be an identifier and is not shown."""
    return "(a name with digits, not shown)" if _MANY_DIGITS.search(name) else name


class Table:
    """A mapping read field by field.

    Args:
        value: the decoded table.
        file: name shown in problems.
        at: path of this table inside the file, "" at the top.
        problems: the list every problem is added to, shared with all tables of one reading.
    """

    def __init__(self, value: Mapping[str, object], file: str, at: str, problems: list[Problem]) -> None:
        self._value = value
        self._file = file
        self._at = at
        self._problems = problems
        self._known: set[str] = {NOTE}

    def refuse(self, name: str, remedy: str) -> None:
        """Record a problem at field ``name``."""
        field = f"{self._at}.{name}" if self._at and name else self._at or name
        self._problems.append(Problem(self._file, field, remedy))

    def has(self, name: str) -> bool:
        """Whether the field is present; it then counts as known."""
        self._known.add(name)
        return name in self._value

    def text(self, name: str, remedy: str, pattern: re.Pattern[str] | None = None) -> str:
        """A required string that ``pattern`` matches as a whole, or that is not blank where none is given."""
        value = self._required(name, remedy)
        if isinstance(value, str) and (pattern.fullmatch(value) if pattern else value.strip()):
            return value
        if value is not None:
            self.refuse(name, f"must be {remedy}")
        return ""

    def text_or_none(self, name: str, remedy: str, pattern: re.Pattern[str] | None = None) -> str | None:
        """As ``text``, None where the field is absent."""
        return self.text(name, remedy, pattern) if self.has(name) else None

    def any_text(self, name: str, remedy: str) -> str:
        """A required string, which may be empty."""
        value = self._required(name, remedy)
        if isinstance(value, str):
            return value
        if value is not None:
            self.refuse(name, f"must be {remedy}")
        return ""

    def choice(self, name: str, allowed: Collection[str]) -> str:
        """A required string out of ``allowed``."""
        return self._chosen(self._required(name, _one_of(allowed)), name, allowed)

    def integer(self, name: str, least: int) -> int:
        """A required integer of at least ``least``."""
        remedy = f"an integer, {least} or more"
        value = self._required(name, remedy)
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        if value is not None:
            self.refuse(name, f"must be {remedy}")
        return least

    def flag(self, name: str, absent: bool) -> bool:
        """A boolean, ``absent`` where the field is not there."""
        if not self.has(name):
            return absent
        value = self._value[name]
        if isinstance(value, bool):
            return value
        self.refuse(name, "must be true or false")
        return absent

    def date(self, name: str) -> dt.date:
        """A required date, YYYY-MM-DD, as a string or as TOML's own date."""
        remedy = "a date, YYYY-MM-DD"
        value = self._required(name, remedy)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if isinstance(value, str) and len(value) == len("2026-01-01"):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass
        if value is not None:
            self.refuse(name, f"must be {remedy}")
        return _NO_DATE

    def texts(self, name: str, remedy: str, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        """A list of different strings, each as in ``text``; empty where the field is absent."""
        if not self.has(name):
            return ()
        value = self._value[name]
        if not isinstance(value, list):
            self.refuse(name, f"must be a list, each item {remedy}")
            return ()
        found: list[str] = []
        for place, item in enumerate(value, 1):
            if not isinstance(item, str) or not (pattern.fullmatch(item) if pattern else item.strip()):
                self.refuse(f"{name}[{place}]", f"must be {remedy}")
            elif item in found:
                self.refuse(f"{name}[{place}]", "is there twice: remove one")
            else:
                found.append(item)
        return tuple(found)

    def tables(self, name: str, remedy: str, *, required: bool = True) -> list[Table]:
        """A list of tables; ``required`` refuses an absent or empty one. Positions count from 1."""
        value = self._value.get(name) if self.has(name) else []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(name, f"must be {remedy}")
            return []
        if required and not value:
            self.refuse(name, f"is missing: give {remedy}")
        prefix = f"{self._at}." if self._at else ""
        return [
            Table(item, self._file, f"{prefix}{name}[{place}]", self._problems)
            for place, item in enumerate(value, 1)
        ]

    def table(self, name: str, remedy: str) -> Table:
        """A required table."""
        value = self._required(name, remedy)
        if value is not None and not isinstance(value, dict):
            self.refuse(name, f"must be {remedy}")
        prefix = f"{self._at}." if self._at else ""
        inner = value if isinstance(value, dict) else {}
        return Table(inner, self._file, f"{prefix}{name}", self._problems)

    def finish(self) -> None:
        """Refuse every field nobody asked for."""
        for name in self._value:
            if name not in self._known:
                allowed = ", ".join(sorted(self._known))
                self.refuse(shown_name(name), f"is not known here: remove it or use one of {allowed}")

    def choices(self, name: str, allowed: Collection[str]) -> tuple[str, ...]:
        """A list, not empty, of different strings out of ``allowed``."""
        found = self.texts(name, _one_of(allowed))
        if not found:
            self.refuse(name, f"must be a list with at least {_one_of(allowed)}")
        return tuple(self._chosen(item, name, allowed) for item in found)

    def _chosen(self, value: object, name: str, allowed: Collection[str]) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        if value is not None:
            self.refuse(name, f"must be {_one_of(allowed)}")
        return ""

    def _required(self, name: str, remedy: str) -> object:
        """The value, or None after recording that it is missing (JSON's null counts as missing)."""
        self._known.add(name)
        value = self._value.get(name)
        if value is None:
            self.refuse(name, f"is missing: give {remedy}")
        return value


def _one_of(allowed: Collection[str]) -> str:
    return "one of " + ", ".join(allowed)


class ScenarioError(ConfigurationError):
    """A scenario folder is not well formed, or cannot be written.

    Attributes:
        problems: every problem found, each with file, field and remedy, never a value of a case.
    """

    code = "scenario"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
