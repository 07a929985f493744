"""Sources: where a department's rows come from, chosen by URI.

    csv:tax/income.csv?encoding=gb18030&delimiter=;     xlsx:sib/pension.xlsx?sheet=养老金
    sqlite:tax/registry.db?table=owners                 sqlite:h.db?query=SELECT id FROM houses GROUP BY id
    postgresql+psycopg://user:password@host/base?table=owners&sslmode=require

    scheme ":" path ["?" option "=" value *("&" option "=" value)]

A path is relative to the dataset's folder. The first ``?`` ends it; a value is read literally up to the end
or the next ``&``: no percent-decoding, so a query may hold spaces, ``=`` and ``>`` but no ``&``. A scheme
without a file of its own here and a path that begins with ``//`` is a SQLAlchemy URL: ``table`` and
``query`` are taken out of its options, every other option goes to the driver.

A back end is one class in one file that keeps the contract of ``Source``, and one line in ``BACK_ENDS``.
Queries and conditions are the operator's own configuration; still, files are opened read-only and nothing
but one SELECT ever runs (``adapters.conditions``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.errors import SourceChangedError, SourceMissingError, SourceUriError

SourceRow = tuple[int, Sequence[object] | None]
"""(row number, raw values in the order of ``columns``); None where the row does not fit the header.

In a table file the header is row 1, as a spreadsheet shows it; in a database rows are counted from 1 as
they arrive.
"""

_HASH_CHUNK = 1 << 20


class Source(Protocol):
    """One table of raw values, read once from beginning to end in bounded memory."""

    columns: tuple[str, ...]
    """Normalised column names, known as soon as the source is open."""

    filtered: int
    """Rows the condition left out, right once ``rows`` has ended."""

    def rows(self, where: str | None) -> Iterator[SourceRow]:
        """Stream the rows that meet the SQL condition ``where``; blank rows are passed over.

        Raises:
            SourceReadError: broken bytes, encoding or structure; drop what was read before.
            SourceChangedError: the file is not the one ``snapshot`` described.
            ConditionError: the condition is wrong.
        """
        ...

    def snapshot(self) -> str | None:
        """``sha256:`` and the digest of the file that ``rows`` reads, None where nothing proves it yet."""
        ...

    def close(self) -> None:
        """Release files and connections; may be called twice."""
        ...


@dataclass(frozen=True)
class SourceUri:
    """A parsed source URI.

    Attributes:
        scheme: the back end, lower case.
        path: a file path, or the rest of a SQLAlchemy URL before ``?``.
        options: our options and, for a SQLAlchemy URL, the driver's, in the order written.
    """

    scheme: str
    path: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> SourceUri:
        """Split ``text``.

        Raises:
            SourceUriError: no scheme, no path, or an option that is empty, repeated or has no ``=``.
        """
        scheme, colon, rest = text.strip().partition(":")
        path, question, tail = rest.partition("?")
        if not colon or not scheme or not path.strip():
            raise SourceUriError(
                "a source is written scheme:path?option=value, as csv:tax/income.csv?encoding=gb18030"
            )
        options: dict[str, str] = {}
        for part in tail.split("&") if question and tail else ():
            name, equals, value = part.partition("=")
            if not equals or not name.strip() or name.strip() in options:
                raise SourceUriError(
                    "every option of a source is written once as name=value; a value cannot hold '&' "
                    "(in a query write the condition without it, or name a view)"
                )
            options[name.strip()] = value
        return cls(scheme.strip().lower(), path.strip(), options)

    @property
    def is_server(self) -> bool:
        """Whether this is a SQLAlchemy URL rather than one of our own file schemes."""
        return self.scheme not in FILE_OPTIONS and self.path.startswith("//")

    def file(self, root: Path) -> Path:
        """The file below ``root``.

        Raises:
            SourceMissingError: there is no such file.
        """
        path = root / self.path
        if not path.is_file():
            raise SourceMissingError(
                f"there is no file {self.path!r} in the dataset's folder: check the source's path"
            )
        return path


FILE_OPTIONS: Mapping[str, frozenset[str]] = {
    "csv": frozenset({"encoding", "delimiter"}),
    "xlsx": frozenset({"sheet"}),
    "sqlite": frozenset({"table", "query"}),
}
"""Schemes of files, with the options each knows."""


def require_options(uri: SourceUri) -> None:
    """Refuse an option that the file scheme does not know.

    Raises:
        SourceUriError: unknown scheme or option.
    """
    if uri.is_server:
        return
    if uri.scheme not in FILE_OPTIONS:
        raise SourceUriError(
            f"unknown source scheme {uri.scheme!r}: use {', '.join(FILE_OPTIONS)}, or a SQLAlchemy URL "
            "such as postgresql+psycopg://host/base?table=t"
        )
    unknown = sorted(set(uri.options) - FILE_OPTIONS[uri.scheme])
    if unknown:
        known = ", ".join(sorted(FILE_OPTIONS[uri.scheme]))
        raise SourceUriError(f"a {uri.scheme} source has no option {', '.join(unknown)}: it knows {known}")


class FileSnapshot:
    """Proof that one file stays the same: SHA-256 at the start, identity, size and time at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._stamp()
        self._digest: str | None = None

    def digest(self) -> str:
        """``sha256:`` and 64 hex digits over the bytes of the file; computed once.

        Raises:
            SourceChangedError: the file changed meanwhile.
        """
        if self._digest is None:
            hasher = hashlib.sha256()
            with self._path.open("rb") as stream:
                while chunk := stream.read(_HASH_CHUNK):
                    hasher.update(chunk)
            self.require_unchanged()
            self._digest = "sha256:" + hasher.hexdigest()
        return self._digest

    def require_unchanged(self) -> None:
        """Compare the file with the one at the start.

        Raises:
            SourceChangedError: another file stands there now, or its size or time differs.
        """
        if self._stamp() != self._before:
            raise SourceChangedError(
                "the source file changed while it was read: read it again once it is complete"
            )

    def _stamp(self) -> tuple[int, int, int, int]:
        try:
            status = self._path.stat()
        except OSError:
            raise SourceChangedError("the source file disappeared while it was read: put it back") from None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
