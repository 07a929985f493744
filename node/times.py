"""Clocks and times: seconds since 1970 in UTC, RFC 3339 texts, and calendar days in UTC+8."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
"""Periods and dates of the law are calendar days and months in UTC+8."""


def system_clock() -> int:
    """Seconds since 1970, UTC."""
    return int(time.time())


def instant(text: str) -> int:
    """Seconds since 1970 of an RFC 3339 UTC time."""
    return int(datetime.fromisoformat(text).timestamp())


def instant_text(seconds: int) -> str:
    """RFC 3339 UTC of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
