"""From a source to a dataset: an ordered stream of (identifier, fen) and a report of everything refused.

A ``DatasetSpec`` says which column identifies the person, and for kind "amount" which column is money in
which unit. Reading streams the source once: the condition, then each row's identifier, then its amount; a
row that fails is refused under one reason code with its row number, and the others go on. Then, for each
person:

    member   present once, however many rows, whatever the row key
    amount   Σ fen over the rows; identical rows are all added; with ``row_key`` rows of the same key
             count once (the first read; a later one with that key but another person or amount is refused)

A person whose total leaves ±10^12 fen is refused as a whole. Memory is bounded by batches; rows wait in a
work file (``adapters.workfile``). A kept work file is used again when definition and snapshot are provably
the same; otherwise reading starts again.

Definition digest: SHA-256("hedui/definition/v1" ‖ 0x00 ‖ JSON), the JSON with sorted names, no spaces,
UTF-8, over kind, identifier, amount, unit, where, row key and the source's scheme, path and own options. Of
a database URL only the dialect, the base's name and our options count: no user, password, host or driver
option, so that a moved server keeps its definition and a credential never enters a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.amounts import UNITS
from adapters.errors import DatasetError
from adapters.identifiers import DOMAIN
from adapters.loading import Loader, Mapping, column_name
from adapters.opening import open_source
from adapters.report import QualityReport
from adapters.sources import SourceUri, require_options
from adapters.sql_sources import server_url
from adapters.workfile import WorkFile

KINDS = ("member", "amount")
OnRead = Callable[[int], None]
"""Called with the rows read so far, every few thousand rows; an error it raises cancels the reading."""

_OWN_SERVER_OPTIONS = ("table", "query")


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset as a department declares it.

    Attributes:
        source: URI, see ``adapters.sources``.
        identifier: column of the resident ID.
        kind: "member" or "amount".
        amount: column of the amount, for kind "amount" only.
        unit: "yuan", "fen" or "wan", with ``amount`` only.
        where: SQL condition over the source's columns, see ``adapters.conditions``.
        row_key: columns that tell one row from another.
        root: folder that a file source's path is relative to.
    """

    source: str
    identifier: str
    kind: str
    amount: str | None = None
    unit: str | None = None
    where: str | None = None
    row_key: tuple[str, ...] = ()
    root: Path = Path()

    def __post_init__(self) -> None:
        """Refuse a contradiction.

        Raises:
            DatasetError: kind, amount and unit do not fit together, or no identifier column is named.
        """
        if self.kind not in KINDS:
            raise DatasetError(f"a dataset's kind is member or amount, not {self.kind!r}")
        if self.kind == "member" and (self.amount is not None or self.unit is not None):
            raise DatasetError(
                "a member dataset has no amount and no unit: drop them, or make the kind amount"
            )
        if self.kind == "amount" and (self.amount is None or self.unit not in UNITS):
            raise DatasetError("an amount dataset names its amount column and a unit: yuan, fen or wan")
        if not column_name(self.identifier):
            raise DatasetError("a dataset names the column of its identifier")


class PreparedDataset:
    """A read dataset: its report and its rows, ordered by identifier; close it, or use it in a ``with``."""

    def __init__(self, work: WorkFile, report: QualityReport, *, keep: bool) -> None:
        """Use ``read_dataset``."""
        self.report = report
        self._work = work
        self._keep = keep

    def __iter__(self) -> Iterator[tuple[bytes, int | None]]:
        """All rows from the first; may be started more than once."""
        return self.items()

    def items(self, start: int = 0) -> Iterator[tuple[bytes, int | None]]:
        """(canonical identifier bytes, fen; None for kind "member"), ascending, one per person.

        Args:
            start: persons to skip, as a killed job does that has handled so many; the order never changes.
        """
        for identifier, total in self._work.totals(start):
            yield DOMAIN + identifier.encode("ascii"), total

    def __len__(self) -> int:
        """Persons to be published."""
        return self.report.persons

    def close(self) -> None:
        """Close the work file; it stays for a resumed job only if ``keep`` was asked for."""
        self._work.close(remove=not self._keep)

    def __enter__(self) -> PreparedDataset:
        """Begin a block that ``close`` ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def read_dataset(
    spec: DatasetSpec, work: Path | None = None, progress: OnRead | None = None, *, keep: bool = False
) -> PreparedDataset:
    """Read ``spec``'s source to its end.

    Args:
        spec: the dataset.
        work: folder for the work file, in the department's own home; None for an unnamed temporary file.
        progress: called with the number of rows read.
        keep: leave the complete work file for a later reading of the same definition and snapshot.

    Raises:
        SourceError: the source as a whole cannot be used.
        WorkError: the work folder cannot be used.
    """
    definition = definition_digest(spec).hex()
    name = f"rows-{definition[:32]}"
    source = open_source(spec.source, spec.root)
    try:
        mapping = Mapping.of(
            source.columns,
            spec.identifier,
            spec.amount,
            spec.unit,
            spec.row_key if spec.kind == "amount" else (),
        )
        snapshot = source.snapshot()
        kept = _kept(work, name, snapshot, definition) if work is not None and keep else None
        if kept is not None:
            return kept
        file = WorkFile.create(work, name, keep=keep)
        try:
            report = Loader(source, mapping, file, progress).load(spec.where, snapshot, definition)
            file.complete(report.to_json())
        except BaseException:
            file.close()
            raise
        return PreparedDataset(file, report, keep=keep)
    finally:
        source.close()


def check_dataset(
    spec: DatasetSpec, work: Path | None = None, progress: OnRead | None = None
) -> QualityReport:
    """Read ``spec``'s source to its end and report on it, keeping nothing.

    Raises:
        SourceError, WorkError: as ``read_dataset``.
    """
    with read_dataset(spec, work, progress) as prepared:
        return prepared.report


def definition_digest(spec: DatasetSpec) -> bytes:
    """32 bytes that name what ``spec`` publishes; see the module docstring.

    Raises:
        SourceUriError: the source URI is malformed.
    """
    uri = SourceUri.parse(spec.source)
    require_options(uri)
    if uri.is_server:
        url = server_url(uri)
        options = {name: value for name, value in uri.options.items() if name in _OWN_SERVER_OPTIONS}
        source = {"scheme": url.get_backend_name(), "path": url.database or "", "options": options}
    else:
        source = {"scheme": uri.scheme, "path": uri.path, "options": dict(uri.options)}
    definition = {
        "kind": spec.kind,
        "identifier": column_name(spec.identifier),
        "amount": None if spec.amount is None else column_name(spec.amount),
        "unit": spec.unit,
        "where": None if spec.where is None else spec.where.strip(),
        "row_key": [column_name(name) for name in spec.row_key],
        "source": source,
    }
    text = json.dumps(definition, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"hedui/definition/v1\0" + text.encode("utf-8")).digest()


def _kept(work: Path, name: str, snapshot: str | None, definition: str) -> PreparedDataset | None:
    """The complete work file of an earlier reading of exactly this snapshot and definition, or None."""
    file = WorkFile.reopen(work, name)
    if file is None:
        return None
    recorded = file.report()
    if (
        recorded is None
        or snapshot is None
        or recorded["snapshot"] != snapshot
        or recorded["definition"] != definition
    ):
        file.close(remove=True)
        return None
    return PreparedDataset(file, QualityReport.from_json(recorded), keep=True)
