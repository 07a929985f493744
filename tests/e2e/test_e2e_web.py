"""Real nodes with the HTTP edge turned on: a witness asked by a stranger, the public log read by one."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.tiles import tiles_of
from ledger.witness import AddCheckpoint
from node.app import Node
from node.config import Configuration, WebSettings
from node.errors import ConfigurationError
from tests.e2e.shared_network import RunningNetwork
from tests.foreign.foreign_checkers import CHECKERS, Trust
from tests.node.web.handwritten_log import Caller, PlainLog, cosigned_at


def opened(configuration: Configuration) -> Node:
    """The member with its HTTP edge on a port of the system's choice."""
    return Node(replace(configuration, web=WebSettings("127.0.0.1:0")))


@contextlib.contextmanager
def calling(node: Node) -> Iterator[Caller]:
    """Raw requests to a running node's edge."""
    assert node.web is not None
    caller = Caller(node.web.port)
    try:
        yield caller
    finally:
        caller.close()


def test_a_nodes_witness_answers_strangers_and_the_node_remembers(own_network: RunningNetwork) -> None:
    policy = own_network.policy
    with own_network.inside("welfare", opened) as node, calling(node) as caller:
        hashed = hashlib.sha256(policy.origin.encode()).hexdigest()
        answer = caller.get(f"/{hashed}/checkpoint")
        assert answer.status == 200
        note = Note.parse(answer.body)
        size = Checkpoint.parse(note.text).size
        told = caller.post(AddCheckpoint(0, (), answer.body).format())
        assert (told.status, told.body) == (409, b"%d\n" % size)
        again = caller.post(AddCheckpoint(size, (), answer.body).format())
        assert again.status == 200
        own = next(w for w in policy.witnesses if f"— {w.name} " in again.body.decode())
        assert cosigned_at(note.text, again.body, own.key.format()) > 0
        assert size in node.ledger_side.cosigned.notes()
        assert caller.post(PlainLog.of("unknown.example/log", 1).request(0, 1)).status == 404
        assert caller.get("/checkpoint").status == 404
    assert own_network.clients["welfare"].status()["replayed"] > 0


def test_the_sequencer_serves_the_public_log_and_nothing_else(own_network: RunningNetwork) -> None:
    with own_network.inside("court", opened) as node, calling(node) as caller:
        head = Checkpoint.parse(Note.parse(caller.get("/checkpoint").body).text)
        assert head.size > 0
        for tile in tiles_of(head.size):
            answer = caller.get(f"/{tile.path}")
            assert (answer.status, answer.body) == (200, (own_network.public / tile.path).read_bytes())
        for path in ("/node.toml", "/../node.toml", "/genesis.leaf", "/log.db", "/keys/passphrase"):
            assert caller.get(path).status == 404
        assert caller.post(b"old 0\n\n", "/add-checkpoint").status == 405


def test_the_sequencer_cosigns_no_log(own_network: RunningNetwork) -> None:
    def told_to(configuration: Configuration) -> Node:
        web = WebSettings("127.0.0.1:0", (PlainLog.of("elsewhere.example/log", 1).vkey,))
        return Node(replace(configuration, web=web))

    with pytest.raises(ConfigurationError, match=r"web\.logs"), own_network.inside("court", told_to):
        raise AssertionError("it started")


@pytest.mark.foreign
@pytest.mark.parametrize("name", CHECKERS)
def test_strangers_checkers_accept_the_log_of_a_whole_run(own_network: RunningNetwork, name: str) -> None:
    trust = Trust.read((own_network.public / "policy").read_text("utf-8"))
    assert CHECKERS[name]().check(own_network.public, trust).size > 20
