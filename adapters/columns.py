"""Column names: matched after NFKC, with outer white space, zero-width characters and BOM dropped.

Two columns of one name (letter case aside, as SQL has it) are refused as soon as that name is asked for;
columns that nobody asks for may be called anything, or nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from adapters.errors import ColumnError

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
    """The columns as text for a message."""
    return ", ".join(columns) if columns else "no columns"
