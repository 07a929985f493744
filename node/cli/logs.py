"""The log lines of what runs for long: on standard error, in UTC as on the ledger."""

from __future__ import annotations

import logging
import sys
import time

LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"


def log_to_stderr() -> None:
    """Log from level INFO on; for a process, once."""
    formatter = logging.Formatter(LINE, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
