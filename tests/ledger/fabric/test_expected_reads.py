"""What is read ahead for an entry is what the contract reads to accept it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keys.signing import SigningKey
from ledger.canonical import encode
from ledger.contract import expected_reads
from ledger.entries.entry import Entry, parse, signed
from ledger.entries.times import parse_time
from ledger.errors import EntryRefusedError
from ledger.fabric.chaincode import Chaincode
from ledger.fabric.shim import Call
from tests.ledger.contract.contract_cases import Net, ready
from tests.ledger.fabric.test_hot_keys import everyday, keys_of

BUSY = {"consent.commit": 1, "query.intent": 28, "query.answer": 2, "query.close": 2, "share.release": 1}
"""Fewest keys that are read together for the entries of a question."""


def ahead(entry: Entry) -> set[str]:
    return {
        *expected_reads.common_keys(entry),
        *expected_reads.signer_keys(entry),
        *expected_reads.body_keys(entry),
    }


def life() -> Iterator[tuple[Net, Entry]]:
    """The entries of a network's founding and of a busy day, each with the network it came to."""
    founded = ready()
    grown = Net()
    for entry, now in founded.entries:
        grown.now = now
        yield grown, entry
        grown.apply(entry)
    for entry in everyday(founded):
        yield founded, entry


class Peer:
    """A peer's state that counts the ways there and back: what ``Chaincode`` sees as its stub."""

    def __init__(self, net: Net) -> None:
        self.values = {key: encode(value) for key, value in net.state.values.items()}
        self.reads: set[str] = set()
        self.together: list[int] = []

    def get_state(self, key: str) -> bytes:
        return self.get_states([key])[0]

    def get_states(self, keys: list[str]) -> list[bytes]:
        self.reads.update(keys)
        self.together.append(len(keys))
        return [self.values.get(key, b"") for key in keys]

    def put_states(self, values: dict[str, bytes]) -> None:
        self.values.update(values)


def append(net: Net, entry: Entry, peer: Peer | None = None, late: int = 0) -> Peer:
    peer = Peer(net) if peer is None else peer
    seconds = parse_time(entry.time) + late
    call = Call((b"append", entry.leaf()), seconds, "hedui", direct=True)
    Chaincode(lambda: seconds)(call, peer)  # type: ignore[arg-type]
    return peer


def test_the_read_set_of_an_accepted_entry_is_the_contracts() -> None:
    seen = set()
    for net, entry in life():
        noted = keys_of(net, entry)
        assert append(net, entry).reads == noted.reads | {f"id/{entry.id}"}, entry.type
        seen.add(entry.type)
    assert seen >= {"network.genesis", "dataset.publish", "grant.decide", "sumkey.publish", *BUSY}


def test_the_entries_of_a_question_are_read_for_together() -> None:
    for net, entry in life():
        if entry.type in BUSY:
            assert max(append(net, entry).together) >= BUSY[entry.type], entry.type


@pytest.mark.parametrize("body", [{}, {"certificate": 1}, {"query": ["x"], "dataset": None}])
@pytest.mark.parametrize("type", [*BUSY, "nothing"])
def test_a_body_of_another_form_names_nothing(type: str, body: dict[str, object]) -> None:
    net = ready()
    entry = replace(next(entry for entry in everyday(net)), type=type, body=body)
    assert expected_reads.body_keys(entry) == ()


def test_what_is_refused_is_refused_as_ever() -> None:
    net = ready()
    entry = net.intent(1)
    net.apply(entry)
    other = net.intent(2)
    with pytest.raises(EntryRefusedError, match="slot_taken"):
        append(net, other)


def test_a_strangers_entry_is_not_read_for() -> None:
    """It may name a thousand keys, each a question of its own to an older peer."""
    net = ready()
    for entry in everyday(net)[:2]:
        foreign = SigningKey.generate()
        draft = replace(entry, sigs=())
        signed_by = parse(signed(draft, foreign).leaf())
        peer = Peer(net)
        with pytest.raises(EntryRefusedError, match="unknown_signer"):
            append(net, signed_by, peer)
        assert len(peer.reads) == 3


def test_an_old_entry_is_not_read_for() -> None:
    net = ready()
    entry = net.intent(1)
    peer = Peer(net)
    with pytest.raises(EntryRefusedError, match="clock"):
        append(net, entry, peer, late=121)
    assert len(peer.reads) == 3
