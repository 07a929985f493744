"""A log that shows two histories: both sides notice when they compare, keep both notes, stop answering."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import contract
from ledger.errors import ForkError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note, NoteSigner, base64_text
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.storage.database import open_database
from ledger.wire import log_pb2, log_pb2_grpc
from node.store import tables
from node.tlog.following import Gossip
from node.tlog.split_views import MOST_FILES, SplitViewEvidence
from protocols.wire import check_pb2
from tests.node.network_in_memory import Network, stranger
from tests.node.question_steps import certificate_of, hold, refused, send


class Split:
    """A network whose log, with its one key, has shown police another last entry than the others."""

    def __init__(self, folder: Path) -> None:
        self.net = net = Network(folder)
        self.questions: dict[str, check_pb2.AnswerRequest] = {
            member: hold(net, net.case(stranger(at)), member, "Answer")
            for at, member in enumerate(("police", "hib", "tax"), 1)
        }
        net.sync()
        size = net.sequencer.size
        shutil.copy(folder / "log.db", folder / "twin.db")
        signer = NoteSigner(net.file.policy.origin, net.key("audit", "log"))
        self.twin = OrderedLog(open_database(f"sqlite:///{folder / 'twin.db'}"), signer, contract.apply)
        entry = net.services["audit"].ledger.compose("incident", secrets.token_hex(16), self.body("other"))
        self.twin.stage([Candidate.parse(entry)], lambda refusal: None)
        self.twin.order()
        net.wire.down.add("police")
        net.services["audit"].ledger.submit("incident", secrets.token_hex(16), self.body("real"))
        net.wire.down.clear()
        path = "".join(f"{base64_text(node)}\n" for node in self.twin.consistency_path(size, size + 1))
        body = f"old {size}\n{path}\n".encode() + self.twin.head.note
        stub = log_pb2_grpc.WitnessStub(net.services["audit"].channels.to("police"))
        assert stub.AddCheckpoint(log_pb2.AddCheckpointRequest(body=body), timeout=5).status == 200
        self.size = size + 1

    @staticmethod
    def body(code: str) -> dict[str, object]:
        return {"code": code, "count": 1}

    def gossip(self, member: str) -> Gossip:
        services = self.net.services[member]
        return Gossip(member, "audit", services.channels, services.ledger)

    def compare_all(self, member: str) -> None:
        """A round of a node with every other."""
        gossip = self.gossip(member)
        for _ in self.net.services:
            gossip.compare_next()

    def notes(self, member: str) -> list[Checkpoint]:
        """The checkpoints in a member's one file of evidence, each signed by the log."""
        folder = self.net.homes[member].home.evidence
        [name] = self.net.services[member].ledger.evidence
        document = json.loads((folder / name).read_text())
        return [self.net.file.policy.verify_log(note.encode())[1] for note in document["notes"]]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    made = Split(tmp_path_factory.mktemp("split"))
    yield made
    made.net.close()


def test_both_sides_notice_and_keep_both_notes(split: Split) -> None:
    net = split.net
    net.services["office"].ledger.sync()
    with pytest.raises(ForkError):
        split.compare_all("office")
    with pytest.raises(ForkError):
        split.compare_all("police")
    for member in ("office", "police"):
        first, second = split.notes(member)
        assert first.size == second.size == split.size
        assert first.root != second.root


def test_the_department_that_was_shown_another_history_answers_nothing(split: Split) -> None:
    """It meets the real head when it is asked: its own witness has cosigned something else."""
    refused(split.net, "police", "Answer", split.questions["police"], "fork")
    refused(split.net, "police", "Answer", split.questions["police"], "fork")
    assert {head.size for head in split.notes("police")} == {split.size}
    query = certificate_of(split.questions["police"])["query"]
    assert split.net.services["police"].store.all(tables.answer, query=query) == []


def test_once_it_is_settled_it_answers_again(split: Split) -> None:
    net = split.net
    question = split.questions["hib"]
    hib = net.services["hib"]
    hib.ledger.sync()
    with pytest.raises(ForkError):
        hib.ledger.compare(split.twin.head.note)
    refused(net, "hib", "Answer", question, "fork")
    for name in hib.ledger.evidence:
        (net.homes["hib"].home.evidence / name).unlink()
    assert send(net, "hib", "Answer", question).answers


def test_a_witness_looks_at_what_it_does_not_cosign(split: Split) -> None:
    """The log asks an honest witness for a second text of one size."""
    stub = log_pb2_grpc.WitnessStub(split.net.services["audit"].channels.to("desk"))
    body = f"old {split.size}\n\n".encode() + split.twin.head.note
    split.net.services["desk"].ledger.sync()
    assert stub.AddCheckpoint(log_pb2.AddCheckpointRequest(body=body), timeout=5).status in {409, 422}
    assert {head.size for head in split.notes("desk")} == {split.size}


def test_a_question_brings_the_askers_checkpoint(split: Split) -> None:
    """Its receipt is under a head that is not part of the department's history."""
    net = split.net
    question = split.questions["tax"]
    net.services["tax"].ledger.sync()
    net.services["tax"].ledger.compare(net.services["office"].ledger.replica.checkpoint_note)
    with pytest.raises(ForkError):
        net.services["tax"].ledger.compare(split.twin.head.note)
    refused(net, "tax", "Answer", question, "fork")


def test_evidence_is_bounded_and_only_of_the_logs_own_notes(tmp_path: Path, split: Split) -> None:
    net, policy = split.net, split.net.file.policy
    evidence = SplitViewEvidence(tmp_path / "evidence", policy, lambda: net.now)
    signer = NoteSigner(policy.origin, net.key("audit", "log"))
    stranger_key = NoteSigner(policy.origin, net.key("office"))

    def note(by: NoteSigner, number: int) -> bytes:
        return by.sign(Checkpoint(policy.origin, 1 + number, bytes([number]) * 32).text()).format()

    assert evidence.keep(note(signer, 1), note(stranger_key, 2)) is None
    assert evidence.keep(note(signer, 1), note(signer, 1)) is None
    assert not (tmp_path / "evidence").exists()
    for number in range(1, MOST_FILES + 5):
        assert (evidence.keep(note(signer, 0), note(signer, number)) is None) == (number > MOST_FILES)
    assert evidence.keep(note(signer, 1), note(signer, 0)) is not None
    assert len(evidence.files()) == MOST_FILES
    assert Note.parse(note(signer, 0)).text
