"""A server cannot hold a client beyond its deadline, whatever part of an answer it never ends."""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpcore
import pytest

from keys.tls import Authority
from ledger.audit.http_source import OPTIONS, RATE, HttpSource
from ledger.audit.timestamp_client import post_to
from ledger.errors import LogUnavailableError, TileError, WitnessError
from ledger.http_client import HEADER_BYTES, BoundedClient, HttpOptions
from ledger.sequencer.http_witness import HttpWitness
from tests.ledger.sequencer.log_cases import LOG

SECONDS = 0.2
PAUSE = 0.01
STEPS = 3000
"""A server ends by itself after this many pauses, so that a client held by it fails its test."""

STAMP = b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n"
CHUNKED = STAMP + b"Transfer-Encoding: chunked\r\n\r\n"


class Hostile:
    """Sends ``first`` on each connection, then ``more`` repeatedly, with or without a pause."""

    def __init__(
        self, first: bytes, more: bytes, pause: float = PAUSE, tls: ssl.SSLContext | None = None
    ) -> None:
        self._first, self._more, self._pause, self._tls = first, more, pause, tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
            self._threads[-1].start()

    def _talk(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            plain.settimeout(20)
            connection = plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)
            with connection:
                connection.recv(65536)
                connection.sendall(self._first)
                for _ in range(STEPS if self._pause else 1 << 30):
                    heard = self._pause and select.select([connection], [], [], self._pause)[0]
                    if heard and not connection.recv(65536):
                        return  # the other side has closed
                    connection.sendall(self._more)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    opened: list[Hostile] = []

    def begin(first: bytes, more: bytes, **how: object) -> str:
        opened.append(Hostile(first, more, **how))  # type: ignore[arg-type]
        return opened[-1].url

    yield begin
    for server in opened:
        server.close()


def ask_witness(url: str) -> None:
    client = HttpWitness(url, LOG, lambda: 0, SECONDS)
    try:
        client.add_checkpoint(b"x")
    finally:
        client.close()


def ask_source(url: str, seconds: float = SECONDS) -> None:
    source = HttpSource(url, seconds=seconds)
    try:
        source.fetch("checkpoint", RATE // 10)
    finally:
        source.close()


def ask_authority(url: str) -> None:
    post_to(url, seconds=SECONDS)(b"x")


ATTACKS = {
    "status": (b"", b"H"),
    "headers": (STAMP, b"a"),
    "interim 103": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "interim 100": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": (CHUNKED, b"1\r\na\r\n"),
    "chunk extension": (CHUNKED + b"1;", b"a"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"A: b\r\n"),
    "body": (STAMP + b"\r\n", b"a"),
}
ASKING = {
    "witness": (ask_witness, WitnessError),
    "source": (ask_source, LogUnavailableError),
    "authority": (ask_authority, LogUnavailableError),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("who", ASKING)
def test_what_trickles_is_given_up(serve, attack: str, who: str) -> None:
    ask, error = ASKING[who]
    with pytest.raises(error, match="answers too slowly or too much"):
        ask(serve(*ATTACKS[attack]))


@pytest.mark.parametrize("who", ASKING)
def test_interim_answers_without_end_are_given_up(serve, who: str) -> None:
    ask, error = ASKING[who]
    with pytest.raises(error, match="answers too slowly or too much"):
        ask(serve(b"", ATTACKS["interim 103"][1] * 1000, pause=0))


def test_bytes_are_counted_whatever_they_are(serve) -> None:
    """The deadline is far away: what ends it is the number of bytes."""
    client = BoundedClient(HttpOptions(connect_seconds=60, step_seconds=60))
    url = serve(b"", ATTACKS["interim 100"][1] * 1000, pause=0)
    with closing(client), pytest.raises(LogUnavailableError, match="the server answers"):
        client.fetch(url, place="the server", seconds=1e6, size=1000)


def test_each_exchange_begins_anew_on_a_connection_that_is_kept() -> None:
    body = bytes(HEADER_BYTES)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    accepted: list[socket.socket] = []

    def talk() -> None:
        connection, _ = listening.accept()
        accepted.append(connection)
        with connection, suppress(OSError):
            while connection.recv(65536):
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk)
        thread.start()
        source = HttpSource(f"http://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(5):
            assert source.fetch("policy", len(body)) == body
        source.close()
        thread.join()
    assert len(accepted) == 1


def test_the_way_through_a_proxy_is_counted_too(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(*ATTACKS["headers"])
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for url in ("http://log.example", "https://log.example"):
        with pytest.raises(LogUnavailableError, match="answers too slowly or too much"):
            ask_source(url)


def test_a_connection_with_tls_is_counted_too(serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority.create("court")
    identity = authority.issue("web", ("127.0.0.1",))
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "chain.pem").write_bytes(identity.chain_pem)
    (tmp_path / "key.pem").write_bytes(identity.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    url = serve(*ATTACKS["trailers"], tls=tls)
    with pytest.raises(LogUnavailableError, match="answers too slowly or too much"):
        ask_source(url.replace("http:", "https:"))


def test_the_body_of_a_redirection_is_neither_read_nor_unpacked(serve) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    head = b"HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with pytest.raises(TileError, match="redirects more than 3 times"):
        ask_source(serve(head % (1 << 40) + bomb, bomb), 60)


def over(network: httpcore.NetworkBackend) -> HttpSource:
    return HttpSource("http://log.example", BoundedClient(OPTIONS, network=network))


def test_connections_may_be_opened_by_another_network() -> None:
    """The limits stand above the network that opens connections, whichever that is."""
    network = httpcore.MockBackend([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"here"])
    with closing(over(network)) as source:
        assert source.fetch("policy", 10) == b"here"


def test_hosts_that_need_no_proxy_are_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    network = httpcore.MockBackend([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"here"])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "log.example")
    with closing(over(Addresses(network, "log.example"))) as source:
        assert source.fetch("policy", 10) == b"here"
    monkeypatch.setenv("no_proxy", "log.example:80")
    with closing(
        HttpSource("http://log.example:80", BoundedClient(OPTIONS, network=Addresses(network, "log.example")))
    ) as source:
        assert source.fetch("policy", 10) == b"here"
    monkeypatch.setenv("no_proxy", "another.example")
    with closing(over(Addresses(network, "127.0.0.1"))) as source:
        assert source.fetch("policy", 10) == b"here"


def test_a_cookie_never_comes_back(serve) -> None:
    requests: list[bytes] = []

    def talk() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                requests.append(data)
                connection.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: track=1\r\nContent-Length: 4\r\n\r\nhere")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk)
        thread.start()
        source = HttpSource(f"http://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(2):
            assert source.fetch("policy", 10) == b"here"
        source.close()
        thread.join()
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:1", "http://me:secret@:1", "http://"])
def test_a_proxy_that_cannot_be_used_is_refused_and_its_password_not_shown(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(LogUnavailableError, match="a proxy of the system's settings") as caught:
        HttpSource("http://log.example")
    assert "secret" not in str(caught.value)


class Addresses(httpcore.NetworkBackend):
    """A network on which one host alone may be connected to."""

    def __init__(self, inner: httpcore.NetworkBackend, host: str) -> None:
        self._inner, self._host = inner, host

    def connect_tcp(self, host: str, *args, **options) -> httpcore.NetworkStream:
        assert host == self._host
        return self._inner.connect_tcp(host, *args, **options)
