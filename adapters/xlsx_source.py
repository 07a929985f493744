"""XLSX workbooks: one sheet, streamed by openpyxl in read-only mode.

``sheet`` names the sheet, the first one unless given. The first row that is not blank is the header.
Formulas count with the value the spreadsheet last stored. Cells keep their types: text, integers and floats
as stored, datetimes; an identifier stored as a number of 18 digits has lost its end and is refused later.
The workbook's table of shared strings is held in memory: a sheet cannot have more than 1,048,576 rows,
which bounds it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook import Workbook

from adapters.columns import column_name, column_names
from adapters.conditions import RowFilter
from adapters.errors import SourceMissingError, SourceReadError
from adapters.sources import FileSnapshot, SourceRow, SourceUri

_BROKEN = (zipfile.BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, OSError, EOFError)


class XlsxSource:
    """A source over one sheet of a workbook; see ``adapters.sources.Source``."""

    def __init__(self, uri: SourceUri, root: Path) -> None:
        """Open the workbook and read the sheet's header.

        Raises:
            SourceMissingError: no such file or sheet.
            SourceReadError: not a workbook, or a sheet without a header.
        """
        self.filtered = 0
        path = uri.file(root)
        self._file = FileSnapshot(path)
        try:
            self._workbook: Workbook = load_workbook(path, read_only=True, data_only=True)
        except _BROKEN:
            raise SourceReadError(
                "the file is not an XLSX workbook: save it as .xlsx, without a password"
            ) from None
        sheets = [sheet.title for sheet in self._workbook.worksheets]
        wanted = uri.options.get("sheet")
        titles = [title for title in sheets if wanted is None or column_name(title) == column_name(wanted)]
        if not titles:
            self.close()
            raise SourceMissingError(f"there is no sheet {wanted!r}; the workbook has: {', '.join(sheets)}")
        self._sheet = self._workbook[titles[0]]
        self._sheet.reset_dimensions()
        _, header = next(self._records(), (0, ()))
        self.columns = column_names(header)
        if not self.columns:
            self.close()
            raise SourceReadError("the sheet has no header: its first row must name the columns")

    def rows(self, where: str | None) -> Iterator[SourceRow]:
        """Stream the data rows; see ``Source.rows``."""
        if where is None:
            yield from self._rows()
        else:
            row_filter = RowFilter(self.columns, where)
            try:
                yield from row_filter.apply(self._rows())
            finally:
                self.filtered = row_filter.filtered
                row_filter.close()
        self._file.require_unchanged()

    def snapshot(self) -> str | None:
        """Digest of the file's bytes."""
        return self._file.digest()

    def close(self) -> None:
        """Close the workbook's archive."""
        self._workbook.close()

    def _rows(self) -> Iterator[SourceRow]:
        width = len(self.columns)
        records = self._records()
        next(records)
        for number, values in records:
            yield number, values if len(values) == width else _fitted(values, width)

    def _records(self) -> Iterator[tuple[int, Sequence[object]]]:
        """Every row that is not blank, with the number the spreadsheet shows."""
        try:
            for number, values in enumerate(self._sheet.iter_rows(values_only=True), start=1):
                if any(value is not None and value != "" for value in values):
                    yield number, values
        except _BROKEN:
            raise SourceReadError("the sheet's content is broken: open and save the workbook again") from None


def _fitted(values: Sequence[object], width: int) -> Sequence[object] | None:
    """``values`` filled up with empty cells, which no sheet stores; None when one lies beyond the header."""
    if len(values) < width:
        return (*values, *[None] * (width - len(values)))
    return None if any(value is not None and value != "" for value in values[width:]) else values[:width]
