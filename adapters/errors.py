"""Errors of the adapters package, drawn as a tree.

    AdapterError
    ├── ValueRefusedError       one value of one row; ``code`` is set for each instance
    │   ├── IdentifierError     an identifier that is not one
    │   ├── AmountError         an amount that is not an exact number of fen
    │   └── RowError            a whole row: its shape or its key
    ├── SourceError             a whole source
    │   ├── SourceUriError      the URI or an option
    │   ├── SourceMissingError  no such file, table or server
    │   ├── SourceReadError     broken bytes, encoding or structure
    │   ├── SourceChangedError  not the same snapshot from first to last row
    │   ├── ColumnError         a column that is missing or ambiguous
    │   └── ConditionError      a filter or a query that is not one SELECT over the columns
    ├── DatasetError            a declaration that contradicts itself
    └── WorkError               the work folder or file

``code`` is stable and has its texts in ``adapters.report``. No message ever holds a value of a row.
"""

from __future__ import annotations

from adapters.report import reason_text


class AdapterError(Exception):
    """Root of every error this package raises."""

    code: str = "adapter_error"


class ValueRefusedError(AdapterError):
    """One value cannot be used; the instance's ``code`` says why, its text never repeats the value."""

    def __init__(self, code: str) -> None:
        super().__init__(reason_text(code))
        self.code = code


class IdentifierError(ValueRefusedError):
    """Not a resident ID."""

    code = "identifier"


class AmountError(ValueRefusedError):
    """Not an exact number of fen within ±10^12."""

    code = "amount"


class RowError(ValueRefusedError):
    """A row that has the wrong number of cells, or no key."""

    code = "row_shape"


class SourceError(AdapterError):
    """A source as a whole cannot be used."""

    code = "source_error"


class SourceUriError(SourceError):
    """The source URI has an unknown scheme or option, or lacks one."""

    code = "source_uri"


class SourceMissingError(SourceError):
    """The file, table or server does not exist or cannot be reached."""

    code = "source_missing"


class SourceReadError(SourceError):
    """The source's bytes, encoding or structure are broken."""

    code = "source_read"


class SourceChangedError(SourceError):
    """The source is not the same snapshot from the first to the last row."""

    code = "source_changed"


class ColumnError(SourceError):
    """A named column is missing, or two columns have that name."""

    code = "column"


class ConditionError(SourceError):
    """A filter condition or a query is not one SELECT over the source's columns."""

    code = "condition"


class DatasetError(AdapterError):
    """A dataset's declaration contradicts itself."""

    code = "dataset"


class WorkError(AdapterError):
    """The work folder or the file in it cannot be written."""

    code = "work"
