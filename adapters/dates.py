"""Calendar dates from the shapes that exports hold.

``2026-10-31``, ``2026/10/31``, ``2026.10.31``, ``2026年10月31日``, ``20261031``, and what spreadsheets and
databases give: a datetime, or a serial day number of the 1900 system (1 = 1900-01-01; 60, Excel's 29
February 1900, never existed and is refused). Month and day may lack their leading zero where a separator
stands. A time of day after the date is dropped. Full-width forms and outer white space are allowed.
Day-first and two-digit years are refused: they cannot be told apart.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, timedelta
from decimal import Decimal

from adapters.errors import DateError

_TIME = r"(?:[T ]\s*[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_SHAPES = (
    re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}"),
    re.compile(rf"([0-9]{{4}})\s*(年)\s*([0-9]{{1,2}})\s*月\s*([0-9]{{1,2}})\s*日{_TIME}"),
    re.compile(r"([0-9]{4})()([0-9]{2})([0-9]{2})"),
)
_SERIAL = re.compile(r"[0-9]{1,7}(?:\.[0-9]+)?")
_LAST_SERIAL = 2_958_465
_COMPACT_FROM = 10_000_101


def calendar_date(value: object) -> date:
    """The date in a raw cell.

    Args:
        value: text, date, datetime, int, float or Decimal (a serial day, or yyyymmdd from 10000101 up).

    Raises:
        DateError: date_empty, date_format or date_impossible.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, bool):
        raise DateError("date_format")
    if isinstance(value, int | float | Decimal):
        return _from_number(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    if value is None:
        raise DateError("date_empty")
    if not isinstance(value, str):
        raise DateError("date_format")
    return _from_text(value)


def _from_text(value: str) -> date:
    text = unicodedata.normalize("NFKC", value).strip().strip("'\"")
    if not text:
        raise DateError("date_empty")
    for shape in _SHAPES:
        if (match := shape.fullmatch(text)) is not None:
            year, _, month, day = match.groups()
            return _existing(int(year), int(month), int(day))
    if _SERIAL.fullmatch(text) is not None:
        return _from_number(Decimal(text))
    raise DateError("date_format")


def _from_number(number: Decimal) -> date:
    if not number.is_finite() or number < 1:
        raise DateError("date_format")
    if number > _LAST_SERIAL:
        if number != number.to_integral_value() or not _COMPACT_FROM <= number <= 99_991_231:
            raise DateError("date_format")
        year, rest = divmod(int(number), 10_000)
        return _existing(year, *divmod(rest, 100))
    serial = int(number)
    if serial == 60:
        raise DateError("date_impossible")
    return date(1899, 12, 31 if serial < 60 else 30) + timedelta(days=serial)


def _existing(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise DateError("date_impossible") from None
