"""A log under a URL: read, verified and mirrored like a folder; every fault of a server has a clear end."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import time
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ledger.audit.http_source import ATTEMPTS, OPTIONS, HttpSource
from ledger.audit.mirror import update_mirror
from ledger.audit.source import read_entries
from ledger.audit.verify import verify_folder, verify_source
from ledger.errors import ForkError, LogUnavailableError, TileError, TileMissingError, VerificationError
from ledger.http_client import BoundedClient
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.audit.static_server import Web, answer, serving
from tests.ledger.sequencer.log_cases import POLICY, cheap, leaf

PINNED = POLICY.format().encode()


def impatient(url: str) -> HttpSource:
    """A source that does not pause between its attempts."""
    return HttpSource(url, BoundedClient(OPTIONS, sleep=lambda seconds: None))


@pytest.fixture
def log(tmp_path: Path) -> Growing:
    made = Growing(tmp_path / "public")
    made.add(*(leaf() for _ in range(300)))
    return made


@pytest.fixture
def web(log: Growing) -> Iterator[Web]:
    with serving(log.root) as server:
        yield server


@pytest.fixture
def source(web: Web) -> Iterator[HttpSource]:
    made = impatient(web.url)
    yield made
    made.close()


def test_a_url_is_read_and_verified_like_a_folder(log: Growing, web: Web, source: HttpSource) -> None:
    assert [entry.leaf() for _, entry in read_entries(source)] == log.leaves
    found = verify_source(source, policy=PINNED, apply=cheap)
    assert (found.size, found.root) == (300, verify_folder(log.root, apply=cheap).root)


def test_the_log_moves_on_between_checkpoint_and_tiles(log: Growing, web: Web, source: HttpSource) -> None:
    moves = iter(range(2))

    def move(name: str, handler: BaseHTTPRequestHandler) -> bool:
        if name.startswith("tile/") and next(moves, None) is not None:
            log.add(leaf())
            log.time += 60
            log.add()
        return False

    web.fault = move
    assert verify_source(source, policy=PINNED, apply=cheap).size == 302


def test_one_changed_byte_in_any_file_fails(log: Growing, source: HttpSource) -> None:
    log.folder.close()
    for file in sorted(file for file in log.root.rglob("*") if file.is_file()):
        data = file.read_bytes()
        file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(VerificationError):
            verify_source(source, policy=PINNED, apply=cheap)
        file.write_bytes(data)


def test_a_missing_file_is_named(log: Growing, source: HttpSource) -> None:
    (log.root / "tile/entries/000").unlink()
    with pytest.raises(VerificationError) as caught:
        verify_source(source, apply=cheap)
    assert (caught.value.check, caught.value.place) == ("files", "tile/entries/000")
    with pytest.raises(TileMissingError):
        source.fetch("trace/none", 10)


def test_what_may_pass_is_tried_again(web: Web, source: HttpSource) -> None:
    statuses = [503, 429]

    def busy(name: str, handler: BaseHTTPRequestHandler) -> bool:
        if not statuses:
            return False
        answer(handler, statuses.pop(), b"later")
        return True

    web.fault = busy
    assert source.fetch("policy", 10_000) == PINNED
    assert web.asked == ["policy"] * 3


def test_what_does_not_pass_names_the_remedy(web: Web, source: HttpSource) -> None:
    web.fault = lambda name, handler: answer(handler, 500, b"broken") is None
    with pytest.raises(LogUnavailableError, match="check the address"):
        source.fetch("policy", 10_000)
    assert len(web.asked) == ATTEMPTS
    web.fault = lambda name, handler: answer(handler, 403, b"no") is None
    with pytest.raises(TileError, match="403"):
        source.fetch("policy", 10_000)


def test_a_body_that_breaks_off_is_tried_again(web: Web, source: HttpSource) -> None:
    torn = [True]

    def tear(name: str, handler: BaseHTTPRequestHandler) -> bool:
        if not torn:
            return False
        torn.pop()
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"only this")
        handler.close_connection = True
        return True

    web.fault = tear
    assert source.fetch("policy", 10_000) == PINNED


def test_too_much_is_not_read(web: Web, source: HttpSource) -> None:
    web.fault = lambda name, handler: answer(handler, 200, bytes(1000)) is None
    with pytest.raises(TileError, match="more than 999 bytes"):
        source.fetch("policy", 999)


def test_a_coded_body_is_refused_before_it_is_unpacked(web: Web, source: HttpSource) -> None:
    packed = gzip.compress(gzip.compress(bytes(100_000_000), 1), 1)
    coding = {"Content_Encoding": "gzip, gzip"}
    web.fault = lambda name, handler: answer(handler, 200, packed, **coding) is None
    tracemalloc.start()
    try:
        with pytest.raises(TileError, match="compresses"):
            source.fetch("policy", 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_server_that_dribbles_is_given_up(web: Web) -> None:
    moments = itertools.count(step=5)
    source = HttpSource(web.url, BoundedClient(OPTIONS, clock=lambda: next(moments)))

    def dribble(name: str, handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(20):
                handler.wfile.write(b"a")
                handler.wfile.flush()
                time.sleep(0.01)
        handler.close_connection = True
        return True

    web.fault = dribble
    with pytest.raises(LogUnavailableError, match="too slowly"):
        source.fetch("policy", 1000)
    assert len(web.asked) == 1
    source.close()


@pytest.mark.parametrize("host", ["xn--a", "a" * 300])
def test_a_redirection_to_no_host_is_an_error_of_ours(web: Web, source: HttpSource, host: str) -> None:
    web.fault = lambda name, handler: answer(handler, 302, b"", Location=f"http://{host}/") is None
    with pytest.raises((TileError, LogUnavailableError)):
        source.fetch("policy", 1000)


def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        source = impatient(url)
        with pytest.raises(LogUnavailableError, match="check the address"):
            source.fetch("checkpoint", 10)
        source.close()
    bad = impatient("http://[")
    with pytest.raises(LogUnavailableError):
        bad.fetch("checkpoint", 10)
    bad.close()


def test_a_mirror_over_http(log: Growing, web: Web, source: HttpSource, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    update_mirror(source, copy, policy=PINNED)
    web.asked.clear()
    log.add(leaf())
    update_mirror(source, copy)
    assert sorted(web.asked) == [
        "checkpoint",
        "policy",
        "tile/0/001.p/45",
        "tile/1/000.p/1",
        "tile/entries/001.p/45",
    ]
    log.folder.close()
    assert verify_folder(copy, policy=PINNED, apply=cheap).size == 301
    other = Growing(tmp_path / "other")
    other.add(*log.leaves[:-1], leaf())
    with serving(other.root) as second:
        forked = HttpSource(second.url)
        with pytest.raises(ForkError, match="fork"):
            update_mirror(forked, copy)
        forked.close()
