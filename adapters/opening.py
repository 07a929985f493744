"""The choice of a source's back end by the scheme of its URI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from adapters.file_sources import CsvSource
from adapters.sources import Source, SourceUri, require_options
from adapters.sql_sources import SqliteSource, SqlSource


def _open_xlsx(uri: SourceUri, root: Path) -> Source:
    """An XLSX source; its library takes a fifth of a second to load, so only a node that needs it does."""
    from adapters.file_sources import XlsxSource  # noqa: PLC0415

    return XlsxSource(uri, root)


BACK_ENDS: Mapping[str, Callable[[SourceUri, Path], Source]] = MappingProxyType(
    {"csv": CsvSource, "xlsx": _open_xlsx, "sqlite": SqliteSource}
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
