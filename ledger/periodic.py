"""One round of a thread's endless work: an unexpected error is logged, and the thread goes on.

A thread that ended would leave answers unrecorded, a replica behind or a witness unasked, with nobody told.
"""

from __future__ import annotations

import logging
from types import TracebackType


class Surviving:
    """``with Surviving(log, "the outbox"): …``; everything but the end of the process is survived."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        """Args: ``what`` works, for the log line."""
        self._log = log
        self._what = what

    def __enter__(self) -> None:
        """Begin the round."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Log an error and swallow it."""
        if error is None or not isinstance(error, Exception):
            return False
        self._log.error("%s failed and tries again", self._what, exc_info=error)
        return True
