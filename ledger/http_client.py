"""An HTTP client with one deadline and one number of bytes for a whole exchange.

The time-outs of an HTTP library start again with each part that arrives. A server that sends a byte now and
then, in the status line, the headers, a chunk's extension or a trailer, or one interim response (100, 103)
after the other, could hold its caller without end. ``BoundedClient`` counts every read and write of its
connections and their TLS handshakes, through a proxy, over redirections and on connections kept open.

    deadline      ``seconds``, from the start of an attempt
    bytes         the longest body that is wanted, an eighth beside it for the coding of chunks, and
                  ``HEADER_BYTES`` for everything that is not the body; what is sent does not count

The limits of an exchange belong to the thread that makes it, so several threads may share a client. The
deadline does not cover the system's resolver, nor further attempts to connect where a name has several
addresses.

Certificates are verified. A body is requested without content coding, and one in any content coding is
refused: a few hundred bytes that were compressed twice become a gigabyte before they can be counted.

The counting is done in a network backend of httpcore (``httpcore.NetworkBackend``). On top of it, httpx
builds the requests and the redirections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from typing_extensions import override

from ledger.errors import HttpAnswerError, HttpUnreachableError, HttpUrlError, LogUnavailableError

HEADER_BYTES = 1 << 16
OK = 200
_SLICE = 1 << 12
"""Bytes written at once: no more than goes out in one step, since each step may last until the deadline."""
_PROXY_SCHEMES = ("http", "https", "all")
_CONNECTIONS, _IDLE_SECONDS = 100, 5.0
_TRANSPORT_ERRORS = (
    httpx.TransportError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


@dataclass(frozen=True)
class HttpOptions:
    """How a client makes its exchanges.

    Attributes:
        connect_seconds: longest time to open a connection.
        step_seconds: longest wait for one part of an answer.
        redirects: how many redirections are followed; with 0 the redirection itself is the answer.
        attempts: how often a request is made until it has an answer that is not 429 or 5xx.
        pause: seconds before the second attempt; doubled before each further one.
        uses_environment: whether the system's proxy settings and ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` count.
        reads_every_body: whether bodies are read with every status, not with 200 alone.
    """

    connect_seconds: float = 10.0
    step_seconds: float = 30.0
    redirects: int = 0
    attempts: int = 1
    pause: float = 0.5
    uses_environment: bool = False
    reads_every_body: bool = False


@dataclass(frozen=True)
class HttpAnswer:
    """The answer to one request.

    Attributes:
        status: the HTTP status.
        content_type: media type without parameters; empty where none is named.
        body: at most as many bytes as were allowed; empty where the status is not one whose body is read.
    """

    status: int
    content_type: str
    body: bytes


def is_temporary(status: int) -> bool:
    """Whether another attempt may succeed after this status: 429, or 500 to 599."""
    return status == 429 or 500 <= status < 600


class BoundedClient:
    """An HTTP client whose exchanges are bounded in time and bytes; for any number of threads."""

    def __init__(
        self,
        options: HttpOptions,
        *,
        network: httpcore.NetworkBackend | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A client; it opens connections when they are needed and keeps them until ``close``.

        Args:
            options: how exchanges are made.
            network: what connections are opened with; the system's sockets when not given.
            clock: seconds that never go back.
            sleep: pauses between attempts.

        Raises:
            HttpUrlError: a proxy of the system's settings has no http(s) URL.
        """
        self._options = options
        self._sleep = sleep
        self._budget = _Budget(clock)
        backend = _BoundedBackend(httpcore.SyncBackend() if network is None else network, self._budget)
        self._client = httpx.Client(
            transport=_Transport(backend, options.uses_environment),
            timeout=httpx.Timeout(
                options.step_seconds,
                connect=options.connect_seconds,
                pool=options.connect_seconds,
            ),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(
        self,
        url: str,
        *,
        place: str,
        seconds: float,
        size: int,
        content: bytes | None = None,
        content_type: str = "application/octet-stream",
    ) -> HttpAnswer:
        """GET a URL, or POST ``content`` to it.

        Args:
            url: http or https.
            place: the server, as errors are to call it.
            seconds: for an attempt altogether, redirections and body included.
            size: longest body in bytes.
            content: body of a POST; None for a GET.
            content_type: of ``content``.

        Raises:
            LogUnavailableError: the deadline passed or the bytes were used up.
            HttpUnreachableError: no whole answer at the last attempt; the text is the reason.
            HttpUrlError: ``url`` is malformed.
            HttpAnswerError: a body that is too long or coded, or too many redirections.
        """
        pause = self._options.pause
        for attempts_left in reversed(range(self._options.attempts)):
            try:
                self._budget.begin(place, seconds, size)
                answer = self._exchange(self._request(url, content, content_type), place, size)
            except _TRANSPORT_ERRORS as error:
                if not attempts_left:
                    raise HttpUnreachableError(str(error) or type(error).__name__) from error
            except httpx.InvalidURL as error:
                raise HttpUrlError(f"{place} is no URL ({error})") from error
            except UnicodeError as error:  # a redirection to a host that is no name
                raise HttpAnswerError(f"{place} redirects to what is no address: {error}") from error
            else:
                if not attempts_left or not is_temporary(answer.status):
                    return answer
            self._sleep(pause)
            pause *= 2
        raise AssertionError  # the last attempt returns or raises

    def _request(self, url: str, content: bytes | None, content_type: str) -> httpx.Request:
        self._client.cookies.clear()  # nothing that a server sets comes back to it
        if content is None:
            return self._client.build_request("GET", url)
        return self._client.build_request(
            "POST", url, content=content, headers={"Content-Type": content_type}
        )

    def _exchange(self, request: httpx.Request, place: str, size: int) -> HttpAnswer:
        for _ in range(1 + self._options.redirects):
            with closing(self._client.send(request, stream=True, follow_redirects=False)) as response:
                if response.next_request is None or not self._options.redirects:
                    return self._answer(response, place, size)
                request = response.next_request
                request.headers.pop("Cookie", None)
        raise HttpAnswerError(
            f"{place} redirects more than {self._options.redirects} times: give the last address"
        )

    def _answer(self, response: httpx.Response, place: str, size: int) -> HttpAnswer:
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if response.status_code != OK and not self._options.reads_every_body:
            return HttpAnswer(response.status_code, content_type, b"")
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise HttpAnswerError(f"{place} compresses its answers: let it serve the files as they are")
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > size:
                raise HttpAnswerError(f"{place} answers with more than {size} bytes")
        return HttpAnswer(response.status_code, content_type, bytes(data))


class _Budget:
    """The deadline and the bytes left of the exchange that the current thread makes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._now = threading.local()  # place, deadline and left: each thread has its own

    def begin(self, place: str, seconds: float, size: int) -> None:
        """Count from now on, in this thread."""
        self._now.place = place
        self._now.deadline = self._clock() + seconds
        self._now.left = size + size // 8 + HEADER_BYTES

    @contextmanager
    def wait(self, timeout: float | None) -> Iterator[float]:
        """The seconds that one step may wait; checked before the step and after it, however it ended."""
        left = self._remaining()
        try:
            yield left if timeout is None else min(timeout, left)
        finally:
            self._remaining()

    def spend(self, size: int) -> None:
        """Count bytes that have arrived."""
        self._now.left -= size
        if self._now.left < 0:
            raise self._exceeded()

    def _remaining(self) -> float:
        left: float = self._now.deadline - self._clock()
        if left <= 0:
            raise self._exceeded()
        return left

    def _exceeded(self) -> LogUnavailableError:
        return LogUnavailableError(
            f"{self._now.place} answers too slowly or too much: check its address, and try again later"
        )


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose every step is within the budget."""

    def __init__(self, inner: httpcore.NetworkStream, budget: _Budget) -> None:
        self._inner = inner
        self._budget = budget

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._budget.wait(timeout) as seconds:
            data = self._inner.read(max_bytes, seconds)
        self._budget.spend(len(data))
        return data

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            with self._budget.wait(timeout) as seconds:
                self._inner.write(buffer[start : start + _SLICE], seconds)

    @override
    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> _BoundedStream:
        with self._budget.wait(timeout) as seconds:
            return _BoundedStream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._budget)

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _BoundedBackend(httpcore.NetworkBackend):
    """Opens connections whose every step is within the budget."""

    def __init__(self, inner: httpcore.NetworkBackend, budget: _Budget) -> None:
        self._inner = inner
        self._budget = budget

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> _BoundedStream:
        with self._budget.wait(timeout) as seconds:
            stream = self._inner.connect_tcp(host, port, seconds, local_address, socket_options)
            return _BoundedStream(stream, self._budget)


class _Transport(httpx.BaseTransport):
    """Sends the requests of httpx over connection pools of httpcore: one for each proxy, and a direct one."""

    def __init__(self, backend: httpcore.NetworkBackend, uses_environment: bool) -> None:
        self._backend = backend
        self._tls = httpx.create_ssl_context(trust_env=uses_environment)
        self._direct = self._open_pool()
        self._proxied = {}
        if uses_environment:
            self._proxied = {
                scheme: self._open_pool(_proxy(url))
                for scheme, url in getproxies().items()
                if scheme in _PROXY_SCHEMES and url
            }

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        answer = self._pool(request.url).handle_request(
            httpcore.Request(
                request.method,
                _core_url(request.url),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    @override
    def close(self) -> None:
        for pool in (self._direct, *self._proxied.values()):
            pool.close()

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        pool = self._proxied.get(url.scheme, self._proxied.get("all"))
        return self._direct if pool is None or proxy_bypass(_host_and_port(url)) else pool

    def _open_pool(self, proxy: httpcore.Proxy | None = None) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._tls,
            proxy=proxy,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=self._backend,
        )


class _Body(httpx.SyncByteStream):
    """The body of an answer of httpcore, as httpx takes it."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    @override
    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    @override
    def close(self) -> None:
        self._answer.close()


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _host_and_port(url: httpx.URL) -> str:
    """What the system's list of hosts without a proxy is compared with."""
    host = url.raw_host.decode("ascii")
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _proxy(text: str) -> httpcore.Proxy:
    """A proxy of the system's settings; its address may hold a password, so no error shows it."""
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise HttpUrlError("a proxy of the system's settings has no http(s) URL: correct or unset it")
    auth = (url.username, url.password) if url.username or url.password else None
    return httpcore.Proxy(_core_url(url), auth=auth)
