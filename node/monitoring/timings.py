"""What this node spends its time on, summed since its start, for the benchmark and for operators."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    """Seconds and uses by part; safe for threads. Parts that overlap in several threads are summed."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self._parts: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

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
