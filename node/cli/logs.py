"""The log lines of what runs for long: on standard error, in UTC as on the ledger.

What others sent stands in some of them. A message is one line of at most ``MOST`` characters, its control
characters escaped, so that nobody writes lines of ours; the trace of an error follows it, indented. Libraries
that say something for each call a stranger makes are heard from their errors on, or not at all.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

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


class LineFormatter(logging.Formatter):
    """One line a message."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging names it
        """The line, without the trace of an error."""
        text = record.message
        more = "" if len(text) <= MOST else f" … ({len(text) - MOST} characters more)"
        record.message = (text[:MOST] + more).translate(_ESCAPES)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging names it
        """The trace, indented: no line of it can pass for a message."""
        return "\n".join(
            f"    {line.translate(_ESCAPES)}" for line in super().formatException(ei).splitlines()
        )


def log_to_stderr() -> None:
    """Log from level INFO on; for a process, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(LINE, datefmt="%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
