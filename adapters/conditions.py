"""SQL conditions and queries that an operator writes, held to one SELECT.

A condition (``where``) is a boolean SQL expression over the columns of one row. For CSV and XLSX it is
evaluated by SQLite over the **raw text** of the cells: every value is TEXT, an empty cell is the empty
string. Equality and LIKE therefore see exactly what the file shows, and a number is compared as a number
only after a cast: ``CAST("年收入" AS REAL) > 1000``. A sub-select is refused there, since a condition sees
one row. For databases the condition runs in the database, over ``SELECT * FROM (…) AS source WHERE …``,
with the database's own types.

Column names in a condition for SQLite are matched as everywhere (``adapters.loading``) and rewritten to the
exact name. A double-quoted name that no column has is refused, because SQLite would silently read it as a
string and the filter would pass or drop everything.

No query and no condition may hold a semicolon (write ``char(59)``); a query begins with SELECT or WITH.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice

from adapters.errors import ColumnError, ConditionError
from adapters.identifiers import hide_identifiers
from adapters.loading import column_name, listed
from adapters.sources import SourceRow

_TOKENS = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
      | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>(?:[^\W\d]|[^\x00-\x7f])(?:[\w$]|[^\x00-\x7f])*)(?P<call>\s*\()?
      | [0-9][\w.]*
    """,
    re.VERBOSE | re.DOTALL,
)
_BATCH = 2_000
_FAULTS = tuple(
    (re.compile(pattern, re.IGNORECASE), text)
    for pattern, text in (
        (r"unrecognized token|unterminated", "a quotation mark is missing, or a sign is none of SQL"),
        (r"incomplete input|end of input", "it ends too early"),
        (r"syntax", "a syntax error"),
        (r"function|aggregate", "a function that is not known or not allowed here"),
        (r"ambiguous", "a name that more than one column has"),
        (r"column", "a name that is no column; a text stands in single quotes"),
        (r"table|relation", "a table or view that does not exist"),
        (r"not authorized|prohibited|permission|denied|read-only", "it does what is not allowed here"),
    )
)
"""Kinds of fault by what a database's message says; the first that fits is taken."""
_NEAR = re.compile(r"""near ["']([^"']+)["']""")
_SHOWN = frozenset(
    [
        "SELECT",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "LIKE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "CAST",
        "AS",
        "GROUP",
        "ORDER",
        "BY",
        "HAVING",
        "LIMIT",
        "UNION",
        "JOIN",
        "ON",
        "WITH",
        "EXISTS",
        "(",
        ")",
        ",",
        "=",
        "<",
        ">",
        "<=",
        ">=",
        "<>",
        "!=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
        ".",
    ]
)
"""What may stand in a message as the place of a fault: words and signs of SQL, never a literal."""


def quoted_name(name: str) -> str:
    """``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def single_select(query: str) -> str:
    """``query`` without a trailing semicolon.

    Raises:
        ConditionError: it does not begin with SELECT or WITH, or holds a semicolon.
    """
    text = query.strip().removesuffix(";").strip()
    if re.match(r"(?:select|with)\b", text, re.IGNORECASE) is None:
        raise ConditionError("a source's query must be one SELECT: begin it with SELECT or WITH")
    _require_single(text)
    return text


def wrapped(inner: str, where: str | None) -> str:
    """``SELECT * FROM (inner) AS source [WHERE (where)]``; a line break ends any comment in it.

    Raises:
        ConditionError: the condition is empty or holds a semicolon.
    """
    sql = f"SELECT * FROM (\n{inner}\n) AS source"  # noqa: S608 - the operator's own SELECT is what is run
    return sql if where is None else f"{sql} WHERE (\n{single_condition(where)}\n)"


def counted(inner: str) -> str:
    """A SELECT of the number of rows of ``inner``."""
    return f"SELECT COUNT(*) FROM (\n{inner}\n) AS source"  # noqa: S608 - the operator's own


def single_condition(where: str) -> str:
    """``where`` itself.

    Raises:
        ConditionError: it is empty or holds a semicolon.
    """
    if not where.strip():
        raise ConditionError("the filter condition is empty: leave it out, or write an SQL condition")
    _require_single(where)
    return where


def for_sqlite(where: str, columns: Sequence[str], *, subselects: bool) -> str:
    """``where`` with every column name rewritten to the exact, quoted name it has in ``columns``.

    Args:
        where: the operator's condition.
        columns: the names as SQLite knows them.
        subselects: whether a SELECT inside the condition is allowed; names in it are then not checked.

    Raises:
        ConditionError: a quoted name that is no column, or a sub-select where none is allowed.
        ColumnError: a name that two columns have.
    """
    exact: dict[str, list[str]] = {}
    for column in columns:
        exact.setdefault(column_name(column).casefold(), []).append(column)
    has_select = any(match["word"] and match["word"].lower() == "select" for match in _TOKENS.finditer(where))
    if has_select and not subselects:
        raise ConditionError("a filter on a table file sees one row at a time: write it without SELECT")

    def rewrite(match: re.Match[str]) -> str:
        token = match["quoted"] or match["word"]
        if token is None or match["call"]:
            return match[0]
        name = token[1:-1].replace(token[-1] * 2, token[-1]) if match["quoted"] else token
        found = exact.get(column_name(name).casefold(), [])
        if len(found) > 1:
            raise ColumnError(
                f"more than one column is called {found[0]!r}: rename one of them in the source"
            )
        if found and (match["quoted"] or not name.isascii()):
            return quoted_name(found[0])
        if match["quoted"] and not found and not has_select:
            raise ConditionError(
                "the filter has a double-quoted name that is no column; a text stands in single quotes; "
                f"the source has the columns: {listed(columns)}"
            )
        return match[0]

    return _TOKENS.sub(rewrite, where)


class RowFilter:
    """Evaluates one condition over the raw text of table rows, in batches, with an in-memory SQLite table."""

    def __init__(self, columns: Sequence[str], where: str) -> None:
        """Compile ``where``.

        Raises:
            ConditionError: it is not a condition over ``columns``.
            ColumnError: it names an ambiguous column.
        """
        self.filtered = 0
        seen: set[str] = set()
        names: list[str] = []
        for index, column in enumerate(columns):
            usable = column and column.casefold() not in seen
            names.append(column if usable else f"\x7funaddressed {index}")
            seen.add(column.casefold())
        condition = for_sqlite(single_condition(where), columns, subselects=False)
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        table = ", ".join(f"{quoted_name(name)} TEXT" for name in names)
        self._insert = f"INSERT INTO batch VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - marks only
        self._select = f"SELECT rowid FROM batch WHERE (\n{condition}\n) ORDER BY rowid"  # noqa: S608 - the operator's own
        self._connection.execute(f"CREATE TABLE batch ({table})")
        try:
            self._connection.execute(self._select)
        except (sqlite3.Error, sqlite3.Warning) as error:
            self.close()
            raise ConditionError(condition_fault(str(error), columns)) from None

    def apply(self, rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
        """The ``rows`` that meet the condition, and those that do not fit the header, to be refused."""
        while batch := list(islice(rows, _BATCH)):
            yield from self._pass(batch)

    def close(self) -> None:
        """Drop the table."""
        self._connection.close()

    def _pass(self, batch: list[SourceRow]) -> list[SourceRow]:
        fitting = [values for _, values in batch if values is not None]
        self._connection.execute("DELETE FROM batch")
        self._connection.executemany(
            self._insert, [[cell_text(value) for value in values] for values in fitting]
        )
        try:
            kept = {rowid for (rowid,) in self._connection.execute(self._select)}
        except sqlite3.Error:
            raise ConditionError("the filter fails on a row's values: guard it with CASE or a cast") from None
        self.filtered += len(fitting) - len(kept)
        passed: list[SourceRow] = []
        rowid = 0
        for row in batch:
            if row[1] is None:
                passed.append(row)
                continue
            rowid += 1
            if rowid in kept:
                passed.append(row)
        return passed


def cell_text(value: object) -> str:
    """The text a condition sees of a raw cell: "" for empty, plain numbers, ISO dates, TRUE or FALSE."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() else str(value)
    return _date_text(value) if isinstance(value, datetime | date | time) else str(value)


def condition_fault(message: str, columns: Sequence[str]) -> str:
    """Text for a condition or query the database refuses.

    A database's message quotes parts of the statement, which may hold a person's name or identifier, so only
    the kind of the fault is kept, and the place where it is a keyword, a sign or a column.

    Args:
        message: the database's own.
        columns: the source's.
    """
    kind = next((text for pattern, text in _FAULTS if pattern.search(message)), "the database refuses it")
    near = _NEAR.search(message)
    shown = near is not None and (near[1].upper() in _SHOWN or near[1] in columns)
    place = f" near {hide_identifiers(near[1])}" if near is not None and shown else ""
    return f"the filter condition is wrong ({kind}{place}); the source has the columns: {listed(columns)}"


def _date_text(value: datetime | date | time) -> str:
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
    return value.isoformat()


def _require_single(text: str) -> None:
    if ";" in text:
        raise ConditionError(
            "a query or condition must be one statement: drop the semicolon, or write char(59)"
        )
