"""Database servers by SQLAlchemy URL, streamed through a server-side cursor.

``table`` (``schema.table`` is allowed) or ``query`` says what is read; every other option goes to the
driver. PostgreSQL and MySQL read in one REPEATABLE READ transaction, PostgreSQL in a read-only one, and
each statement is one SELECT around the operator's own. A server proves no snapshot in advance: the reader
takes a fingerprint of the rows instead. Driver messages from after the first row can hold values, so they
are never passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from adapters.columns import column_names
from adapters.conditions import condition_fault, counted, single_select, wrapped
from adapters.errors import ConditionError, SourceMissingError, SourceReadError, SourceUriError
from adapters.sources import SourceRow, SourceUri

_OWN = ("table", "query")
_REPEATABLE = ("postgresql", "mysql", "mariadb")
_FETCH = 2_000


class SqlSource:
    """A source over one table, view or query of a database server; see ``adapters.sources.Source``."""

    def __init__(self, uri: SourceUri) -> None:
        """Connect and learn the columns.

        Raises:
            SourceUriError: neither or both of ``table`` and ``query``, or an unknown driver.
            SourceMissingError: no connection.
            ConditionError: the server refuses the query.
        """
        self.filtered = 0
        self.columns: tuple[str, ...] = ()
        if len([name for name in _OWN if name in uri.options]) != 1:
            raise SourceUriError("a database source needs one of ?table=NAME and ?query=SELECT …")
        self._engine = _engine(server_url(uri))
        self._inner = self._select(uri.options)
        self._connection = self._connect()
        try:
            self.columns = column_names(self._describe(wrapped(self._inner, None)))
        except BaseException:
            self.close()
            raise

    def rows(self, where: str | None) -> Iterator[SourceRow]:
        """Stream the rows; see ``Source.rows``. Row numbers count from 1 as the server returns them."""
        selection = wrapped(self._inner, where)
        self._describe(selection)
        number = 0
        try:
            total = None if where is None else self._count()
            with self._run(selection, stream=True) as result:
                for number, values in enumerate(result, start=1):
                    yield number, values
        except SQLAlchemyError:
            raise SourceReadError(
                "the server stopped answering, or the query fails on a row's values"
            ) from None
        self.filtered = 0 if total is None else total - number

    def snapshot(self) -> str | None:
        """None: a server proves nothing in advance."""
        return None

    def close(self) -> None:
        """End the transaction and disconnect."""
        self._connection.close()
        self._engine.dispose()

    def _select(self, options: Mapping[str, str]) -> str:
        if "query" in options:
            return single_select(options["query"])
        quote = self._engine.dialect.identifier_preparer.quote_identifier
        name = ".".join(quote(part) for part in options["table"].split("."))
        return f"SELECT * FROM {name}"  # noqa: S608 - quoted

    def _connect(self) -> Connection:
        options: dict[str, Any] = {"no_parameters": True, "max_row_buffer": _FETCH}
        if self._engine.dialect.name in _REPEATABLE:
            options["isolation_level"] = "REPEATABLE READ"
        if self._engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        try:
            return self._engine.connect().execution_options(**options)
        except SQLAlchemyError:
            raise SourceMissingError(
                "the database server cannot be reached: check host, port, user, password and base name"
            ) from None

    def _describe(self, selection: str) -> tuple[str, ...]:
        """Column names of ``selection``, no row read: the server's message then holds no value."""
        try:
            with self._run(wrapped(selection, "1 = 0"), stream=False) as result:
                return tuple(result.keys())
        except DBAPIError as error:
            message = str(error.orig).partition("\n")[0]
            raise ConditionError(condition_fault(message, self.columns)) from None

    def _count(self) -> int:
        with self._run(counted(self._inner), stream=False) as result:
            return int(result.scalar_one())

    def _run(self, sql: str, *, stream: bool) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(sql, execution_options={"stream_results": stream})


def server_url(uri: SourceUri) -> URL:
    """The SQLAlchemy URL of ``uri``, our own options taken out.

    Raises:
        SourceUriError: it cannot be parsed; the message does not repeat it, since it may hold a password.
    """
    driver = "&".join(f"{name}={value}" for name, value in uri.options.items() if name not in _OWN)
    try:
        return make_url(f"{uri.scheme}:{uri.path}" + (f"?{driver}" if driver else ""))
    except (ArgumentError, ValueError):
        raise SourceUriError(
            "the database URL is malformed: write dialect+driver://user:password@host/base"
        ) from None


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError, ArgumentError):
        raise SourceUriError(
            f"there is no driver for {url.drivername!r} here: install it, or correct the URL"
        ) from None
