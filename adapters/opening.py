"""The choice of a source's back end by the scheme of its URI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from adapters.csv_source import CsvSource
from adapters.sources import Source, SourceUri, require_options
from adapters.sql_source import SqlSource
from adapters.sqlite_source import SqliteSource
from adapters.xlsx_source import XlsxSource

BACK_ENDS: Mapping[str, Callable[[SourceUri, Path], Source]] = MappingProxyType(
    {"csv": CsvSource, "xlsx": XlsxSource, "sqlite": SqliteSource}
)
"""File schemes; every other scheme is a SQLAlchemy URL."""


def open_source(text: str, root: Path) -> Source:
    """Open the source that the URI ``text`` names, its path relative to ``root``.

    Raises:
        SourceError: one of its kinds; see the back ends.
    """
    uri = SourceUri.parse(text)
    require_options(uri)
    if uri.is_server:
        return SqlSource(uri)
    return BACK_ENDS[uri.scheme](uri, root)
