"""The loop over a source's rows: normalise, refuse, tell repeats apart, hand over to the work file.

One row costs a few microseconds, so this is the one place written for speed; the rules are those of
``adapters.dataset``. A refused row whose person is known makes that person *partial* in the report.

Column names match after NFKC, with outer white space, zero-width characters and BOM dropped. Two columns of
one name (letter case aside, as SQL has it) are refused as soon as that name is asked for;
columns that nobody asks for may be called anything, or nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import cast

from adapters.amounts import Unit, fen
from adapters.errors import ColumnError, RowError, ValueRefusedError
from adapters.identifiers import hide_identifiers, identifier_text, resident_id
from adapters.report import Fingerprint, QualityReport, Refusals
from adapters.sources import Source
from adapters.workfile import WorkFile

_PROGRESS_ROWS = 8_192
_MARK_BYTES = 16


@dataclass(frozen=True)
class Mapping:
    """Positions of the columns a dataset uses.

    Attributes:
        identifier: position of the identifier.
        amount: position of the amount, None for a member dataset.
        unit: unit of the amount.
        row_key: positions of the row key, empty without one.
    """

    identifier: int
    amount: int | None
    unit: Unit | None
    row_key: tuple[int, ...]

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        identifier: str,
        amount: str | None,
        unit: str | None,
        row_key: Sequence[str],
    ) -> Mapping:
        """Find the named columns in ``columns``; ``unit`` is one of ``amounts.UNITS`` or None.

        Raises:
            ColumnError: one is missing or stands twice.
        """
        return cls(
            position(columns, identifier),
            None if amount is None else position(columns, amount),
            cast("Unit | None", unit),
            tuple(position(columns, name) for name in row_key),
        )


class Loader:
    """Reads one source into one work file, once."""

    def __init__(
        self, source: Source, mapping: Mapping, work: WorkFile, progress: Callable[[int], None] | None
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._work = work
        self._progress = progress
        self._refused: dict[str, Refusals] = {}
        self._read = 0
        self._accepted = 0
        self._key_repeats = 0

    def load(self, where: str | None, snapshot: str | None, definition: str) -> QualityReport:
        """Read all rows and report; a source without a snapshot gets the fingerprint of its rows.

        Raises:
            SourceError, WorkError
        """
        fingerprint = Fingerprint() if snapshot is None else None
        for number, values in self._source.rows(where):
            self._read += 1
            if self._progress is not None and self._read % _PROGRESS_ROWS == 0:
                self._progress(self._read)
            if fingerprint is not None:
                fingerprint.add(values)
            try:
                self._take(values)
            except ValueRefusedError as refusal:
                self._refuse(refusal.code, number)
        if self._progress is not None:
            self._progress(self._read)
        if snapshot is None and fingerprint is not None:
            snapshot = fingerprint.text()
        return self._report(snapshot or "", definition)

    def _take(self, values: Sequence[object] | None) -> None:
        if values is None:
            raise RowError("row_shape")
        mapping = self._mapping
        cell = values[mapping.identifier]
        identifier = resident_id(cell if isinstance(cell, str) else identifier_text(cell))
        if mapping.amount is None or mapping.unit is None:
            self._accepted += 1
            self._work.add((identifier, b"", None))
            return
        try:
            amount = fen(values[mapping.amount], mapping.unit)
            mark = _mark(values) if not mapping.row_key else self._key(values)
            fresh = not mapping.row_key or self._claim(mark, identifier, amount)
        except ValueRefusedError:
            self._work.mark_partial(identifier)
            raise
        self._accepted += 1
        if fresh:
            self._work.add((identifier, mark, amount))

    def _key(self, values: Sequence[object]) -> bytes:
        key = [values[index] for index in self._mapping.row_key]
        key = [part.strip() if isinstance(part, str) else part for part in key]
        if all(part is None or part == "" for part in key):
            raise RowError("row_key_empty")
        return _mark(key)

    def _claim(self, mark: bytes, identifier: str, amount: int) -> bool:
        claim = self._work.claim(mark, identifier, amount)
        if claim == "conflict":
            raise RowError("row_key_conflict")
        if claim == "repeat":
            self._key_repeats += 1
        return claim == "new"

    def _refuse(self, code: str, number: int) -> None:
        self._refused.setdefault(code, Refusals()).add(number)

    def _report(self, snapshot: str, definition: str) -> QualityReport:
        settled = self._work.settle()
        if settled.excess:
            self._refused["total_range"] = Refusals(settled.excess)
        return QualityReport(
            kind="member" if self._mapping.amount is None else "amount",
            read=self._read + self._source.filtered,
            filtered=self._source.filtered,
            accepted=self._accepted - settled.excess,
            duplicates=settled.repeats + self._key_repeats,
            persons=settled.persons,
            partial=settled.partial,
            refused=self._refused,
            snapshot=snapshot,
            definition=definition,
            columns=self._source.columns,
        )


def _mark(values: Sequence[object]) -> bytes:
    """16 bytes that tell rows (or keys) apart."""
    data = repr(tuple(values)).encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=_MARK_BYTES).digest()


_INVISIBLE = dict.fromkeys((0, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


def column_name(heading: object) -> str:
    """The normal form of one heading; "" for an empty one."""
    if heading is None:
        return ""
    return unicodedata.normalize("NFKC", str(heading).translate(_INVISIBLE)).strip()


def column_names(headings: Iterable[object]) -> tuple[str, ...]:
    """The normal forms of a header row, in order, empty headings at its end dropped."""
    names = [column_name(heading) for heading in headings]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def position(columns: Sequence[str], wanted: str) -> int:
    """Index of the column named ``wanted``.

    Raises:
        ColumnError: no such column, or more than one; the message lists the columns there are.
    """
    name = column_name(wanted)
    found = [index for index, column in enumerate(columns) if column == name]
    if not found:
        found = [index for index, column in enumerate(columns) if column.casefold() == name.casefold()]
    if len(found) == 1 and name:
        return found[0]
    fault = "more than one column is" if found and name else "no column is"
    raise ColumnError(f"{fault} called {name!r}; the source has: {listed(columns)}")


def listed(columns: Sequence[str]) -> str:
    """The columns as text for a message; the first row of a file without a header may hold identifiers."""
    return ", ".join(hide_identifiers(column) for column in columns) if columns else "no columns"
