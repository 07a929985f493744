"""One deadline and one number of bytes for everything that happens in an HTTP exchange.

The HTTP client's own time-outs count anew for each part that comes, so that a server which sends a byte now
and then, in the status line, the headers, a chunk's extension or a trailer, or one interim response (100,
103) after the other, is waited for without end. Here every read and write of a connection and the handshake
of its TLS are counted, through a proxy, over redirections and on connections kept from an exchange before.

    deadline      the seconds given to ``begin``, from then on
    bytes         the longest body that is wanted, an eighth beside it for the coding of chunks, and
                  ``HEADER_BYTES`` for whatever is not the body; what is sent does not count

Each thread has an exchange of its own. Not in the deadline: the system's resolver, and where a name has
several addresses the further attempts to connect.

The client offers no place for this, so it is put underneath its connection pools (httpx 0.28); the tests fail
where it does not take effect there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ledger.errors import LogUnavailableError

HEADER_BYTES = 1 << 16
_SLICE = 1 << 12
"""Bytes written at once: no more than goes out in one step, since each step may last until the deadline."""


class Exchange:
    """What the exchanges of one client may take; ``begin`` before each."""

    def __init__(self, client: httpx.Client, clock: Callable[[], float] = time.monotonic) -> None:
        """Put every connection that ``client`` will open under this, those through its proxies with them.

        Args:
            client: one that has not opened any.
            clock: seconds that never go back.
        """
        self._clock = clock
        self._now = threading.local()
        # The one place that reaches into the client: it takes no network backend from outside.
        for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
            if isinstance(transport, httpx.HTTPTransport):
                pool: Any = transport._pool  # noqa: SLF001
                pool._network_backend = _Backend(pool._network_backend, self)  # noqa: SLF001

    def begin(self, place: str, seconds: float, size: int) -> None:
        """Count from now on, in this thread.

        Every use of the client raises ``LogUnavailableError`` once the time or the bytes are used up.

        Args:
            place: the server, as the error is to call it.
            seconds: for the exchange altogether.
            size: bytes of the longest body that is wanted.
        """
        self._now.place = place
        self._now.deadline = self._clock() + seconds
        self._now.left = size + size // 8 + HEADER_BYTES

    @contextmanager
    def wait(self, timeout: float | None) -> Iterator[float]:
        """The seconds that one step may wait; looked at before the step and after it, however it ended."""
        left = self._remaining()
        try:
            yield left if timeout is None else min(timeout, left)
        finally:
            self._remaining()

    def took(self, size: int) -> None:
        """Count bytes that have come."""
        self._now.left -= size
        if self._now.left < 0:
            raise self._over()

    def _remaining(self) -> float:
        left: float = self._now.deadline - self._clock()
        if left <= 0:
            raise self._over()
        return left

    def _over(self) -> LogUnavailableError:
        return LogUnavailableError(
            f"{self._now.place} answers too slowly or too much: check its address, and try again later"
        )


class _Stream:
    """A connection of the HTTP client, ``httpcore.NetworkStream``, with its steps counted."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._exchange.wait(timeout) as seconds:
            data: bytes = self._inner.read(max_bytes, seconds)
        self._exchange.took(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            with self._exchange.wait(timeout) as seconds:
                self._inner.write(buffer[start : start + _SLICE], seconds)

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _Stream:
        with self._exchange.wait(timeout) as seconds:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._exchange)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend:
    """What opens the HTTP client's connections, ``httpcore.NetworkBackend``, with each counted."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **how: Any) -> _Stream:
        with self._exchange.wait(timeout) as seconds:
            return _Stream(self._inner.connect_tcp(host, port, timeout=seconds, **how), self._exchange)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)
