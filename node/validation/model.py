"""Base classes and types of validated documents, and the errors that their validators raise."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

REMEDY, MISSING = "hedui_remedy", "missing"
"""Types of the errors that validators raise; pydantic itself has the second."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Place = tuple[int | str, ...]
"""Where a fault is inside a document, as pydantic counts: positions from 0."""
Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Strict(strict=False)]
"""A list of a document, kept as a tuple."""
Text = Annotated[str, Field(pattern=r"\S", description="a text")]
"""A string that is not blank."""


class StrictModel(BaseModel):
    """Base of every validated document: frozen, no coercion between types, unknown keys refused.

    A field's description, at the field or in its annotated type, completes the sentences "must be …" and
    "is missing: give …".

    Attributes:
        need: what completes those sentences for an item of a list of this model.
    """

    need: ClassVar[str] = "a table"
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class NotedModel(StrictModel):
    """A table written by hand, which may carry a free text ``note`` that nothing reads."""

    note: Annotated[None, BeforeValidator(lambda _: None)] = Field(
        default=None, repr=False, exclude=True, description="a text"
    )


def _date(value: object) -> object:
    """A date from its text; anything else is left for the strict validation to judge."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return None
    return value


Date = Annotated[dt.date, BeforeValidator(_date), Field(description="a date, YYYY-MM-DD")]
"""A date, as TOML's own or as a string."""


def fault(remedy: str) -> PydanticCustomError:
    """The error that a validator raises for the field it validates.

    Args:
        remedy: a constant text that says what to do; no value of the document belongs into it.
    """
    return PydanticCustomError(REMEDY, "{remedy}", {"remedy": remedy})


def faults_at(found: Sequence[tuple[Place, str]]) -> ValidationError:
    """The error that a validator raises for several places inside the field or model it validates.

    Args:
        found: place and remedy of each fault; positions in a place count from 0.
    """
    lines = [InitErrorDetails(type=fault(remedy), loc=place, input=None) for place, remedy in found]
    return ValidationError.from_exception_data("", lines)


def missing() -> PydanticCustomError:
    """The error that a validator raises for a field that only another field makes required."""
    return PydanticCustomError(MISSING, "missing")


def unique(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Refuse a list that holds an item twice; for ``AfterValidator``.

    Raises:
        ValidationError: at each item that stands before it too.
    """
    again: list[tuple[Place, str]] = [
        ((place,), "is there twice: remove one") for place, item in enumerate(items) if item in items[:place]
    ]
    if again:
        raise faults_at(again)
    return items
