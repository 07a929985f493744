"""How much others may ask: a token bucket.

``rate`` tokens a second are added up to ``burst``; a request takes one, or is told to come back later. At the
HTTP edge one bucket for all strangers bounds what they can cost this node; fairness between them is the
reverse proxy's task. At the log each member has one for entries that nothing else bounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Allowance:
    """A token bucket; safe for threads."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """A full bucket.

        Args:
            rate: tokens a second. burst: most tokens at once. clock: seconds that never go back.
        """
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._moment = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one token; False where there is none."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._moment) * self._rate)
            self._moment = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
