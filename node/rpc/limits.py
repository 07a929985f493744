"""How much others may ask: a token bucket.

``rate`` tokens a second are added up to ``burst``; a request takes one, or is told to come back later. At the
HTTP edge one bucket for all strangers bounds what they can cost this node; fairness between them is the
reverse proxy's task. At the log each member has one for entries that nothing else bounds.

How much of a port one member may hold: calls at once, and how long the port waits for its other end.

gRPC takes a call's message from the wire, and puts its answers on it, in the thread that serves the call,
for as long as the other end takes. Without a bound a few calls that never send their message, or never take
their answers, hold every thread of a node. So each member has ``turns`` calls at once, fewer than there are
threads; a call beyond them ends at once, as a service that is out of reach for a while. Whoever does not send
its message within ``patience`` seconds, or does not take an answer within ``TAKE_FACTOR`` times as many, has
its call cancelled. A member's own people and programs at its own node are not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from node.errors import RefusalError, ServiceUnavailableError


class RateLimit:
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


SEND_TIMEOUT_SECONDS = 10.0
"""Seconds a member has for its message; an honest one sends it with the call."""
TAKE_FACTOR = 6
"""An answer of a stream, at most one message, may take a slow line this many times as long."""


class ConcurrencyLimit:
    """The turns at one port; safe for threads."""

    def __init__(
        self,
        member: Callable[[grpc.ServicerContext], str],
        own: str,
        turns: int,
        patience: float = SEND_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nobody holds a turn.

        Args:
            member: who is calling, or a ``RefusalError``.
            own: the member whose port this is.
            turns: calls of another member at once.
            patience: seconds for a message to come.
            clock: seconds that never go back.
        """
        self._member = member
        self._own = own
        self._turns = turns
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._due: dict[object, tuple[float, grpc.ServicerContext]] = {}

    @contextmanager
    def turn(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Hold a turn of the caller's for the block.

        Raises:
            RefusalError: ``unknown_peer``.
            ServiceUnavailableError: the member has as many calls here as it may.
        """
        member = self._member(context)
        with self._lock:
            held = self._held.get(member, 0)
            if held >= self._turns and member != self._own:
                raise ServiceUnavailableError(
                    f"{member} has {held} calls open here: wait for the end of some"
                )
            self._held[member] = held + 1
        try:
            yield
        finally:
            with self._lock:
                self._held[member] -= 1

    def message(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """The one message of a call, as it came.

        Raises:
            RefusalError: ``malformed``: none came.
        """
        try:
            with self._waiting(context, self._patience):
                found = next(messages, None)
        except grpc.RpcError:
            found = None
        if found is None:
            raise RefusalError("malformed", "a call brings one message")
        return found

    def taken(self, answers: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """The answers of a stream, each of which must be taken."""
        for answer in answers:
            with self._waiting(context, TAKE_FACTOR * self._patience):
                yield answer

    def end_late(self) -> None:
        """Cancel the calls whose other end is late."""
        now = self._clock()
        with self._lock:
            late = [context for at, context in self._due.values() if at <= now]
        for context in late:
            context.cancel()  # type: ignore[no-untyped-call]

    @contextmanager
    def _waiting(self, context: grpc.ServicerContext, seconds: float) -> Iterator[None]:
        """The other end has ``seconds``; nothing keeps the context after it, or gRPC counts the call on."""
        key = object()
        with self._lock:
            self._due[key] = (self._clock() + seconds, context)
        try:
            yield
        finally:
            with self._lock:
                del self._due[key]
