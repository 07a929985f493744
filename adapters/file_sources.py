"""Files of rows: CSV, and one sheet of an XLSX workbook.

**CSV**: any text encoding Python knows, any one-character delimiter, RFC 4180 quoting.

UTF-8, with or without a byte-order mark, unless ``encoding`` says otherwise; bytes that the encoding does
not know end the reading, since a wrong encoding makes every row doubtful. ``delimiter`` is one character,
or ``tab``. Quoting is strict: an unclosed quote ends the reading too. The first row that is not blank is
the header. A row is row 2, 3, … as a spreadsheet would show it. A row with more or fewer cells than the
header does not fit (a value with an unquoted comma moved the others); empty cells beyond the header are
harmless.

**XLSX**: one sheet, streamed by openpyxl in read-only mode. ``sheet`` names the sheet, the first one unless
given. The first row that is not blank is the header.
Formulas count with the value the spreadsheet last stored. Cells keep their types: text, integers and floats
as stored, datetimes; an identifier stored as a number of 18 digits has lost its end and is refused later.
The workbook's table of shared strings is held in memory: a sheet cannot have more than 1,048,576 rows,
which bounds it.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook import Workbook

from adapters.conditions import RowFilter
from adapters.errors import SourceMissingError, SourceReadError, SourceUriError
from adapters.loading import column_name, column_names
from adapters.sources import FileSnapshot, SourceRow, SourceUri


class CsvSource:
    """A source over one CSV file; see ``adapters.sources.Source``."""

    def __init__(self, uri: SourceUri, root: Path) -> None:
        """Open the file and read its header.

        Raises:
            SourceUriError, SourceMissingError, SourceReadError
        """
        self.filtered = 0
        self._path = uri.file(root)
        self._encoding = uri.options.get("encoding", "utf-8-sig")
        self._delimiter = _delimiter(uri.options.get("delimiter", ","))
        self._file = FileSnapshot(self._path)
        with self._open() as stream:
            _, header = next(self._records(stream), (0, []))
        self.columns = column_names(header)
        if not self.columns:
            raise SourceReadError("the CSV file has no header: its first row must name the columns")

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
        """Nothing stays open between calls."""

    def _rows(self) -> Iterator[SourceRow]:
        width = len(self.columns)
        with self._open() as stream:
            records = self._records(stream)
            next(records)
            for number, values in records:
                yield number, values if len(values) == width else _fitted(values, width)

    def _records(self, stream: TextIO) -> Iterator[tuple[int, list[str]]]:
        """Every record that is not a blank line, with its row number."""
        reader = csv.reader(stream, delimiter=self._delimiter, strict=True)
        try:
            for number, values in enumerate(reader, start=1):
                if values:
                    yield number, values
        except UnicodeError:
            place = f"the bytes after line {reader.line_num}" if reader.line_num else "the first bytes"
            raise SourceReadError(
                f"{place} are not {self._encoding}: state the file's own encoding, such as "
                "?encoding=gb18030 or ?encoding=utf-8"
            ) from None
        except csv.Error:
            raise SourceReadError(
                f"the quoting breaks at line {reader.line_num}: close the quotes, or export the file again"
            ) from None

    def _open(self) -> TextIO:
        try:
            return self._path.open(encoding=self._encoding, newline="")
        except LookupError:
            raise SourceUriError(
                f"there is no text encoding {self._encoding!r}: try utf-8 or gb18030"
            ) from None
        except OSError as error:
            raise SourceReadError(
                f"the CSV file cannot be opened ({error.strerror}): check its permissions"
            ) from None


def _delimiter(option: str) -> str:
    delimiter = "\t" if option in ("tab", "\\t") else option
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SourceUriError("a delimiter is one character other than a quote or line break, or the word tab")
    return delimiter


def _fitted(values: Sequence[str], width: int) -> Sequence[str] | None:
    """The first ``width`` cells when all beyond are empty; None where the row does not fit the header."""
    if len(values) < width or any(map(str.strip, values[width:])):
        return None
    return values[:width]


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
            yield number, values if len(values) == width else _fitted_cells(values, width)

    def _records(self) -> Iterator[tuple[int, Sequence[object]]]:
        """Every row that is not blank, with the number the spreadsheet shows."""
        try:
            for number, values in enumerate(self._sheet.iter_rows(values_only=True), start=1):
                if any(value is not None and value != "" for value in values):
                    yield number, values
        except _BROKEN:
            raise SourceReadError("the sheet's content is broken: open and save the workbook again") from None


def _fitted_cells(values: Sequence[object], width: int) -> Sequence[object] | None:
    """``values`` filled up with empty cells, which no sheet stores; None when one lies beyond the header."""
    if len(values) < width:
        return (*values, *[None] * (width - len(values)))
    return None if any(value is not None and value != "" for value in values[width:]) else values[:width]
