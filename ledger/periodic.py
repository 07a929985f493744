"""Work that is done again and again in a thread of its own, and goes on after an unexpected error.

``PeriodicTask`` is every such loop of a node. ``node.app`` lists their names and periods. ``FailureLog`` is
the part of it that logs an error and goes on, for threads that wait for jobs instead of a time.

A thread that ended would leave answers unrecorded, a replica behind or a witness unasked, and nobody would
be told. So an error that the work does not handle is logged with its trace and survived; the same error is
logged once a minute at most, with the number of times it came in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

REPEAT_SECONDS = 60.0
"""The same error of one task is logged again after this time."""
STOP_SECONDS = 5.0
"""How long ``PeriodicTask.stop`` waits for the work under way, unless told otherwise."""
RETRY_SECONDS = 10.0
"""Pause where the function that gives the pause has failed."""

Period: TypeAlias = float | Callable[[], float | None]
"""Seconds between the end of one run and the begin of the next, or a function asked for them after each run;
None: the next run begins when the task is woken."""


class FailureLog:
    """``with failures: …`` logs an unexpected error of the block and goes on after it; for one thread.

    The end of the process (``SystemExit``, ``KeyboardInterrupt``) is not held up.
    """

    def __init__(
        self, logger: logging.Logger, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args: ``name`` is what failed, for the log line; ``clock`` gives seconds that never go back."""
        self._logger = logger
        self._name = name
        self._clock = clock
        # The last error logged, when, and how often it came since. All three belong to the thread that
        # enters the block.
        self._last = ""
        self._at = float("-inf")
        self._repeats = 0

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Log an error and suppress it."""
        if not isinstance(error, Exception):
            return False
        text, now = f"{type(error).__name__}: {error}", self._clock()
        if text == self._last and now - self._at < REPEAT_SECONDS:
            self._repeats += 1
            return True
        repeats = self._repeats if text == self._last else 0
        self._last, self._at, self._repeats = text, now, 0
        more = f", {repeats} times more since this was last logged" if repeats else ""
        self._logger.error("%s failed and is tried again%s", self._name, more, exc_info=error)
        return True


class PeriodicTask:
    """Runs one piece of work again and again. ``start`` it once, ``wake`` it for a run now, ``stop`` it.

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
        # The task's thread alone.
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
            return self.every
        with self._failures:
            return self.every()
        return RETRY_SECONDS
