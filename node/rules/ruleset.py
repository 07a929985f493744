"""A rule set: one region's standard for one year, as TOML, known by the SHA-256 of its exact bytes.

    id, version, region, effective          which rules, for whom, from when
    per_head_monthly_fen                    the standard, integer fen per counted head and month
    income, deduct                          amount datasets, added and subtracted
    veto, exclude                           member datasets: a hit stops the grant, or is not counted
    max_age_days                            optional: a source older at the application is "not covered"
    [[outcome]] code, at_most | below       tried in order; a decimal string, times the standard
    [otherwise] code                        where no outcome holds
    title, note                             optional free text

A dataset stands in one list only. Thresholds are decimal strings, read as exact fractions; a TOML float is
refused. Unknown fields are refused, since a misspelt list would silently weaken the rules.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from node.errors import ConfigurationError
from node.rules.table import Problem, Table

DATASET_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\.[a-z0-9][a-z0-9_-]{0,63}")
LABEL = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
REGION = re.compile(r"[0-9]{2,12}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")
_DATASET_REMEDY = 'a dataset id like "tax.income"'
_LISTS = ("income", "deduct", "veto", "exclude")


class ReservedOutcome(StrEnum):
    """Outcomes every rule set has; no rule may use their codes."""

    VETOED = "vetoed"
    INCOMPLETE = "incomplete"
    NO_CONSENT = "no_consent"


RESERVED_OUTCOMES = tuple(outcome.value for outcome in ReservedOutcome)
"""Their codes."""


class RulesError(ConfigurationError):
    """A rule set is not well formed.

    Attributes:
        problems: every problem found, in reading order.
    """

    code = "rules"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Outcome:
    """One threshold: net income against ``limit`` × standard × 12 × heads.

    Attributes:
        code: the outcome's stable name.
        kind: "at_most" (≤) or "below" (<).
        limit: decimal string as written in the rules.
    """

    code: str
    kind: str
    limit: str

    def holds(self, net_fen: int, annual_fen: int) -> bool:
        """Compare exactly, in integers. ``annual_fen`` is standard × 12 × heads."""
        limit = Fraction(self.limit)
        left, right = net_fen * limit.denominator, annual_fen * limit.numerator
        return left <= right if self.kind == "at_most" else left < right


@dataclass(frozen=True)
class RuleSet:
    """A parsed rule set.

    Attributes:
        per_head_monthly_fen: the standard, fen per counted head and month, above zero.
        max_age_days: largest age of a source at the application, or None for no limit.
        otherwise: outcome code where no ``outcomes`` holds.
        source: the exact bytes the rules were read from.
        digest: lower-case hex SHA-256 of ``source``.
    """

    id: str
    version: str
    region: str
    effective: dt.date
    per_head_monthly_fen: int
    income: tuple[str, ...]
    deduct: tuple[str, ...]
    veto: tuple[str, ...]
    exclude: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    otherwise: str
    max_age_days: int | None
    title: str | None
    source: bytes
    digest: str

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
    table = Table(_decoded(source, name), name, "", problems)
    rules = RuleSet(
        id=table.text("id", "a label such as dibao", LABEL),
        version=table.text("version", "a label such as 2026.1, in quotes", LABEL),
        region=table.text("region", "two to twelve digits, in quotes", REGION),
        effective=table.date("effective"),
        per_head_monthly_fen=table.integer("per_head_monthly_fen", 1),
        income=table.texts("income", _DATASET_REMEDY, DATASET_ID),
        deduct=table.texts("deduct", _DATASET_REMEDY, DATASET_ID),
        veto=table.texts("veto", _DATASET_REMEDY, DATASET_ID),
        exclude=table.texts("exclude", _DATASET_REMEDY, DATASET_ID),
        outcomes=_outcomes(table),
        otherwise=_otherwise(table),
        max_age_days=table.integer("max_age_days", 0) if table.has("max_age_days") else None,
        title=table.text_or_none("title", "a text"),
        source=source,
        digest=hashlib.sha256(source).hexdigest(),
    )
    table.finish()
    _check_whole(table, rules)
    if problems:
        raise RulesError(tuple(problems))
    return rules


def _decoded(source: bytes, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(source.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RulesError((Problem(name, "", f"save it as UTF-8: byte {error.start} is not"),)) from error
    except tomllib.TOMLDecodeError as error:
        raise RulesError((Problem(name, "", f"is not TOML, correct it: {error}"),)) from error


def _outcomes(table: Table) -> tuple[Outcome, ...]:
    found = []
    for entry in table.tables("outcome", "tables [[outcome]] with code and at_most or below"):
        code = entry.text("code", "a short name in lower case", _CODE)
        kinds = [kind for kind in ("at_most", "below") if entry.has(kind)]
        entry.text_or_none("title", "a text")
        entry.finish()
        if len(kinds) != 1:
            entry.refuse("", "give exactly one of at_most and below")
            continue
        limit = entry.text(kinds[0], 'a decimal in quotes, such as "1.5"', _DECIMAL)
        found.append(Outcome(code, kinds[0], limit))
    return tuple(found)


def _otherwise(table: Table) -> str:
    entry = table.table("otherwise", "a table [otherwise] with a code")
    code = entry.text("code", "a short name in lower case", _CODE)
    entry.text_or_none("title", "a text")
    entry.finish()
    return code


def _check_whole(table: Table, rules: RuleSet) -> None:
    """What no field shows alone: codes differ and are free, a dataset stands once, something is asked."""
    seen: set[str] = set()
    for code in (*(outcome.code for outcome in rules.outcomes), rules.otherwise):
        if code in RESERVED_OUTCOMES:
            table.refuse("outcome", f"{code} is reserved: choose another code")
        elif code and code in seen:
            table.refuse("outcome", f"{code} is there twice: choose another code")
        seen.add(code)
    places: dict[str, str] = {}
    for name in _LISTS:
        for dataset in getattr(rules, name):
            if dataset in places:
                table.refuse(name, f"{dataset} also stands in {places[dataset]}: keep it in one list")
            places[dataset] = name
    if not places:
        table.refuse("income", "is empty, as are all lists: name at least one dataset")
