"""Times, dates and budget periods as the contract reads them.

A time is RFC 3339 in UTC with whole seconds, ``YYYY-MM-DDTHH:MM:SSZ``, before the year 9999. Each moment
has one text, text order is time order, and every time has a date in UTC+8. Periods are calendar days and
months in UTC+8 (China has one time zone and no summer time), labelled ``2026-11-22`` and ``2026-11``.
Everything here is a function of its arguments; nothing reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

LOCAL_OFFSET = timedelta(hours=8)
PERIODS = ("month", "day")

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z")
"""The hours are restricted here: whether ``24:00:00`` is one differs between releases of Python."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = "9999"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_time(text: str) -> int:
    """Seconds since 1970, UTC, of a ledger time.

    Raises:
        ValueError: not exactly ``YYYY-MM-DDTHH:MM:SSZ``, no such time, or one in the year 9999.
    """
    return int(_parse(text).timestamp())


def format_time(seconds: int) -> str:
    """The ledger time of seconds since 1970, UTC.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return f"{(_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}Z"


def _parse(text: str) -> datetime:
    if _TIME.fullmatch(text) is None:
        raise ValueError("a time is written YYYY-MM-DDTHH:MM:SSZ, in UTC")
    if text >= _END:
        raise ValueError("a time lies before the year 9999")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such time: check the month and the day") from None


def check_date(text: str) -> date:
    """The day ``text`` names.

    Raises:
        ValueError: not exactly ``YYYY-MM-DD`` or no such day.
    """
    if _DATE.fullmatch(text) is None:
        raise ValueError("a date is written YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day: check the month and the day") from None


def local_date(time: str) -> str:
    """The date in UTC+8 of a ledger time, ``YYYY-MM-DD``.

    Raises:
        ValueError: it is not a ledger time.
    """
    return (_parse(time) + LOCAL_OFFSET).date().isoformat()


def period_label(time: str, period: str) -> str:
    """Label of the budget period that holds ``time``.

    Args:
        time: ledger time.
        period: ``month`` or ``day``.

    Raises:
        ValueError: another period name, or a malformed time.
    """
    if period not in PERIODS:
        raise ValueError("a period is month or day")
    day = local_date(time)
    return day if period == "day" else day[:7]
