"""Where a public log is read from: a folder of files, or the same files under an http(s) URL.

A ``LogSource`` gives the bytes of one file by its name below the log's prefix (``checkpoint``,
``tile/0/x001/234.p/5`` …) and never more of them than the caller allows. Nothing it gives is trusted: whoever
reads checks. A file that is not there is ``TileMissingError``, which on a log that grows is no fault: a
partial tile goes when a larger one has taken its place.

A public log under an http(s) URL, read with the HTTP client: time-outs, bounded sizes, a few retries.

Rules
- One GET a file, at ``<prefix>/<name>``; up to three redirects are followed, and their bodies not read:
  nothing that comes is trusted.
- 404 and 410 are ``TileMissingError``. 429, every 5xx, a time-out and a broken connection are tried again,
three times
  in all, with a pause that doubles; what fails then is ``LogUnavailableError``. Any other status is
  ``TileError``.
- The body is streamed and given up as soon as it is longer than the limit. The exchange with all that belongs
  to it, redirections too, has ``SECONDS`` and a second for each ``RATE`` bytes of the limit
  (``ledger.http_client``): a server that dribbles holds up nobody for ever.
- It is asked for and taken as it is. A body in any content coding is refused, since a few hundred bytes that
  were compressed twice are a gigabyte in one piece before anybody can count them.
- Certificates are verified; the system's proxy settings count.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import httpx

from ledger.errors import LogUnavailableError, TileError, TileMissingError, VerificationError
from ledger.formats.note import MAX_NOTE_BYTES
from ledger.formats.tiles import MAX_ENTRY_BYTES, Tile
from ledger.http_client import Exchange

MAX_POLICY_BYTES = 1 << 20
MAX_FOLDERS = 16
"""Folders below one another; a log of 2^63 entries has ten."""
MAX_TRACE_BYTES = 1 << 26
"""Four million tags; a question has some thousand."""


class LogSource(Protocol):
    """The files of one public log."""

    @property
    def place(self) -> str:
        """The folder or URL, for messages."""
        ...

    def fetch(self, name: str, limit: int) -> bytes:
        """The bytes of a file.

        Raises:
            TileMissingError: there is no such file.
            TileError: it has more than ``limit`` bytes, or cannot be read.
            LogUnavailableError: the place is out of reach.
        """
        ...

    def names(self) -> Iterator[str] | None:
        """Every file's name, for places that can list them; None for those that cannot."""
        ...

    def close(self) -> None:
        """End connections, where there are any."""
        ...


class FolderSource:
    """A public folder, or a copy of one; links, pipes and devices in it are refused, not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def place(self) -> str:
        """See ``LogSource``."""
        return str(self._root)

    def fetch(self, name: str, limit: int) -> bytes:
        """See ``LogSource``."""
        try:
            with open(self._root / name, "rb", opener=_regular) as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise TileMissingError(f"{self._root} has no {name}: copy or mirror the log again") from None
        except OSError as error:
            raise TileError(f"{name} in {self._root} cannot be read: {error.strerror}") from error
        if len(data) > limit:
            raise TileError(f"{name} in {self._root} has more than {limit} bytes: copy the log again")
        return data

    def names(self) -> Iterator[str]:
        """See ``LogSource``.

        Raises:
            VerificationError: a symbolic link, or folders below one another as no log has them.
        """
        for folder, folders, files in os.walk(self._root, onerror=_but_gone):
            below = Path(folder).relative_to(self._root)
            if len(below.parts) > MAX_FOLDERS:
                raise VerificationError("files", below.as_posix(), "is nested too deeply: remove it")
            for one in (*folders, *files):
                if Path(folder, one).is_symlink():
                    name = (below / one).as_posix()
                    raise VerificationError("files", name, "is a symbolic link: copy the file itself")
            for one in files:
                yield (below / one).as_posix()

    def close(self) -> None:
        """See ``LogSource``."""


def _regular(path: str, flags: int) -> int:
    """Open a regular file; never a symbolic link, and nothing whose opening or reading may wait for ever."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return descriptor


def _but_gone(error: OSError) -> None:
    """Pass over a folder that the log has removed meanwhile, raise any other error."""
    if not isinstance(error, FileNotFoundError):
        raise TileError(f"{error.filename} cannot be listed: {error.strerror}") from error


def is_url(place: str) -> bool:
    """Whether a place is an http(s) URL, its scheme in letters of any case, and not a folder's path."""
    return place.lower().startswith(("http://", "https://"))


def open_source(place: str) -> LogSource:
    """The source at a folder's path or an http(s) URL.

    Raises:
        LogUnavailableError: neither a folder that is there nor an http(s) URL.
    """
    if is_url(place):
        from ledger.audit.source import HttpSource  # noqa: PLC0415  the HTTP client, only where it is used

        return HttpSource(place)
    folder = Path(place)
    if not folder.is_dir():
        raise LogUnavailableError(f"{place} is no folder: give the folder or the http(s) URL of a public log")
    return FolderSource(folder)


def tile_limit(tile: Tile) -> int:
    """Most bytes that a tile or bundle can have."""
    return tile.width * (32 if tile.level >= 0 else MAX_ENTRY_BYTES + 2)


NOTE_LIMIT = MAX_NOTE_BYTES
"""Most bytes of a checkpoint that are read."""
TIMEOUT = httpx.Timeout(10.0, read=30.0)
ATTEMPTS = 3
PAUSE = 0.5
REDIRECTS = 3
GONE = (404, 410)
SECONDS, RATE = 60.0, 1 << 16
"""What one exchange may take: seconds, and bytes a second beside them."""
AS_IT_IS = {"Accept-Encoding": "identity"}


class _RetryError(Exception):
    """A failure that may pass."""


class HttpSource:
    """See ``ledger.audit.source.Source``; keeps its connections until ``close``."""

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
        """See ``LogSource``."""
        return self._prefix

    def names(self) -> Iterator[str] | None:
        """None: a log's files cannot be listed over HTTP."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, name: str, limit: int) -> bytes:
        """See ``LogSource``."""
        pause = PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._get(name, limit)
            except (_RetryError, httpx.TransportError) as error:
                if attempt == ATTEMPTS:
                    reason = str(error) or type(error).__name__
                    raise LogUnavailableError(
                        f"{self._prefix} does not serve {name} ({reason}): check the address and the "
                        "network, and try again"
                    ) from error
                self._sleep(pause)
                pause *= 2
            except httpx.InvalidURL as error:
                raise LogUnavailableError(
                    f"{self._prefix} is no URL ({error}): correct the address"
                ) from error
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
            raise TileMissingError(f"{self._prefix} has no {name}: check the address; a mirror may have it")
        if status == 429 or status >= 500:
            raise _RetryError(f"status {status}")
        if status != 200:
            raise TileError(f"{self._prefix} answers {name} with status {status}: check the address")
