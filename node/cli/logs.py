"""The log of a process that runs for long: lines on standard error, with times in UTC as on the ledger.

Some messages hold text that other machines sent. A message is therefore one line of at most ``MOST``
characters with its control characters escaped, so that no other party can write lines of ours. The trace of
an error follows its message, indented. What looks like an identifier in either is replaced by stars.
Libraries that log something for each call of an unknown caller are logged at level ERROR or not at all.

``RepeatFilter`` rate-limits repeated messages. A thread that retries four times a second logs the same error
each time. A message that was not logged in the last ``SECONDS`` passes at once; the same message within that
time is counted, and the next one that passes says how many there were. Other messages in between change
nothing, so two messages that alternate are limited too.

Callers choose some of the words, so new messages below the level ERROR are limited as well: each logger
passes ``MOST_NEW`` per minute at each level, and the first one after it says how many were suppressed. An
error therefore still passes where another logger, or another level, is flooded.

Memory is bounded: the newest ``MOST_TEXTS`` messages of each logger and level are remembered, each by its
first ``MOST_CHARACTERS`` characters.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from adapters.identifiers import hide_lone_identifiers

LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"
MOST = 1000
"""Longest message, in characters."""
QUIET = {
    "alembic": logging.WARNING,
    "grpc._common": logging.CRITICAL,  # a trace for each message that does not parse
    "waitress": logging.ERROR,  # a line for each connection that is lost
    "waitress.queue": logging.ERROR,
}
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
SECONDS = 60.0
MOST_TEXTS = 64
MOST_NEW = 120
MOST_CHARACTERS = 1000


class LineFormatter(logging.Formatter):
    """Formats a message as one line."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging names it
        """The line, without the trace of an error."""
        text = hide_lone_identifiers(record.message)
        more = "" if len(text) <= MOST else f" … ({len(text) - MOST} characters more)"
        record.message = (text[:MOST] + more).translate(_ESCAPES)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging names it
        """The trace, indented: no line of it can pass for a message."""
        return "\n".join(
            f"    {hide_lone_identifiers(line).translate(_ESCAPES)}"
            for line in super().formatException(ei).splitlines()
        )


def log_to_stderr() -> None:
    """Log from level INFO on; for a process, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(LINE, datefmt="%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)


class RepeatFilter(logging.Filter):
    """Suppresses messages that repeat, and new ones of which there are too many; for any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``clock`` gives seconds that never go back."""
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, int], _Source] = {}  # by logger and level; under the lock

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged; a count of those suppressed before it is added to its message."""
        try:
            text = record.getMessage()
            key = _key(record, text)
        except (TypeError, ValueError, KeyError):
            return True  # the handler reports what is wrong with the arguments
        most_new = None if record.levelno >= logging.ERROR else MOST_NEW
        with self._lock:
            source = self._sources.setdefault((record.name, record.levelno), _Source(most_new))
            counts = source.take(key, self._clock())
        if counts is None:
            return False
        repeated, suppressed = counts
        if repeated:
            text += f" (and {repeated} times more since this was last logged)"
        if suppressed:
            text += f" ({suppressed} new messages before it were suppressed: there were too many)"
        if repeated or suppressed:
            record.msg, record.args = text, None
        return True


class _Source:
    """The messages of one logger at one level."""

    def __init__(self, most_new: int | None) -> None:
        """Args: ``most_new`` messages a minute that are new pass; None: all of them."""
        self._most_new = most_new
        self._logged: dict[str, tuple[float, int]] = {}  # when it last passed, and how often it came since
        self._minute = float("-inf")
        self._new = 0

    def take(self, key: str, now: float) -> tuple[int, int] | None:
        """Count a message.

        Returns:
            How often it was suppressed since it last passed, and how many new messages were suppressed in the
            minute before; None if it is to be suppressed.
        """
        at, repeated = self._logged.get(key, (float("-inf"), 0))
        if now - at < SECONDS:
            self._logged[key] = (at, repeated + 1)
            return None
        suppressed = 0
        if now - self._minute >= SECONDS:
            suppressed = 0 if self._most_new is None else max(0, self._new - self._most_new)
            self._minute, self._new = now, 0
        self._new += 1
        if self._most_new is not None and self._new > self._most_new:
            return None
        self._logged.pop(key, None)
        while len(self._logged) >= MOST_TEXTS:
            del self._logged[next(iter(self._logged))]
        self._logged[key] = (now, 0)
        return repeated, suppressed


def _key(record: logging.LogRecord, text: str) -> str:
    """What makes two records the same: their messages and, where there is one, their error."""
    error = record.exc_info[1] if record.exc_info else None
    return text[:MOST_CHARACTERS] + ("" if error is None else f"\n{error!r}"[:MOST_CHARACTERS])
