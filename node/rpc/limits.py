"""Limits of a port: a token bucket for requests, and a bound on the calls that one member may hold open.

``RateLimit`` is a token bucket: ``rate`` tokens per second are added, up to ``burst``; a request takes one,
or the caller is told to come back later. The HTTP port has one bucket for all clients, which bounds what they
can cost this node; fairness between them is the reverse proxy's task. The log has one per member, for entries
that nothing else bounds.

``ConcurrencyLimit`` bounds the calls that a member holds open at a port, and the time the port waits for the
other end. gRPC receives a call's message, and sends its responses, in the thread that serves the call, for as
long as the other end takes. Without a bound, a few calls whose caller never sends its message, or never
receives the responses, would occupy every thread of a node. So each member may have a number of calls at
once that is smaller than the number of threads; a call beyond them fails at once, as if the service were
unavailable. A call is cancelled if its message does not arrive within ``send_timeout`` seconds, or if one of
its responses is not received within ``RECEIVE_FACTOR`` times as many. Calls of a member to its own node,
which come from its operators and programs, are not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from node.errors import RefusalError, ServiceUnavailableError

SEND_TIMEOUT_SECONDS = 10.0
"""Seconds a caller has to send its message; an honest one sends it together with the call."""
RECEIVE_FACTOR = 6
"""A response may take this many times as long on a slow line; it is at most one message."""


class RateLimit:
    """A token bucket; safe for threads."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """Start with a full bucket.

        Args:
            rate: tokens added per second.
            burst: the largest number of tokens.
            clock: monotonic seconds.
        """
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._moment = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one token; False if there is none."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._moment) * self._rate)
            self._moment = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class ConcurrencyLimit:
    """The calls open at one port, by member; safe for threads."""

    def __init__(
        self,
        member: Callable[[grpc.ServicerContext], str],
        own: str,
        calls: int,
        send_timeout: float = SEND_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without open calls.

        Args:
            member: returns the id of the calling member, or raises ``RefusalError``.
            own: the member whose port this is.
            calls: how many calls another member may have open at once.
            send_timeout: seconds a caller has to send its message.
            clock: monotonic seconds.
        """
        self._member = member
        self._own = own
        self._calls = calls
        self._send_timeout = send_timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        self._deadlines: dict[object, tuple[float, grpc.ServicerContext]] = {}

    @contextmanager
    def counted(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Count a call of its caller's as open while the block runs.

        Raises:
            RefusalError: ``unknown_peer``.
            ServiceUnavailableError: the member has as many calls open here as it may.
        """
        member = self._member(context)
        with self._lock:
            number = self._open.get(member, 0)
            if number >= self._calls and member != self._own:
                raise ServiceUnavailableError(
                    f"{member} has {number} calls open here: wait until some of them have ended"
                )
            self._open[member] = number + 1
        try:
            yield
        finally:
            with self._lock:
                self._open[member] -= 1

    def receive(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """The one message of a call, as it was received.

        Raises:
            RefusalError: ``malformed``: none was received.
        """
        try:
            with self._deadline(context, self._send_timeout):
                found = next(messages, None)
        except grpc.RpcError:
            found = None
        if found is None:
            raise RefusalError("malformed", "the call has no message: send exactly one")
        return found

    def send(self, responses: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """The responses of a stream; the call is cancelled if one of them is not received in time."""
        for response in responses:
            with self._deadline(context, RECEIVE_FACTOR * self._send_timeout):
                yield response

    def cancel_late(self) -> None:
        """Cancel the calls whose other end has missed its deadline."""
        now = self._clock()
        with self._lock:
            late = [context for deadline, context in self._deadlines.values() if deadline <= now]
        for context in late:
            context.cancel()  # type: ignore[no-untyped-call]

    @contextmanager
    def _deadline(self, context: grpc.ServicerContext, seconds: float) -> Iterator[None]:
        """Give the other end ``seconds`` for the block.

        Nothing keeps the context afterwards: gRPC counts the call as open while a reference to it exists.
        """
        key = object()
        with self._lock:
            self._deadlines[key] = (self._clock() + seconds, context)
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[key]
