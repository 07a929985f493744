"""Our witness over HTTP, asked by raw requests that owe nothing to this project's own formats."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.signing import SigningKey
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy
from ledger.storage.database import create_tables, open_database
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import MemoryWitnessStore, Witness
from node.errors import ConfigurationError
from node.tlog.witness import CosignedNotes, WitnessDesk, open_witness
from node.web.app import BODY_BYTES, create_app
from node.web.server import WebServer
from tests.node.web.handwritten_log import Answer, Caller, PlainLog, cosigned_at, request

OWN = PlainLog.of("county/log", 1)
OTHER = PlainLog.of("elsewhere.example/log", 2)
KEY = SigningKey.from_seed(bytes(range(32)))
NOW = 1_795_000_000
TEXT = "text/plain; charset=utf-8"


def policy() -> Policy:
    """The own log with two witnesses that count; ours is the second founder's."""
    keys = [SigningKey.from_seed(bytes([number] * 32)) for number in range(1, 3)]
    witnesses = [VerifierKey(f"w{number}", 4, key.public) for number, key in enumerate([*keys, KEY])]
    return Policy.create(VerifierKey.parse(OWN.vkey), witnesses)


class Edge:
    """A witness with its database, its desk and its port."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_database(f"sqlite:///{folder / 'node.db'}")
        create_tables(self.engine)
        self.witness = open_witness("tax", KEY, policy(), [OTHER.vkey], Witness, SqlWitnessStore(self.engine))
        self.vkey = self.witness.verifier.format()
        self.cosigned = CosignedNotes()
        self.now = NOW
        self.desk = WitnessDesk(self.witness, OWN.origin, self.cosigned, lambda: self.now)
        self.seconds = 0.0
        self.server = WebServer(create_app(self.desk, None, lambda: self.seconds), "127.0.0.1:0")
        self.server.start()
        self.caller = Caller(self.server.port)

    def close(self) -> None:
        self.caller.close()
        self.server.stop()
        self.engine.dispose()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    made = Edge(tmp_path)
    yield made
    made.close()


def is_refusal(answer: Answer, status: int) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, TEXT), answer
    assert not answer.body.startswith("—".encode())


def test_200_growing_trees_are_cosigned(edge: Edge) -> None:
    for log in (OWN, OTHER):
        for old, new in ((0, 1), (1, 7), (7, 8), (8, 8), (8, 33)):
            answer = edge.caller.post(log.request(old, new))
            assert (answer.status, answer.headers["content-type"]) == (200, TEXT), answer
            assert cosigned_at(log.text(new), answer.body, edge.vkey) == NOW


def test_the_empty_tree_is_cosigned(edge: Edge) -> None:
    answer = edge.caller.post(OTHER.request(0, 0))
    assert answer.status == 200
    assert cosigned_at(OTHER.text(0), answer.body, edge.vkey) == NOW
    assert edge.caller.post(OTHER.request(0, 5)).status == 200


def test_further_signatures_on_the_note_do_not_matter(edge: Edge) -> None:
    stranger = f"— stranger.example {'A' * 88}AAA=\n"
    answer = edge.caller.post(OTHER.request(0, 4, OTHER.note(4) + stranger))
    assert answer.status == 200
    assert cosigned_at(OTHER.text(4), answer.body, edge.vkey) == NOW


NOTE = OTHER.note(4)
MALFORMED = {
    "empty": b"",
    "not_text": b"\xff\xfe\n\n",
    "no_old": NOTE.encode(),
    "no_gap": b"old 0\n" + NOTE.encode(),
    "leading_zero": b"old 00\n\n" + NOTE.encode(),
    "negative": b"old -1\n\n" + NOTE.encode(),
    "plus": b"old +0\n\n" + NOTE.encode(),
    "spaces": b"old  0\n\n" + NOTE.encode(),
    "crlf": b"old 0\r\n\r\n" + NOTE.encode(),
    "capital": b"Old 0\n\n" + NOTE.encode(),
    "hash_not_base64": b"old 0\n????\n\n" + NOTE.encode(),
    "hash_short": b"old 0\nAAAA\n\n" + NOTE.encode(),
    "too_many_hashes": request(0, [bytes(32)] * 64, NOTE),
    "no_signature": b"old 0\n\n" + OTHER.text(4).encode(),
    "no_size": b"old 0\n\n" + NOTE.replace("\n4\n", "\n\n").encode(),
    "bad_size": b"old 0\n\n" + NOTE.replace("\n4\n", "\n04\n").encode(),
    "no_last_newline": b"old 0\n\n" + NOTE.encode()[:-1],
    "old_above_new": OTHER.request(0, 4).replace(b"old 0", b"old 5"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_400_what_is_malformed(edge: Edge, case: str) -> None:
    is_refusal(edge.caller.post(MALFORMED[case]), 400)
    assert edge.desk.latest(OTHER.origin) is None


def test_403_no_true_signature_of_the_log(edge: Edge) -> None:
    text = OTHER.text(4)
    wrong = PlainLog.of(OTHER.origin, 3)
    false = OTHER.line(OTHER.text(5))
    notes = {
        "another key of the same name": f"{text}\n{wrong.line(text)}",
        "a line over another text": f"{text}\n{false}",
        "a true line and a false one": f"{text}\n{OTHER.line(text)}{false}",
        "another log's signature": f"{text}\n{OWN.line(text)}",
    }
    for what, note in notes.items():
        answer = edge.caller.post(OTHER.request(0, 4, note))
        assert answer.status == 403, what
        is_refusal(answer, 403)


def test_404_an_unknown_origin(edge: Edge) -> None:
    is_refusal(edge.caller.post(PlainLog.of("unknown.example/log", 2).request(0, 4)), 404)


def test_409_tells_the_size_of_the_last_cosigned_tree(edge: Edge) -> None:
    for expected, old, new in ((0, 3, 9), (9, 0, 12), (9, 8, 9), (9, 8, 8), (9, 10, 12)):
        if expected and edge.desk.latest(OTHER.origin) is None:
            assert edge.caller.post(OTHER.request(0, 9)).status == 200
        answer = edge.caller.post(OTHER.request(old, new))
        assert answer.status == 409
        assert answer.headers["content-type"] == "text/x.tlog.size"
        assert answer.body == b"%d\n" % expected


def test_what_a_stranger_puts_beside_the_logs_line_is_not_remembered(edge: Edge) -> None:
    text = OWN.text(4)
    impostor = PlainLog.of(OWN.origin, 9).line(text)
    junk = "".join(f"— junk{number} {'QUJD' * 100}\n" for number in range(90))
    assert edge.caller.post(request(0, [], f"{text}\n{impostor}{junk}{OWN.line(text)}")).status == 200
    assert edge.cosigned.notes() == {4: OWN.note(4).encode()}


def test_409_another_root_of_the_very_size(edge: Edge) -> None:
    wrong_empty = OTHER.text(0).replace(OTHER.text(0).split("\n")[2], "A" * 43 + "=")
    refused = [edge.caller.post(request(0, [], f"{wrong_empty}\n{OTHER.line(wrong_empty)}"))]
    assert edge.caller.post(OTHER.request(0, 8)).status == 200
    refused.append(edge.caller.post(OTHER.forked().request(8, 8)))
    for answer, size in zip(refused, (b"0\n", b"8\n"), strict=True):
        assert (answer.status, answer.body) == (409, size)
        assert answer.headers["content-type"] == "text/x.tlog.size"


def test_422_trees_that_do_not_fit(edge: Edge) -> None:
    is_refusal(edge.caller.post(request(0, [bytes(32)], OTHER.note(4))), 422)
    assert edge.caller.post(OTHER.request(0, 8)).status == 200
    fork = OTHER.forked()
    for bad in (
        fork.request(8, 12),
        request(8, [], OTHER.note(12)),
        request(8, [bytes(32)], OTHER.note(8)),
        OTHER.request(8, 13, OTHER.note(12)),
    ):
        is_refusal(edge.caller.post(bad), 422)
    assert edge.caller.post(OTHER.request(8, 12)).status == 200


def test_another_method_path_or_size_is_no_witness_request(edge: Edge) -> None:
    body = OTHER.request(0, 4)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = edge.caller.call(method, "/add-checkpoint", body)
        assert answer.status == 405, method
        assert "POST" in answer.headers["allow"]
        assert edge.desk.latest(OTHER.origin) is None
    for path in ("/", "/add-checkpoint/", "/x/add-checkpoint", "/add-checkpoint%00", "/sign-subtree"):
        assert edge.caller.post(body, path).status in (404, 405), path
    assert edge.caller.post(b"old 0\n" + bytes(BODY_BYTES)).status == 413


def test_the_content_type_of_a_request_does_not_matter(edge: Edge) -> None:
    old = 0
    for size, kind in enumerate(("application/x-www-form-urlencoded", "text/x", "multipart/form-data"), 1):
        answer = edge.caller.call("POST", "/add-checkpoint", OTHER.request(old, size), Content_Type=kind)
        assert answer.status == 200, kind
        old = size


def test_the_last_cosigned_checkpoint_can_be_read(edge: Edge) -> None:
    def path(log: PlainLog) -> str:
        return f"/{hashlib.sha256(log.origin.encode()).hexdigest()}/checkpoint"

    assert edge.caller.get(path(OTHER)).status == 404
    edge.caller.post(OTHER.request(0, 5))
    answer = edge.caller.get(path(OTHER))
    assert (answer.status, answer.headers["content-type"]) == (200, TEXT)
    text, _, lines = answer.body.decode().partition("\n\n")
    assert f"{text}\n" == OTHER.text(5)
    assert OTHER.line(OTHER.text(5)) in lines
    assert cosigned_at(OTHER.text(5), lines.encode(), edge.vkey) == NOW
    assert edge.caller.get(path(OWN)).status == 404
    assert edge.caller.get(path(PlainLog.of("unknown.example/log", 1))).status == 404


def roots(cosigned: CosignedNotes) -> dict[int, bytes]:
    return {size: Checkpoint.parse(Note.parse(note).text).root for size, note in cosigned.notes().items()}


def test_what_is_cosigned_of_the_own_log_is_remembered(edge: Edge) -> None:
    edge.caller.post(OTHER.request(0, 5))
    assert roots(edge.cosigned) == {}
    edge.caller.post(OWN.request(0, 6))
    root = Checkpoint.parse(OWN.text(6)).root
    assert roots(edge.cosigned) == {6: root}
    again = CosignedNotes()
    WitnessDesk(edge.witness, OWN.origin, again, lambda: NOW)
    assert roots(again) == {6: root}


def test_two_edges_race_and_one_passes(edge: Edge) -> None:
    """Requests from both edges for the same old size: one is cosigned, the others are told its size."""
    size = 1
    edge.caller.post(OWN.request(0, size))
    for step in range(12):
        start, answers = threading.Barrier(4), []
        wanted = [size + 1 + step % 2, size + 2, size + 1, size + 2]

        def by_http(new: int, old: int = size, start: threading.Barrier = start) -> None:
            caller = Caller(edge.server.port)
            start.wait()
            answer = caller.post(OWN.request(old, new))
            answers.append((answer.status, answer.body, new))  # noqa: B023  joined below
            caller.close()

        def by_desk(new: int, old: int = size, start: threading.Barrier = start) -> None:
            start.wait()
            status, body, _ = edge.desk.add_checkpoint(OWN.request(old, new))
            answers.append((status, body, new))  # noqa: B023  joined below

        threads = [
            threading.Thread(target=run, args=(new,))
            for run, new in zip((by_http, by_http, by_desk, by_desk), wanted, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        passed = [new for status, _, new in answers if status == 200]
        assert len(passed) == 1, answers
        assert {body for status, body, _ in answers if status == 409} == {b"%d\n" % passed[0]}
        kept = Note.parse(edge.desk.latest() or b"")
        assert kept.text == OWN.text(passed[0])
        assert passed[0] in edge.cosigned.notes()
        size = passed[0]


def test_an_allowance_bounds_what_strangers_may_ask(edge: Edge) -> None:
    statuses = [edge.caller.post(b"x").status for _ in range(101)]
    assert statuses == [400] * 100 + [429]
    assert edge.caller.post(b"x").headers["retry-after"] == "1"
    edge.seconds += 0.25
    assert [edge.caller.post(b"x").status for _ in range(6)] == [400] * 5 + [429]


def test_a_defect_tells_a_stranger_nothing(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    edge.engine.dispose()
    edge.witness._store = None  # type: ignore[assignment]
    answer = edge.caller.post(OTHER.request(0, 4))
    assert (answer.status, answer.body) == (500, b"internal error\n")
    assert "NoneType" in caplog.text


@pytest.mark.parametrize(
    "vkeys",
    [["nonsense"], [OWN.vkey], [OTHER.vkey, OTHER.vkey], [VerifierKey("w", 4, KEY.public).format()]],
)
def test_logs_that_cannot_be_cosigned_are_refused(tmp_path: Path, vkeys: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"web\.logs"):
        open_witness("tax", KEY, policy(), vkeys, Witness, MemoryWitnessStore())


@pytest.mark.parametrize(
    "address", ["7480", ":7480", "127.0.0.1:", "127.0.0.1:x", "192.0.2.1:7480", "h:99999"]
)
def test_addresses_that_cannot_be_opened_are_refused(address: str) -> None:
    with pytest.raises(ConfigurationError):
        WebServer(create_app(None, None), address)
