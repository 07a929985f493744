"""A public log under an http(s) URL, read with the HTTP client: time-outs, bounded sizes, a few retries.

Rules
- One GET a file, at ``<prefix>/<name>``; up to three redirects are followed, and their bodies not read:
  nothing that comes is trusted.
- 404 and 410 are ``Missing``. 429, every 5xx, a time-out and a broken connection are tried again, three times
  in all, with a pause that doubles; what fails then is ``Unavailable``. Any other status is ``TileError``.
- The body is streamed and given up as soon as it is longer than the limit. The exchange with all that belongs
  to it, redirections too, has ``SECONDS`` and a second for each ``RATE`` bytes of the limit
  (``ledger.exchange``): a server that dribbles holds up nobody for ever.
- It is asked for and taken as it is. A body in any content coding is refused, since a few hundred bytes that
  were compressed twice are a gigabyte in one piece before anybody can count them.
- Certificates are verified; the system's proxy settings count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx

from ledger.errors import Missing, TileError, Unavailable
from ledger.exchange import Exchange

TIMEOUT = httpx.Timeout(10.0, read=30.0)
ATTEMPTS = 3
PAUSE = 0.5
REDIRECTS = 3
GONE = (404, 410)
SECONDS, RATE = 60.0, 1 << 16
"""What one exchange may take: seconds, and bytes a second beside them."""
AS_IT_IS = {"Accept-Encoding": "identity"}


class _Again(Exception):
    """A failure that may pass."""


class HttpSource:
    """See ``ledger.source.Source``; keeps its connections until ``close``."""

    def __init__(
        self,
        prefix: str,
        *,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
    ) -> None:
        """A log at ``prefix``.

        Args:
            prefix: URL without the file's name.
            client: the HTTP client; one with this module's settings when not given.
            sleep: pauses between attempts.
            clock: seconds that never go back.
            seconds: what one exchange may take beside the time for its bytes.
        """
        self._prefix = prefix.rstrip("/")
        self._client = httpx.Client(timeout=TIMEOUT) if client is None else client
        self._limits = Exchange(self._client, clock)
        self._sleep = sleep
        self._seconds = seconds

    @property
    def place(self) -> str:
        """See ``Source``."""
        return self._prefix

    def names(self) -> Iterator[str] | None:
        """None: a log's files cannot be listed over HTTP."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, name: str, limit: int) -> bytes:
        """See ``Source``."""
        pause = PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._get(name, limit)
            except (_Again, httpx.TransportError) as error:
                if attempt == ATTEMPTS:
                    reason = str(error) or type(error).__name__
                    raise Unavailable(
                        f"{self._prefix} does not serve {name} ({reason}): check the address and the "
                        "network, and try again"
                    ) from error
                self._sleep(pause)
                pause *= 2
            except httpx.InvalidURL as error:
                raise Unavailable(f"{self._prefix} is no URL ({error}): correct the address") from error
            except (httpx.HTTPError, UnicodeError) as error:  # a redirection to a host that is no name
                raise TileError(f"{name} of {self._prefix} cannot be read: {error}") from error
        raise AssertionError  # the last attempt returns or raises

    def _get(self, name: str, limit: int) -> bytes:
        self._limits.begin(self._prefix, self._seconds + limit / RATE, limit)
        request: httpx.Request | None
        request = self._client.build_request("GET", f"{self._prefix}/{name}", headers=AS_IT_IS)
        for _ in range(1 + REDIRECTS):
            with closing(self._client.send(request, stream=True, follow_redirects=False)) as response:
                request = response.next_request
                if request is None:
                    return self._body(name, limit, response)
        raise TileError(f"{self._prefix} redirects {name} more than {REDIRECTS} times: give the last address")

    def _body(self, name: str, limit: int, response: httpx.Response) -> bytes:
        self._check_status(name, response.status_code)
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise TileError(f"{self._prefix} compresses {name}: let it serve the files as they are")
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > limit:
                raise TileError(f"{name} of {self._prefix} has more than {limit} bytes: not read")
        return bytes(data)

    def _check_status(self, name: str, status: int) -> None:
        if status in GONE:
            raise Missing(f"{self._prefix} has no {name}: check the address; a mirror may have it")
        if status == 429 or status >= 500:
            raise _Again(f"status {status}")
        if status != 200:
            raise TileError(f"{self._prefix} answers {name} with status {status}: check the address")
