"""The faults of a document: in which file, at which path, and how to remedy them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import ConfigurationError

_FIELD_NAME = re.compile(r"(?!.*[0-9]{4})[a-z][A-Za-z0-9_]{0,31}")


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
        return f"{self.file}: {self.field}: {self.remedy}" if self.field else f"{self.file}: {self.remedy}"


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
