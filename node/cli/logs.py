"""The log of a process that runs for long: lines on standard error, with times in UTC as on the ledger.

Some messages hold text that other machines sent. A message is therefore one line of at most ``MOST``
characters with its control characters escaped, so that no other party can write lines of ours. The trace of
an error follows its message, indented. Messages that repeat are rate-limited (``node.cli.log_throttle``).
Libraries that log something for each call of an unknown caller are logged at level ERROR or not at all.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from node.cli.log_throttle import RepeatFilter

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
    """Formats a message as one line."""

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
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
