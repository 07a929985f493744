"""Time: the clock, calendar days in UTC+8, and how long parts of the work take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone

CHINA = timezone(timedelta(hours=8))
"""Periods and dates of the law are calendar days and months in UTC+8."""


def system_clock() -> int:
    """Seconds since 1970, UTC."""
    return int(time.time())


class Timings:
    """Wall time and uses of each part of the work since the node's start, for operators and benchmarks.

    Safe for threads; parts that overlap in several threads are summed.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        self._parts: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()  # guards _parts

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block's wall time to a part, also when it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            with self._lock:
                total, uses = self._parts.get(name, (0.0, 0))
                self._parts[name] = (total + seconds, uses + 1)

    def read(self) -> dict[str, dict[str, int]]:
        """Microseconds and uses by part."""
        with self._lock:
            return {
                name: {"us": round(seconds * 1e6), "uses": uses}
                for name, (seconds, uses) in sorted(self._parts.items())
            }
