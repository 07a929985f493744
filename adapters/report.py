"""The quality report of one reading: counts, reasons and row numbers, never a value of a row.

    read = filtered + accepted + Σ refused            (rows)
    duplicates ≤ accepted                             (rows that repeat an accepted one)

``duplicates``: of an amount dataset without a row key, rows identical in every column to one accepted
before (they are added all the same); with a row key, rows whose key was accepted before (they count once);
of a member dataset, further rows of a person. ``partial`` counts persons to be published of whom a row was
refused as well: their total or their presence may be incomplete, so look at these refusals first.

``snapshot`` says what was read: ``sha256:…`` of the source file, or ``rows:…``, a fingerprint of the rows
as a multiset where only a database could tell (equal fingerprints: the same rows, in whatever order).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.reasons import reason_text

FIRST_ROWS = 10
"""How many row numbers a report keeps for each reason."""


@dataclass
class Refusals:
    """How many rows one reason refused, and the numbers of the first ones."""

    count: int = 0
    rows: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        """Count row number ``row``."""
        self.count += 1
        if len(self.rows) < FIRST_ROWS:
            self.rows.append(row)


@dataclass(frozen=True)
class QualityReport:
    """What one reading of a source found; the module docstring has the meaning of each count.

    Attributes:
        kind: "member" or "amount".
        read: rows of the source, blank ones aside.
        filtered: rows the condition left out.
        accepted: rows that count towards a person.
        duplicates: accepted rows that repeat another.
        persons: persons to be published.
        partial: persons among them with a refused row.
        refused: reason code to count and first row numbers.
        snapshot: what was read.
        definition: hex digest of the dataset's definition.
        columns: the source's columns.
    """

    kind: str
    read: int
    filtered: int
    accepted: int
    duplicates: int
    persons: int
    partial: int
    refused: Mapping[str, Refusals]
    snapshot: str
    definition: str
    columns: tuple[str, ...]

    @property
    def refused_rows(self) -> int:
        """Rows refused for any reason."""
        return sum(refusals.count for refusals in self.refused.values())

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object of strings, integers, lists and objects."""
        return {
            "kind": self.kind,
            "read": self.read,
            "filtered": self.filtered,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "persons": self.persons,
            "partial": self.partial,
            "refused": {
                code: {"count": refusals.count, "rows": list(refusals.rows)}
                for code, refusals in sorted(self.refused.items())
            },
            "snapshot": self.snapshot,
            "definition": self.definition,
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QualityReport:
        """The report that ``to_json`` wrote."""
        refused = {
            code: Refusals(item["count"], list(item["rows"])) for code, item in value["refused"].items()
        }
        return cls(**{**value, "refused": refused, "columns": tuple(value["columns"])})

    def table(self, language: str = "en") -> list[tuple[str, str]]:
        """The report as (label, text) lines to print in two columns, in English or zh-CN."""
        lines = [("label_kind", self.kind)]
        counts = ("read", "filtered", "accepted", "duplicates", "persons", "partial")
        lines += [(f"label_{name}", f"{getattr(self, name):,}") for name in counts]
        lines += [
            ("label_refused", f"{self.refused_rows:,}"),
            ("label_columns", ", ".join(self.columns)),
            ("label_snapshot", self.snapshot),
            ("label_definition", self.definition),
        ]
        table = [(reason_text(label, language), text) for label, text in lines]
        return table + [self._refusal_line(code, language) for code in sorted(self.refused)]

    def _refusal_line(self, code: str, language: str) -> tuple[str, str]:
        refusals = self.refused[code]
        where = f" ({reason_text('label_rows', language)}: {_numbers(refusals)})" if refusals.rows else ""
        return code, f"{refusals.count:,} — {reason_text(code, language)}{where}"


class Fingerprint:
    """Fingerprint of a multiset of rows: SHA-256 over the count and Σ SHA-256(row) mod 2^256.

    It tells two readings of a database apart; it is no defence against someone who forges rows to collide.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, values: Sequence[object] | None) -> None:
        """Count one row of raw values."""
        data = repr(values if values is None else tuple(values)).encode("utf-8", "surrogatepass")
        self._sum += int.from_bytes(hashlib.sha256(data).digest(), "big")
        self._count += 1

    def text(self) -> str:
        """``rows:`` and 64 hex digits."""
        total = (self._sum % (1 << 256)).to_bytes(32, "big")
        return "rows:" + hashlib.sha256(self._count.to_bytes(8, "big") + total).hexdigest()


def _numbers(refusals: Refusals) -> str:
    return ", ".join(map(str, refusals.rows)) + (" …" if refusals.count > len(refusals.rows) else "")
