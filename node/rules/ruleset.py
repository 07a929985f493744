"""A rule set: one region's standard for one year, as TOML, named by the SHA-256 of its exact bytes.

    id, version, region, effective          which rules, for whom, from when
    per_head_monthly_fen                    the standard, integer fen per counted head and month
    income, deduct                          amount datasets, added and subtracted
    veto, exclude                           member datasets: a match stops the grant, or is not counted
    max_age_days                            optional: a source older at the application is "not covered"
    [[outcome]] code, at_most | below       tried in order; a decimal string, times the standard
    [otherwise] code                        where no outcome holds
    title, note                             optional free text

A dataset stands in one list only. Thresholds are decimal strings, read as exact fractions; a TOML float is
refused. Unknown fields are refused, since a misspelt list would silently weaken the rules.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from node.validation.documents import InvalidDocumentError, Problem, decode_toml
from node.validation.model import Date, Listed, NotedModel, Place, Text, fault, faults_at, unique
from node.validation.reading import read

DatasetId = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\.[a-z0-9][a-z0-9_-]{0,63}$",
        description='a dataset id like "tax.income"',
    ),
]
Label = Annotated[
    str,
    Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$",
        description="a label in quotes: letters, digits, dots and dashes",
    ),
]
Region = Annotated[str, Field(pattern=r"^[0-9]{2,12}$", description="two to twelve digits, in quotes")]
_Decimal = Annotated[
    str,
    Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$", description='a decimal in quotes, such as "1.5"'),
]
_Datasets = Annotated[Listed[DatasetId], AfterValidator(unique)]
_LISTS = ("income", "deduct", "veto", "exclude")


class ReservedOutcome(StrEnum):
    """Outcomes every rule set has; no rule may use their codes."""

    VETOED = "vetoed"
    INCOMPLETE = "incomplete"
    NO_CONSENT = "no_consent"


RESERVED_OUTCOMES = tuple(outcome.value for outcome in ReservedOutcome)
"""Their codes."""


def _free(code: str) -> str:
    if code in RESERVED_OUTCOMES:
        raise fault(f"is reserved, as are {', '.join(RESERVED_OUTCOMES)}: choose another code")
    return code


_Code = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="a short name in lower case"),
    AfterValidator(_free),
]


class RulesError(InvalidDocumentError):
    """A rule set is not well formed."""

    code = "rule_file"


class Outcome(NotedModel):
    """One threshold: net income against a limit × standard × 12 × heads.

    Attributes:
        code: the outcome's stable name.
        at_most, below: the limit as a decimal string, of which exactly one is given.
        title: optional free text.
    """

    code: _Code
    at_most: _Decimal | None = None
    below: _Decimal | None = None
    title: Text | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_most is None) == (self.below is None):
            raise fault("give exactly one of at_most and below")
        return self

    @property
    def kind(self) -> str:
        """``at_most`` (≤) or ``below`` (<)."""
        return "below" if self.at_most is None else "at_most"

    @property
    def limit(self) -> str:
        """The limit, a decimal string as written in the rules."""
        return self.below or self.at_most or ""

    def holds(self, net_fen: int, annual_fen: int) -> bool:
        """Compare exactly, in integers. ``annual_fen`` is standard × 12 × heads."""
        limit = Fraction(self.limit)
        left, right = net_fen * limit.denominator, annual_fen * limit.numerator
        return left <= right if self.kind == "at_most" else left < right


class Otherwise(NotedModel):
    """The outcome where no threshold holds."""

    code: _Code
    title: Text | None = None


class RuleSet(NotedModel):
    """A rule set.

    Attributes:
        per_head_monthly_fen: the standard, fen per counted head and month, above zero.
        max_age_days: largest age of a source at the application, or None for no limit.
        outcomes: the thresholds, in the order in which they are tried.
        fallback: the outcome where none of them holds.
    """

    id: Label
    version: Label
    region: Region
    effective: Date
    per_head_monthly_fen: int = Field(ge=1, description="an integer, 1 or more")
    income: _Datasets = ()
    deduct: _Datasets = ()
    veto: _Datasets = ()
    exclude: _Datasets = Field(default=(), validate_default=True)
    outcomes: Listed[Outcome] = Field(
        alias="outcome", min_length=1, description="tables [[outcome]] with code and at_most or below"
    )
    fallback: Otherwise = Field(alias="otherwise", description="a table [otherwise] with a code")
    max_age_days: int | None = Field(default=None, ge=0, description="an integer, 0 or more")
    title: Text | None = None
    _source: bytes = PrivateAttr(default=b"")

    def model_post_init(self, context: Any) -> None:
        """Keep the exact bytes the rules were read from, which ``parse`` gives as context."""
        if isinstance(context, bytes):
            self._source = context

    @field_validator("deduct", "veto", "exclude")
    @classmethod
    def _in_one_list(cls, datasets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A dataset stands in one list; the lists before this one are validated already."""
        places = {dataset: name for name in _LISTS for dataset in info.data.get(name, ())}
        again: list[tuple[Place, str]] = [
            ((at,), f"also stands in {places[dataset]}: keep it in one list")
            for at, dataset in enumerate(datasets)
            if dataset in places
        ]
        if again:
            raise faults_at(again)
        return datasets

    @field_validator("exclude")
    @classmethod
    def _asks_something(cls, datasets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        others = [info.data.get(name) for name in _LISTS[:-1]]
        if not datasets and all(other == () for other in others):
            raise fault("is empty, as are income, deduct and veto: name at least one dataset")
        return datasets

    @field_validator("outcomes")
    @classmethod
    def _codes_differ(cls, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        codes = [outcome.code for outcome in outcomes]
        again: list[tuple[Place, str]] = [
            ((at, "code"), "is the code of another outcome too: choose another code")
            for at, code in enumerate(codes)
            if code in codes[:at]
        ]
        if again:
            raise faults_at(again)
        return outcomes

    @field_validator("fallback")
    @classmethod
    def _code_differs(cls, fallback: Otherwise, info: ValidationInfo) -> Otherwise:
        if fallback.code in [outcome.code for outcome in info.data.get("outcomes", ())]:
            raise faults_at([(("code",), "is the code of another outcome too: choose another code")])
        return fallback

    @property
    def source(self) -> bytes:
        """The exact bytes the rules were read from."""
        return self._source

    @property
    def digest(self) -> str:
        """Lower-case hex SHA-256 of ``source``."""
        return hashlib.sha256(self._source).hexdigest()

    @property
    def otherwise(self) -> str:
        """Code of the outcome where no threshold holds."""
        return self.fallback.code

    @property
    def key(self) -> str:
        """How a case names the rules: ``<id>@<version>``."""
        return f"{self.id}@{self.version}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """Every dataset the rules ask, sorted."""
        return tuple(sorted(self.income + self.deduct + self.veto + self.exclude))

    @property
    def amounts(self) -> tuple[str, ...]:
        """The amount datasets, sorted."""
        return tuple(sorted(self.income + self.deduct))


def parse(source: bytes, name: str = "rules") -> RuleSet:
    """Read a rule set.

    Args:
        source: the TOML file's bytes.
        name: file name for messages.

    Raises:
        RulesError: with every problem, each naming its field and remedy.
    """
    problems: list[Problem] = []
    value = decode_toml(source, name, problems)
    rules = None if value is None else read(RuleSet, value, name, problems, context=source)
    if rules is None:
        raise RulesError(problems)
    return rules
