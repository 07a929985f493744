"""A public log under an http(s) URL, as a ``LogSource``.

Rules
- One GET a file, at ``<prefix>/<name>``. Up to ``REDIRECTS`` redirections are followed.
- 404 and 410 are ``TileMissingError``. 429, every 5xx, a time-out and a broken connection are retried,
  ``ATTEMPTS`` times in all, with a pause that doubles; if the last attempt fails too, that is
  ``LogUnavailableError``. Any other status is ``TileError``.
- A body that is longer than the caller's limit, or that is compressed, is refused (``TileError``).
- An attempt, redirections and body included, may take ``SECONDS``, and a second more for each ``RATE`` bytes
  of the limit. A server that sends slowly cannot hold the reader longer (``ledger.http_client``).
- Certificates are verified; the system's proxy settings count.
"""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import override

from ledger.audit.source import LogSource
from ledger.errors import (
    HttpAnswerError,
    HttpUnreachableError,
    HttpUrlError,
    LogUnavailableError,
    TileError,
    TileMissingError,
)
from ledger.http_client import OK, BoundedClient, HttpOptions, is_temporary

ATTEMPTS = 3
REDIRECTS = 3
GONE = (404, 410)
SECONDS, RATE = 60.0, 1 << 16
"""What one attempt may take: seconds, and one more for each so many bytes of the file's limit."""
OPTIONS = HttpOptions(
    connect_seconds=10.0,
    step_seconds=30.0,
    redirects=REDIRECTS,
    attempts=ATTEMPTS,
    pause=0.5,
    uses_environment=True,
)


class HttpSource(LogSource):
    """The files of a public log under a URL; keeps its connections until ``close``."""

    def __init__(
        self,
        prefix: str,
        client: BoundedClient | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """A log at ``prefix``.

        Args:
            prefix: URL without the file's name.
            client: makes the requests; one with ``OPTIONS`` when not given. The source closes it.
            seconds: what one attempt may take beside the time for its bytes.

        Raises:
            LogUnavailableError: a proxy of the system's settings has no http(s) URL.
        """
        self._prefix = prefix.rstrip("/")
        self._seconds = seconds
        try:
            self._client = BoundedClient(OPTIONS) if client is None else client
        except HttpUrlError as error:
            raise LogUnavailableError(str(error)) from error

    @property
    @override
    def place(self) -> str:
        return self._prefix

    @override
    def names(self) -> Iterator[str] | None:
        """None: a log's files cannot be listed over HTTP."""
        return None

    @override
    def close(self) -> None:
        self._client.close()

    @override
    def fetch(self, name: str, limit: int) -> bytes:
        try:
            answer = self._client.fetch(
                f"{self._prefix}/{name}",
                place=self._prefix,
                seconds=self._seconds + limit / RATE,
                size=limit,
            )
        except HttpUnreachableError as error:
            raise self._unavailable(name, str(error)) from error
        except HttpUrlError as error:
            raise LogUnavailableError(f"{error}: correct the address") from error
        except HttpAnswerError as error:
            raise TileError(f"{name} cannot be read: {error}") from error
        if is_temporary(answer.status):
            raise self._unavailable(name, f"status {answer.status}")
        if answer.status in GONE:
            raise TileMissingError(f"{self._prefix} has no {name}: check the address; a mirror may have it")
        if answer.status != OK:
            raise TileError(f"{self._prefix} answers {name} with status {answer.status}: check the address")
        return answer.body

    def _unavailable(self, name: str, reason: str) -> LogUnavailableError:
        return LogUnavailableError(
            f"{self._prefix} does not serve {name} ({reason}): check the address and the network, and try "
            "again"
        )
