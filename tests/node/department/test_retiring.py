"""Retiring a publication: in its time, not before, and without reading the log again."""

from __future__ import annotations

import pytest

from ledger.entries.entry import Entry, parse
from ledger.entries.times import parse_time
from ledger.replica import replica
from node.audit.publications import verify_publications
from node.department.own_publications import (
    last_intent,
    open_secret,
    retire,
    retire_unused_publications,
    update_last_intents,
)
from node.errors import RefusalError
from node.store import tables
from node.store.database import put
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS
from tests.node.network_in_memory import EPOCH, SOURCES, Network, shared, stranger
from tests.node.question_steps import hold

FIRST, SECOND = f"{EPOCH}.1", f"{EPOCH}.2"


@pytest.fixture
def net() -> Network:
    return shared("retiring")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Every entry that a replica reads from its log from now on."""
    found: list[Entry] = []

    def counted(leaf: bytes) -> Entry:
        found.append(parse(leaf))
        return found[-1]

    monkeypatch.setattr(replica, "parse", counted)
    return found


def ask(net: Network, number: int) -> None:
    """Put one intent on the ledger and replay it everywhere."""
    hold(net, net.case(stranger(number)), "tax", "Answer")
    net.sync()


def supersede(net: Network, dataset: str) -> None:
    """Publish a newer revision, and have office and auditor verify it."""
    net.publish(dataset, SOURCES[dataset])
    for member in ("office", "audit"):
        verify_publications(net.services[member], lambda *_: None)
    net.sync()


def test_the_table_holds_the_last_intent_of_each_publication(net: Network) -> None:
    tax = net.services["tax"]
    for number in (901, 902):
        net.now += 60
        ask(net, number)
        update_last_intents(tax)
        update_last_intents(tax)
        intents = [entry for _, entry in tax.ledger.replica.of_type("query.intent")]
        for dataset in SOURCES:
            under = [
                parse_time(entry.time)
                for entry in intents
                if (dataset, FIRST)
                in {(item["dataset"], item["publication"]) for item in entry.body["certificate"]["datasets"]}
            ]
            assert last_intent(tax, dataset, FIRST) == max(under)
    assert last_intent(tax, "tax.income", "none") is None


def test_only_new_intents_are_read(net: Network, parsed: list[Entry]) -> None:
    tax = net.services["tax"]
    ask(net, 903)
    update_last_intents(tax)
    parsed.clear()
    retire_unused_publications(tax)
    update_last_intents(tax)
    assert parsed == []
    ask(net, 904)
    parsed.clear()
    update_last_intents(tax)
    update_last_intents(tax)
    assert [entry.type for entry in parsed] == ["query.intent"]


def test_a_table_of_another_history_is_read_again(net: Network) -> None:
    """A replica that was emptied and follows another history has other entries at the same positions."""
    tax = net.services["tax"]
    net.now += 60
    ask(net, 906)
    update_last_intents(tax)
    rows = tax.store.all(tables.last_intent)
    assert rows
    for position in (max(row["position"] for row in rows), 10_000_000):
        with tax.store.writing() as connection:
            connection.execute(tables.last_intent.delete())
            stale = {"position": position, "asked": 1, "leaf": "00" * 32}
            put(connection, tables.last_intent, {"dataset": "d.x", "publication": "2026.1"}, stale)
        update_last_intents(tax)
        assert tax.store.all(tables.last_intent) == rows


def test_a_superseded_publication_is_retired_when_its_last_intent_is_too_old(
    net: Network, parsed: list[Entry]
) -> None:
    tax = net.services["tax"]
    ask(net, 905)
    with pytest.raises(RefusalError, match="in_use"):
        retire(tax, "tax.owner", FIRST)
    supersede(net, "tax.owner")
    with pytest.raises(RefusalError, match="in_use"):
        retire(tax, "tax.owner", FIRST)
    asked = last_intent(tax, "tax.owner", FIRST)
    assert asked is not None
    free = asked + RENEWAL_LIMIT_SECONDS + CLOCK_TOLERANCE_SECONDS
    net.advance(free - 1 - net.now)
    net.sync()
    assert retire_unused_publications(tax) == []
    net.advance(1)
    net.sync()
    parsed.clear()
    assert retire_unused_publications(tax) == [f"tax.owner/{FIRST}"]
    assert not any(entry.type == "query.intent" for entry in parsed)
    tax.ledger.sync()
    assert tax.view.retired("tax.owner", FIRST)
    with pytest.raises(RefusalError, match="retired"):
        open_secret(tax, "tax.owner", FIRST)
    assert open_secret(tax, "tax.owner", SECOND)


def test_a_publication_nobody_asked_under_is_retired_once_superseded(net: Network) -> None:
    tax = net.services["tax"]
    for _ in range(2):
        supersede(net, "tax.income")
    update_last_intents(tax)
    assert last_intent(tax, "tax.income", SECOND) is None
    assert f"tax.income/{SECOND}" in retire_unused_publications(tax)


def test_only_a_department_retires(net: Network) -> None:
    with pytest.raises(RefusalError) as caught:
        retire(net.services["office"], "tax.owner", FIRST)
    assert caught.value.code == "role"
