"""The outbox: what is in it reaches the ledger once, as the same bytes, through kills and lost answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.entries import entry as entries
from ledger.formats.receipt import Receipt
from ledger.storage.database import open_database
from node.errors import RefusalError, ServiceUnavailableError
from node.store import tables
from node.store.database import Store
from node.store.opening import migrate
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from node.tlog.transport import RemoteTransport
from tests.node.network_in_memory import NETWORK, Network, shared


class Watched:
    """The real way to the log, which a test may block, or whose answers may be lost; counts what is sent."""

    def __init__(self, inner: RemoteTransport) -> None:
        self._inner = inner
        self.sent: list[bytes] = []
        self.before: Callable[[bytes], None] = lambda leaf: None
        self.after: Callable[[bytes], None] = lambda leaf: None

    def append(self, leaf: bytes) -> Receipt:
        self.sent.append(leaf)
        self.before(leaf)
        receipt = self._inner.append(leaf)
        self.after(leaf)
        return receipt

    def head(self) -> bytes:
        return self._inner.head()

    def read(self, start: int, end: int) -> Iterator[bytes]:
        return self._inner.read(start, end)


class Desk:
    """A store of its own with outboxes over it, one a run of the process."""

    def __init__(self, net: Network, folder: Path) -> None:
        self.net = net
        self.engine = open_database(f"sqlite:///{folder / 'own.db'}")
        migrate(self.engine)
        self.store = Store(self.engine)
        self.now: Callable[[], int] = net.services["hib"].clock
        services = net.services["hib"]
        self.transport = Watched(RemoteTransport(services.channels, lambda: "audit"))
        self.running: list[Outbox] = []

    def clock(self) -> int:
        """The clock as it is set when asked."""
        return self.now()

    def ledger(self) -> LedgerClient:
        services = self.net.services["hib"]
        return LedgerClient(
            NETWORK, self.net.file.policy, services.ledger.replica, self.transport, services.keys.node,
            dict, self.clock,
        )  # fmt: skip

    def outbox(self) -> Outbox:
        self.running.append(Outbox(self.store, self.ledger()))
        return self.running[-1]

    def add(self, outbox: Outbox, name: str, code: str = "x") -> None:
        with self.store.writing() as connection:
            outbox.add(connection, name, "incident", {"code": code, "count": 1}, self.now())

    def row(self, name: str) -> dict[str, Any]:
        found = self.store.one(tables.outbox, id=name)
        assert found is not None
        return found

    def send(self, outbox: Outbox, name: str) -> str:
        """One attempt to send what waits under a name; its state afterwards."""
        outbox._send(self.row(name))
        return str(self.row(name)["state"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(shared(), tmp_path)
    yield made
    for outbox in made.running:
        outbox.close()
    made.engine.dispose()


def on_ledger(desk: Desk, leaf: bytes) -> bool:
    """Whether this very entry stands on the ledger, once."""
    services = desk.net.services["hib"]
    services.ledger.sync()
    replica = services.ledger.replica
    return [replica.leaf(at) for at in range(replica.size)].count(leaf) == 1


def test_an_entry_survives_a_restart(desk: Desk) -> None:
    first = desk.outbox()
    desk.add(first, "one")
    leaf = bytes(desk.row("one")["leaf"])
    assert (first.waiting(), desk.transport.sent) == (1, [])
    second = desk.outbox()
    second.start()
    services = desk.net.services["hib"]
    identifier = entries.parse(leaf).id
    assert services.ledger.wait_for(lambda _: services.ledger.replica.find(identifier) is not None, 10)
    second.close()
    assert desk.row("one")["state"] == "final"
    assert set(desk.transport.sent) == {leaf}


def test_what_a_rolled_back_transaction_added_is_gone(desk: Desk) -> None:
    outbox = desk.outbox()

    def fail() -> None:
        with desk.store.writing() as connection:
            outbox.add(connection, "two", "incident", {"code": "x", "count": 1}, desk.now())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert outbox.waiting() == 0


def test_a_name_is_recorded_once(desk: Desk) -> None:
    outbox = desk.outbox()
    desk.add(outbox, "three", "first")
    leaf = bytes(desk.row("three")["leaf"])
    desk.add(outbox, "three", "second")
    assert bytes(desk.row("three")["leaf"]) == leaf
    assert desk.send(outbox, "three") == "final"
    desk.add(outbox, "three", "third")
    assert desk.row("three")["state"] == "final"


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(desk: Desk) -> None:
    def lost(_: bytes) -> None:
        raise ServiceUnavailableError("the answer was lost")

    outbox = desk.outbox()
    desk.add(outbox, "four")
    leaf = bytes(desk.row("four")["leaf"])
    desk.transport.after = lost
    assert desk.send(outbox, "four") == "waiting"
    assert desk.send(outbox, "four") == "waiting"
    desk.transport.after = lambda leaf: None
    assert desk.send(outbox, "four") == "final"
    assert desk.transport.sent == [leaf] * 3
    assert on_ledger(desk, leaf)


def test_out_of_reach_it_waits(desk: Desk) -> None:
    outbox = desk.outbox()
    desk.add(outbox, "five")
    desk.net.wire.down.add("audit")
    try:
        assert desk.send(outbox, "five") == "waiting"
    finally:
        desk.net.wire.down.clear()
    assert desk.send(outbox, "five") == "final"


def test_a_refused_entry_is_not_sent_again(desk: Desk) -> None:
    outbox = desk.outbox()
    with desk.store.writing() as connection:
        outbox.add(connection, "six", "certificate.revoke", {"digest": "00" * 32}, desk.now())
    assert desk.send(outbox, "six").startswith("refused:")
    assert outbox.waiting() == 0


def test_an_entry_composed_long_ago_is_signed_anew_under_the_same_id(desk: Desk) -> None:
    outbox = desk.outbox()
    late, desk.now = desk.now, lambda: desk.net.now - 3600
    desk.add(outbox, "seven")
    old = bytes(desk.row("seven")["leaf"])
    desk.now = late
    assert desk.send(outbox, "seven") == "waiting"
    new = bytes(desk.row("seven")["leaf"])
    assert new != old
    before, after = entries.parse(old), entries.parse(new)
    assert (after.id, after.type, after.body) == (before.id, before.type, before.body)
    assert desk.send(outbox, "seven") == "final"
    assert on_ledger(desk, new)
    assert not on_ledger(desk, old)


def test_ids_are_random_so_that_nobody_takes_them_first(desk: Desk) -> None:
    outbox = desk.outbox()
    for name in ("a", "b"):
        desk.add(outbox, name)
    ids = {entries.parse(bytes(desk.row(name)["leaf"])).id for name in ("a", "b")}
    assert len(ids) == 2
    assert all(len(identifier) == 32 for identifier in ids)


def test_the_client_names_what_the_contract_refuses(desk: Desk) -> None:
    with pytest.raises(RefusalError) as caught:
        desk.ledger().submit("query.answer", secrets.token_hex(16), {
            "query": "00" * 16, "dataset": "hib.selfpaid", "result": "answered", "response": "00" * 32,
        })  # fmt: skip
    assert caught.value.code == "query_unknown"


@pytest.mark.parametrize("member", ["tax", "audit"])
def test_the_same_content_again_is_recorded_already(member: str) -> None:
    """Over the wire and at the log itself: a command that is given again ends as it did."""
    net = shared()
    ledger = net.services[member].ledger
    name, body = secrets.token_hex(16), {"code": "again", "count": 1}
    receipt = ledger.submit_once("incident", name, body)
    net.advance(1)
    assert ledger.submit_once("incident", name, body).index == receipt.index
    assert net.services["office"].ledger.submit_once("incident", name, body).index == receipt.index
    for changed in ({"code": "again", "count": 2}, {"code": "other", "count": 1}):
        with pytest.raises(RefusalError, match="the ledger holds another entry under this id"):
            ledger.submit_once("incident", name, changed)
