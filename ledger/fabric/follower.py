"""Following: the thread that reads the own peer's blocks into the derived log, for as long as the node runs.

A stream that ends, a peer that is down or a database that fails is tried again from the next block the log
wants. A block that does not follow the blocks before it, or stored bytes that have changed, ends the
following permanently: ``fault`` says why, and the node must not cosign or answer until its operator has
looked. So does a failure of this program, whose trace is in the node's output.

While the node catches up, blocks are fetched ahead and taken many at a time.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import ForkError, LedgerError, LogError, LogUnavailableError, QuarantineError
from ledger.fabric.blocks import BlockStream, DerivedBlock, derive
from ledger.fabric.derived import DerivedLog

log = logging.getLogger("hedui.fabric")
AHEAD = 32
"""Blocks fetched ahead of those taken."""
RETRY_SECONDS = 0.5


class Follower:
    """Reads blocks into a derived log. ``start`` it, ``stop`` it."""

    def __init__(self, derived: DerivedLog, stream: BlockStream, channel: str, chaincode: str) -> None:
        """Args: ``channel`` and ``chaincode`` name what the leaves are taken from."""
        self._log = derived
        self._stream = stream
        self._names = (channel, chaincode)
        # Guards `_call`, the stream that is read, together with `_stopping`: no stream is opened once `stop`
        # has cancelled the last one.
        self._lock = threading.Lock()
        self._call: Any = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fabric-follower", daemon=True)
        # The follower's thread alone: the last reason that was logged.
        self._logged = ""
        # Set once by the follower's thread, read by any.
        self.fault: LedgerError | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            self._stopping.set()
            if self._call is not None:
                self._call.cancel()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._try()
                self._stopping.wait(RETRY_SECONDS)
                self._load()
        except (ForkError, QuarantineError) as error:
            self.fault = error
            log.critical("the derived log has stopped: %s", error)
        finally:
            if not self._stopping.is_set() and self.fault is None:
                self.fault = LogError(
                    "the own peer's blocks are not read any more: keep the trace in this node's output, and "
                    "start it again"
                )

    def _try(self) -> None:
        """Follow until the stream ends, for a reason that may pass; log each reason once."""
        try:
            self._follow()
        except (ForkError, QuarantineError):
            raise
        except (LedgerError, SQLAlchemyError, OSError) as error:
            if self._stopping.is_set() or str(error) == self._logged:
                return
            self._logged = str(error)
            set_up = isinstance(error, LogError) and not isinstance(error, LogUnavailableError)
            level = logging.WARNING if set_up else logging.INFO
            log.log(level, "the own peer is followed again soon: %s", error)

    def _load(self) -> None:
        """Load what is stored: it is not known what a failed write has kept."""
        try:
            self._log.load()
        except (LogError, SQLAlchemyError, OSError) as error:
            if isinstance(error, QuarantineError):
                self.fault = error
                self._stopping.set()

    def _follow(self) -> None:
        """Read from one stream until it ends."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._call = call = self._stream.open(self._log.position.next)
        ahead = _Ahead(self._stream.blocks(call))
        try:
            while not self._stopping.is_set():
                self._take(ahead.some())
        finally:
            call.cancel()
            ahead.close()

    def _take(self, blocks: list[Any]) -> None:
        """Check and take blocks; those before one that fails its check are taken."""
        at = self._log.position
        good: list[DerivedBlock] = []
        try:
            for block in blocks:
                good.append(derive(block, at, *self._names))
                at = good[-1].after
        finally:
            if good:
                self._log.take(good)
                self._logged = ""


class _Ahead:
    """An iterator read ahead by a thread of its own, up to ``AHEAD`` items."""

    def __init__(self, items: Iterator[Any]) -> None:
        # The reading thread's alone.
        self._items = items
        # Safe for both threads; None is the end.
        self._queue: queue.Queue[Any] = queue.Queue(AHEAD)
        # Set by the thread that takes, read by the one that reads.
        self._open = True
        # Set by the reading thread before it puts None, read by the other one after it has got that.
        self._end: LedgerError = LogError(
            "a block of the own peer could not be read: its trace is in this node's output"
        )
        self._thread = threading.Thread(target=self._read, name="fabric-blocks", daemon=True)
        self._thread.start()

    def some(self) -> list[Any]:
        """The items that are there, at least one.

        Raises:
            LedgerError: what ended the iterator.
        """
        found = [self._queue.get()]
        while len(found) < AHEAD and not self._queue.empty():
            found.append(self._queue.get())
        if found[-1] is None:
            found.pop()
            self._queue.put(None)
        if not found:
            raise self._end
        return found

    def close(self) -> None:
        """Wait for the thread; the iterator must end by itself now."""
        self._open = False
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _read(self) -> None:
        try:
            for item in self._items:
                self._queue.put(item)
                if not self._open:
                    break
        except LedgerError as error:
            self._end = error
        finally:
            self._queue.put(None)
