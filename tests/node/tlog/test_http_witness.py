"""A log and a witness over HTTP: what a C2SP witness of any make is asked, and what a bad one cannot do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.errors import PolicyError, WitnessError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.sequencer.http_witness import HttpWitness
from ledger.witness import MemoryWitnessStore, Witness
from node.tlog.witness import CosignedNotes, WitnessDesk
from node.web.app import create_app
from node.web.server import WebServer
from tests.ledger.sequencer.log_cases import LOG, MOMENT, leaf, signed_head, some_leaves
from tests.ledger.sequencer.test_further_witnesses import NAME, STRANGER, Listed, names, until
from tests.node.web.handwritten_log import consistency, request


class Port:
    """A TCP server that answers every connection with given bytes, perhaps without end."""

    def __init__(self, answer: bytes, *, endless: bool = False) -> None:
        self._answer, self._endless = answer, endless
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        try:
            asked = connection.recv(65536)
            while asked.startswith(b"POST") and b"\n\xe2\x80\x94 " not in asked:
                more = connection.recv(65536)
                if not more:
                    return
                asked += more
            connection.sendall(self._answer)
            while self._endless:
                connection.sendall(bytes(65536))
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Listed]:
    made = Listed(tmp_path)
    yield made
    made.close()


@pytest.fixture
def witness() -> Witness:
    return Witness(STRANGER, [LOG.verifier], MemoryWitnessStore())


@pytest.fixture
def server(witness: Witness) -> Iterator[WebServer]:
    desk = WitnessDesk(witness, LOG.verifier.name, CosignedNotes(), lambda: MOMENT)
    made = WebServer(create_app(desk, None, lambda: 0.0), "127.0.0.1:0")
    made.start()
    yield made
    made.stop()


def client(url: str, size: int = 0, seconds: float = 5.0) -> HttpWitness:
    return HttpWitness(url, LOG, lambda: size, seconds)


def add(to: Witness, old: int, new: int) -> None:
    leaves = some_leaves(new)
    body = request(old, consistency(old, leaves), signed_head(leaves).format().decode())
    assert to.add_checkpoint(body, MOMENT)[0] == 200


def test_a_log_gets_cosignatures_over_http(world: Listed, server: WebServer, witness: Witness) -> None:
    asked = client(f"http://127.0.0.1:{server.port}/")
    log = world.begin(asked)
    for _ in range(3):
        log.submit(leaf())
    until(lambda: NAME in names(world))
    verified = verify_folder(world.public, apply=world.admit)
    assert dict(verified.checkpoint.further) == {NAME: MOMENT}
    kept = Checkpoint.parse(Note.parse(witness.latest(LOG.verifier.name) or b"").text)
    assert kept.root == verified.root
    log.stop()
    asked.close()


def test_the_last_cosigned_checkpoint_is_read_where_it_is_served(server: WebServer, witness: Witness) -> None:
    add(witness, 0, 3)
    asked = client(f"http://127.0.0.1:{server.port}")
    assert asked.latest() == witness.latest(LOG.verifier.name)
    asked.close()


def test_a_witness_that_never_saw_the_log_has_no_news(server: WebServer, witness: Witness) -> None:
    asked = client(f"http://127.0.0.1:{server.port}")
    assert asked.latest() is None
    empty = Note.parse(witness.latest(LOG.verifier.name) or b"")
    assert Checkpoint.parse(empty.text).size == 0
    add(witness, 0, 3)
    asked.close()


HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: text/x.tlog.size\r\nConnection: close\r\n\r\n"


def answer(status: str, body: bytes) -> bytes:
    return HEAD % (status.encode(), len(body)) + body


@pytest.fixture
def serve() -> Iterator[object]:
    opened: list[Port] = []

    def begin(data: bytes, *, endless: bool = False) -> str:
        opened.append(Port(data, endless=endless))
        return opened[-1].url

    yield begin
    for port in opened:
        port.close()


class Monitorless:
    """A WSGI application that serves no checkpoint and knows ``size`` entries."""

    def __init__(self, size: bytes) -> None:
        self.size = size

    def __call__(self, environ, start):  # type: ignore[no-untyped-def]  # WSGI
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if environ["REQUEST_METHOD"] == "GET":
            start("404 Not Found", [])
            return [b"not served"]
        assert body.startswith(b"old 0\n\n" + LOG.verifier.name.encode() + b"\n0\n")
        start("409 Conflict", [("Content-Type", "text/x.tlog.size")])
        return [self.size]


@pytest.mark.parametrize(("told", "size"), [(b"0\n", 0), (b"7\n", 7), (b"7\n", 9)])
def test_a_size_up_to_ones_own_is_no_news(told: bytes, size: int) -> None:
    server = WebServer(Monitorless(told), "127.0.0.1:0")  # type: ignore[arg-type]  # any WSGI application
    server.start()
    asked = client(f"http://127.0.0.1:{server.port}", size)
    assert asked.latest() is None
    asked.close()
    server.stop()


@pytest.mark.parametrize("told", [b"8\n", b"x\n", b"", b"08\n"])
def test_a_size_above_ones_own_is_a_claim_without_evidence(told: bytes) -> None:
    server = WebServer(Monitorless(told), "127.0.0.1:0")  # type: ignore[arg-type]  # any WSGI application
    server.start()
    asked = client(f"http://127.0.0.1:{server.port}", 7)
    with pytest.raises(WitnessError):
        asked.latest()
    asked.close()
    server.stop()


def test_a_redirection_to_no_host_ends_no_thread(serve) -> None:
    asked = client(serve(answer("302 Found\r\nLocation: http://xn--a/", b"")))
    with pytest.raises(WitnessError):
        asked.add_checkpoint(b"old 0\n\nx\n\n\xe2\x80\x94 ")
    asked.close()


def test_what_is_answered_is_passed_on(serve) -> None:
    asked = client(serve(answer("422 Unprocessable Entity", b"no\n")))
    assert asked.add_checkpoint(b"old 0\n\nx\n\n\xe2\x80\x94 ") == (422, b"no\n")
    asked.close()


@pytest.mark.parametrize(
    ("data", "endless"),
    [
        (b"", False),
        (b"\x00" * 100, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nX: ", True),
    ],
)
def test_no_answer_too_much_or_nonsense_is_an_error(serve, data: bytes, endless: bool) -> None:
    asked = client(serve(data, endless=endless))
    with pytest.raises(WitnessError):
        asked.add_checkpoint(b"old 0\n\nx\n\n\xe2\x80\x94 ")
    asked.close()


def test_a_redirection_is_not_followed(serve) -> None:
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    asked = client(serve(elsewhere))
    assert asked.add_checkpoint(b"old 0\n\nx\n\n\xe2\x80\x94 ")[0] == 302
    asked.close()


def test_a_silent_or_absent_witness_is_given_up_in_time() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    asked = client(f"http://127.0.0.1:{listening.getsockname()[1]}", seconds=0.2)
    with pytest.raises(WitnessError):
        asked.add_checkpoint(b"x")
    listening.close()
    with pytest.raises(WitnessError):
        asked.latest()
    asked.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "witness.example",
        "ftp://witness.example",
        "https://",
        "https://x/?a",
        "https://x/#a",
        "https://x y/",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PolicyError):
        client(url)


def test_whatever_is_served_as_the_last_checkpoint_is_for_the_log_to_judge(serve) -> None:
    note = signed_head(some_leaves(2)).format()
    asked = client(serve(answer("200 OK", note)))
    assert asked.latest() == note
    asked.close()
