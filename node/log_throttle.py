"""What goes wrong again and again is said once, then at most once a minute with a count.

A thread that tries again four times a second meets the same error each time. A text that was not said in the
last minute is said at once; the same text within the minute is counted, and the first one after it says how
many there were. Other texts in between change nothing, so that two errors in turn are no flood either. The
newest ``MOST_TEXTS`` texts are remembered. Whoever can choose the words is bounded too: of new texts
``MOST_NEW`` are said a minute, and then how many were left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

SECONDS = 60.0
MOST_TEXTS = 64
MOST_NEW = 120


class Repeated:
    """One place that says the same things again and again; for any thread."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``log`` is written to; ``clock`` gives seconds that never go back."""
        self._log = log
        self._clock = clock
        self._said: dict[tuple[int, str], tuple[float, int]] = {}
        self._minute = float("-inf")
        self._new = 0
        self._lock = threading.Lock()

    def info(self, text: str) -> None:
        """Say at level INFO."""
        self._say(logging.INFO, text)

    def warning(self, text: str) -> None:
        """Say at level WARNING."""
        self._say(logging.WARNING, text)

    def error(self, text: str) -> None:
        """Say at level ERROR."""
        self._say(logging.ERROR, text)

    def _say(self, level: int, text: str) -> None:
        with self._lock:
            now, key = self._clock(), (level, text)
            at, more = self._said.get(key, (float("-inf"), 0))
            if now - at < SECONDS:
                self._said[key] = (at, more + 1)
                return
            left_out = self._left_out(now)
            if left_out is None:
                return
            self._said.pop(key, None)
            while len(self._said) >= MOST_TEXTS:
                del self._said[next(iter(self._said))]
            self._said[key] = (now, 0)
        if left_out:
            self._log.log(level, "%s lines were left out: too many that are new", left_out)
        if more:
            self._log.log(level, "%s (and %d times more since this was last said)", text, more)
        else:
            self._log.log(level, "%s", text)

    def _left_out(self, now: float) -> int | None:
        """None where this new text is one too many; else how many were left out in the minute before."""
        before = 0
        if now - self._minute >= SECONDS:
            before = max(0, self._new - MOST_NEW)
            self._minute, self._new = now, 0
        self._new += 1
        return None if self._new > MOST_NEW else before
