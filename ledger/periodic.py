"""Work that is repeated in its own thread and goes on after an unexpected error.

``PeriodicTask`` is every such loop of a node. ``node.app`` lists their names and periods. ``FailureLog`` is
the part of it that logs an error and goes on, for threads that wait for jobs instead of a time.

A thread that ended would leave answers unrecorded, a replica behind or a witness unasked, and nobody would
be told. So an error that the work does not handle is logged with its trace and survived. Handlers of the log
rate-limit messages that repeat.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

STOP_SECONDS = 5.0
"""How long ``PeriodicTask.stop`` waits for the work under way, unless told otherwise."""
RETRY_SECONDS = 10.0
"""Pause where the function that gives the pause has failed."""

Period: TypeAlias = float | Callable[[], float | None]
"""Seconds between the end of one run and the begin of the next, or a function asked for them after each run;
None: the next run begins when the task is woken."""


class FailureLog:
    """``with failures: …`` logs an unexpected error of the block with its trace and goes on after the block.

    Any thread may use one. The end of the process (``SystemExit``, ``KeyboardInterrupt``) is not held up.
    The message holds the error, so that the same one can be rate-limited by its text.
    """

    def __init__(self, logger: logging.Logger, name: str) -> None:
        """Args: ``name`` is what failed, for the log line."""
        self._logger = logger
        self._name = name

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Log an error and suppress it."""
        if not isinstance(error, Exception):
            return False
        text = f"{type(error).__name__}: {error}"
        self._logger.error("%s failed and is tried again: %s", self._name, text, exc_info=error)
        return True


class PeriodicTask:
    """Runs one piece of work periodically. ``start`` it once, ``wake`` it for a run now, ``stop`` it.

    Any thread may call ``start``, ``wake`` and ``stop``; the work runs in the task's own thread alone, one
    run at a time.
    """

    def __init__(
        self,
        name: str,
        every: Period,
        work: Callable[[], object],
        logger: logging.Logger,
        *,
        delay: float = 0.0,
        woken: threading.Event | None = None,
    ) -> None:
        """Prepare the task.

        Args:
            name: of the thread, and in log lines.
            every: the pause between two runs.
            work: one run; what it returns is ignored, what it raises is logged and survived.
            logger: where errors of the work go.
            delay: seconds before the first run.
            woken: what the thread waits on; a test may give one of its own.
        """
        self.name = name
        self.every = every
        self._work = work
        self._logger = logger
        self._delay = delay
        self._failures = FailureLog(logger, name)
        # Events, safe for any thread. `_woken` is set by `wake` and `stop` and cleared by the task's thread
        # before each run, so that a call during a run leads to another one. `_stopping` is never cleared,
        # and set before `_woken`.
        self._woken = threading.Event() if woken is None else woken
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Run now, or once more after the run under way."""
        self._woken.set()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End the task; safe before ``start``, again, and from the work itself.

        Args:
            seconds: how long to wait for the run under way. One that takes longer ends with the process.

        Returns:
            Whether the thread has ended.
        """
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._delay:
                self._woken.wait(self._delay)
            while True:
                self._woken.clear()
                if self._stopping.is_set():
                    return
                with self._failures:
                    self._work()
                self._woken.wait(self._pause())
        finally:
            if not self._stopping.is_set():
                self._logger.critical("%s has ended: start the node again", self.name)

    def _pause(self) -> float | None:
        if not callable(self.every):
            return min(self.every, threading.TIMEOUT_MAX)
        with self._failures:
            pause = self.every()
            return None if pause is None else min(pause, threading.TIMEOUT_MAX)
        return RETRY_SECONDS
