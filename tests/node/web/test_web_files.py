"""The public log over HTTP: each file with its headers, and nothing else of the sequencer's home."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger.formats.tiles import Tile, tiles_of
from ledger.sequencer.public_folder import PublicFolder
from node.web.app import BODY_BYTES, PublicFiles, create_app
from node.web.server import CONNECTIONS, HEADER_BYTES, THREADS, UNSENT_BYTES, WebServer
from tests.ledger.sequencer.test_further_witnesses import until
from tests.node.web.handwritten_log import Caller

SIZE = 300
TRACE = "trace/" + "ab" * 32
PLAIN, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
FOR_EVER = "public, max-age=31536000, immutable"


def content(tile: Tile) -> bytes:
    return f"{tile.path}\n".encode() * 3


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a public log and what must stay private."""
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "passphrase").write_text("secret")
    (home / "node.toml").write_text("secret")
    folder = PublicFolder(home / "ledger")
    folder.open("policy text\n", 0, content)
    folder.write(SIZE, content)
    folder.publish(b"note\n", SIZE)
    (home / "ledger" / "trace").mkdir()
    (home / "ledger" / TRACE).write_bytes(bytes(32))
    (home / "ledger" / "notes.txt").write_text("not public")
    (home / "ledger" / "tile" / "0" / "002").symlink_to(home / "node.toml")
    (home / "ledger" / "tile" / "3").symlink_to(home / "ledger" / "tile" / "0")
    return home


@pytest.fixture
def caller(home: Path) -> Iterator[Caller]:
    server = WebServer(create_app(None, PublicFiles(home / "ledger")), "127.0.0.1:0")
    server.start()
    made = Caller(server.port)
    yield made
    made.close()
    server.stop()


def test_every_file_of_the_log_is_served(caller: Caller) -> None:
    for name, data in (("checkpoint", b"note\n"), ("policy", b"policy text\n")):
        answer = caller.get(f"/{name}")
        assert (answer.status, answer.body) == (200, data)
        assert answer.headers["content-type"] == PLAIN
        assert answer.headers["cache-control"] == "no-cache"
    for tile in tiles_of(SIZE):
        answer = caller.get(f"/{tile.path}")
        assert (answer.status, answer.body) == (200, content(tile))
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == (BYTES, FOR_EVER)
    answer = caller.get(f"/{TRACE}")
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, bytes(32), FOR_EVER)


def test_a_head_request_has_no_body(caller: Caller) -> None:
    answer = caller.call("HEAD", "/tile/0/000")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == len(content(Tile(0, 0, 256)))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tile",
        "/tile/",
        "/tile/0",
        "/tile/0/",
        "/tile/0/001.p",
        "/tile/0/001.p/",
        "/tile/0/001.p/45",
        "/tile/0/001",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/0/x000/000",
        "/tile/entries/000/",
        "/tile/64/000",
        "/trace/",
        "/trace/" + "AB" * 32,
        "/notes.txt",
        "/node.toml",
        "/keys/passphrase",
        "/../node.toml",
        "/../keys/passphrase",
        "/tile/../checkpoint",
        "/tile/0/../../../node.toml",
        "/tile/0/..%2f..%2f..%2fnode.toml",
        "/%2e%2e/node.toml",
        "/..%5cnode.toml",
        "/tile/0/000%00",
        "/checkpoint/",
        "/CHECKPOINT",
        "/.ledger.part/file",
        "/tile/0/002",
        "/tile/3/000",
        "/add-checkpoint",
        "/" + "ab" * 32 + "/checkpoint",
    ],
)
def test_nothing_else_is_there(caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert answer.status == 404, answer
    assert b"secret" not in answer.body


def test_nothing_is_written(caller: Caller) -> None:
    for method in ("POST", "PUT", "DELETE"):
        for path in ("/checkpoint", "/add-checkpoint"):
            assert caller.call(method, path, b"x").status == 405
    assert caller.get("/checkpoint").body == b"note\n"


def test_a_log_that_has_published_nothing_yet(tmp_path: Path) -> None:
    assert PublicFiles(tmp_path / "ledger").read("checkpoint") is None


def test_reads_are_bounded(home: Path) -> None:
    app = create_app(None, PublicFiles(home / "ledger"), lambda: 0.0)
    client = app.test_client()
    assert {client.get("/checkpoint").status_code for _ in range(1000)} == {200}
    assert client.get("/checkpoint").status_code == 429


BUNDLE = "tile/entries/000"
LARGE = 4 << 20
"""Bytes of a bundle: a few of them are more than waitress takes from a worker on one connection."""


@pytest.fixture
def port(home: Path) -> Iterator[int]:
    """The port of a server whose one bundle is large."""
    (home / "ledger" / BUNDLE).write_bytes(bytes(LARGE))
    server = WebServer(create_app(None, PublicFiles(home / "ledger")), "127.0.0.1:0")
    server.start()
    yield server.port
    server.stop()


def asking(port: int, version: str, times: int, **headers: str) -> socket.socket:
    """A connection that has asked for the bundle several times at once, and reads nothing."""
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [
        f"GET /{BUNDLE} HTTP/{version}",
        "Host: x",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    made.sendall("\r\n".join([*lines, "", ""]).encode() * times)
    return made


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_requests_sent_at_once_are_answered_one_after_the_other(port: int, version: str) -> None:
    with asking(port, version, 12, Connection="keep-alive") as connection, connection.makefile("rb") as file:
        for _ in range(12):
            head = b"".join(iter(file.readline, b"\r\n"))
            assert head.startswith(f"HTTP/{version} 200 OK\r\n".encode())
            assert f"Content-Length: {LARGE}\r\n".encode() in head
            assert file.read(LARGE) == bytes(LARGE)


def test_callers_that_take_nothing_hold_no_worker(port: int) -> None:
    with ExitStack() as opened:
        for _ in range(2 * THREADS):
            opened.enter_context(asking(port, "1.1", 1))
        for _ in range(2 * THREADS):
            caller = Caller(port)
            assert caller.get("/checkpoint").body == b"note\n"
            caller.close()


def test_what_waits_for_a_caller_that_takes_nothing_is_bounded() -> None:
    """It may hold one worker, and the server ends in time though that worker waits."""
    answered = itertools.count()
    began = threading.Semaphore(0)

    def app(environ, start):  # type: ignore[no-untyped-def]  # WSGI
        if environ["PATH_INFO"] == "/small":
            start("200 OK", [("Content-Length", "1")])
            return [b"s"]
        next(answered)
        began.release()
        start("200 OK", [("Content-Length", str(LARGE))])
        return [bytes(LARGE)]

    server = WebServer(app, "127.0.0.1:0")  # type: ignore[arg-type]  # any WSGI application
    server.start()
    fitting = UNSENT_BYTES // LARGE
    with asking(server.port, "1.1", 100) as connection:
        for _ in range(fitting):
            assert began.acquire(timeout=20)
        caller = Caller(server.port)
        for _ in range(200):
            assert caller.get("/small").body == b"s"
        caller.close()
        server.stop()
        assert not server._thread.is_alive()
        assert connection.fileno() >= 0
    in_the_system = 4  # answers that a loopback connection may hold outside the server
    assert fitting <= next(answered) <= fitting + 2 + in_the_system


def test_connections_are_bounded(home: Path) -> None:
    """Further callers wait to be accepted, and are answered when others have gone."""
    server = WebServer(create_app(None, PublicFiles(home / "ledger")), "127.0.0.1:0")
    server.start()
    late = Caller(server.port)
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
        until(lambda: server._server.in_connection_overflow)
        assert len(server._server.active_channels) < CONNECTIONS
    assert late.get("/checkpoint").body == b"note\n"
    late.close()
    server.stop()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /checkpoint HTTP/1.1\r\nX: " + "a" * HEADER_BYTES, b"431"),
        (f"POST /add-checkpoint HTTP/1.1\r\nContent-Length: {BODY_BYTES + 1}", b"413"),
    ],
)
def test_requests_are_bounded(port: int, head: str, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode())
        assert connection.recv(1 << 16).split()[1] == status


def test_a_request_that_does_not_come_is_not_waited_for(home: Path) -> None:
    server = WebServer(create_app(None, PublicFiles(home / "ledger")), "127.0.0.1:0", idle_seconds=1)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 60000\r\n\r\nold")
        assert connection.recv(1) == b""
    server.stop()
