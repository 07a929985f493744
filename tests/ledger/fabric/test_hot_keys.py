"""Which keys entries read and write: those of everyday work never conflict between members.

On Fabric two transactions conflict when one writes a key the other reads. Here every entry of a network's
life goes through the contract over a state that notes what is read and written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger.contract import apply
from ledger.contract.state import State
from ledger.entries import bodies
from ledger.entries.entry import Entry
from ledger.fabric.chaincode import checked_key
from tests.ledger.contract.contract_cases import Net, digest, query_id, ready, signer


@dataclass
class Noting:
    """A state that notes its keys."""

    below: State
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    def get(self, key: str) -> Any:
        self.reads.add(key)
        return self.below.get(key)

    def put(self, key: str, value: Any) -> None:
        self.writes.add(key)
        self.below.put(key, value)


def keys_of(net: Net, entry: Entry) -> Noting:
    """What an entry reads and writes, applied to a copy of the network."""
    noting = Noting(net.copy().state)
    apply(noting, entry, net.now)
    return noting


def conflicts(one: Noting, other: Noting) -> set[str]:
    """Keys by which one would fail if the other came first, or the other way round."""
    return (one.writes & (other.reads | other.writes)) | (other.writes & one.reads)


def answer(net: Net, name: object, dataset: str, result: str = "answered") -> Entry:
    body = bodies.query_answer(query_id(name), dataset, result, digest("response", name, dataset))
    return net.entry("query.answer", dataset.partition(".")[0], body)


def everyday(net: Net) -> list[Entry]:
    """What happens at once on a busy day: two questions asked, two others answered, released, closed."""
    for number in (1, 2):
        net.apply(net.intent(number, slot=number - 1))
    net.answers(1)
    fresh = net.copy()
    return [
        fresh.intent(3, slot=2),
        answer(fresh, 2, "tax.income"),
        answer(fresh, 2, "tax.owner"),
        answer(fresh, 2, "housing.two"),
        fresh.entry("share.release", "trust", {"query": query_id(1), "case": 0, "list": digest("list")}),
        fresh.entry(
            "query.close", "office", {"query": query_id(1), "total": digest("t"), "report": digest("r")}
        ),
        fresh.entry("incident", "tax", {"code": "x", "count": 1}),
        fresh.entry("consent.commit", "desk", {"commitments": [digest("c")]}),
        fresh.entry("consent.commit", "desk", {"commitments": [digest("d")]}),
        fresh.entry("case.decision", "office", {"commitment": digest("e"), "code": "granted"}),
    ]


def test_everyday_entries_do_not_conflict() -> None:
    net = ready()
    entries = everyday(net)
    noted = [keys_of(net, entry) for entry in entries]
    for place, one in enumerate(noted):
        for further, other in enumerate(noted[place + 1 :], place + 1):
            assert not conflicts(one, other), (entries[place].type, entries[further].type)


def test_intents_of_one_office_conflict_by_their_slot_alone() -> None:
    net = ready()
    first, second, same = (keys_of(net, net.intent(n, slot=s)) for n, s in ((1, 0), (2, 1), (3, 0)))
    assert conflicts(first, second) == set()
    assert {key.partition("/")[0] for key in conflicts(first, same)} == {"slot"}


def test_everyday_entries_write_keys_of_their_own_alone() -> None:
    net = ready()
    own = {"id", "slot", "intent", "answer", "release", "close", "consent"}
    for entry in everyday(net):
        assert {key.partition("/")[0] for key in keys_of(net, entry).writes} <= own, entry.type


def test_no_entry_reads_a_key_it_shares_with_every_other_and_writes_it() -> None:
    """The lists are written by the entries that add to them, and read on the way of no question."""
    net = ready()
    lists = {"members", "datasets", "grants/office"}
    for entry in everyday(net):
        noted = keys_of(net, entry)
        assert not noted.reads & lists, entry.type
    grant = keys_of(net, net.entry("grant.request", "office", net.grant_body("tax", "g-new")))
    assert grant.writes & lists == {"grants/office"}


def test_every_key_is_valid_on_fabric() -> None:
    net = ready()
    net.apply(net.intent())
    net.answers()
    net.do("incident", signer("tax"), {"code": "x", "count": 1})
    for key in net.state.values:
        assert checked_key(key) == key
