"""Nodes' journals against the ledger: every kind of difference is made by really changing one side, and is
named; untouched sides agree.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import canonical
from node.audit.reconcile.difference import ABSENT
from node.store import tables
from tests.node.audit.reconciled_network import (
    History,
    changed,
    codes,
    forged,
    only,
    shared_history,
    without,
)
from tests.node.network_in_memory import ROLES, stranger
from tests.node.question_steps import hold


@pytest.fixture
def history() -> History:
    return shared_history()


@pytest.fixture(autouse=True)
def agrees_afterwards(history: History) -> Iterator[None]:
    """Each test restores what it removed."""
    yield
    assert codes(history.compare(days=2)) == []


def test_untouched_sides_agree(history: History) -> None:
    for days in (0, 2):
        found = history.compare(days=days)
        assert codes(found) == []
        assert found.pending == 0
    assert found.members == tuple(sorted(ROLES))
    assert found.reports == len(history.queries)
    assert all(slot.taken == slot.used > 0 for slot in found.slots)


def test_each_member_alone_agrees(history: History) -> None:
    for member in ROLES:
        assert codes(history.compare(members=(member,), days=2)) == []
    assert codes(history.compare(members=(), days=2)) == []


# Departments.


def test_a_deleted_answer(history: History) -> None:
    store, query = history.services("tax").store, history.queries["empty"]
    with without(store, tables.journal, query=query, dataset="tax.income"):
        assert only(history.compare(), "answer_not_in_journal") == {"ledger": "answered", "journal": ABSENT}


def test_a_forged_answer(history: History) -> None:
    """Under a question that was asked, and under one that never was."""
    store, values = (
        history.services("tax").store,
        {"at": 1, "peer": "office", "reported": 1, "kind": "answer"},
    )
    values |= {"dataset": "tax.income", "result": "answered", "record": "ab" * 32}
    with forged(store, tables.journal, query=history.queries["late"], **values):
        assert only(history.compare(days=2), "answer_not_on_ledger")["ledger"] == ABSENT
    with forged(store, tables.journal, query="ab" * 16, **values):
        assert only(history.compare(days=2), "answer_without_intent")["journal"] == "answered"


def test_a_young_line_is_pending_and_an_old_one_is_not(history: History) -> None:
    store, query = history.services("tax").store, history.queries["late"]
    values = {
        "peer": "office",
        "dataset": "tax.income",
        "result": "answered",
        "reported": 1,
        "kind": "answer",
    }
    with forged(store, tables.journal, at=history.net.now, query=query, record="cd" * 32, **values):
        young = history.compare()
        assert (codes(young), young.pending) == ([], 1)
        only(history.compare(days=1), "answer_not_on_ledger")


def test_a_journal_with_another_digest(history: History) -> None:
    store, query = history.services("tax").store, history.queries["empty"]
    key = {"query": query, "dataset": "tax.income"}
    with changed(store, tables.journal, key, record="ab" * 32):
        assert only(history.compare(), "answer_digest")["journal"] == "ab" * 32


def test_a_kept_answer_that_is_another(history: History) -> None:
    """The journal is right, the answer the department keeps is not what it gave."""
    store, query = history.services("tax").store, history.queries["empty"]
    key = {"query": query, "dataset": "tax.income"}
    [row] = store.all(tables.answer, **key)
    document = json.loads(row["document"]) | {"salt": secrets.token_hex(32)}
    with changed(store, tables.answer, key, document=json.dumps(document)):
        assert "store" in only(history.compare(), "answer_digest")
    with without(store, tables.answer, **key):
        assert only(history.compare(), "answer_digest")["store"] == ABSENT


@pytest.mark.parametrize("keeps_record", [True, False])
def test_refused_here_and_answered_there(history: History, keeps_record: bool) -> None:
    store, query = history.services("tax").store, history.queries["empty"]
    values = {"result": "refused:grant"} if keeps_record else {"result": "refused:grant", "record": "ab" * 32}
    with changed(store, tables.journal, {"query": query, "dataset": "tax.income"}, **values):
        sides = only(history.compare(), "answer_result")
    assert sides == {"ledger": "answered", "journal": "refused:grant"}


def test_refusals_under_an_intent(history: History) -> None:
    """One is on the ledger; it may not be missing in the journal, and a second recorded one is forged."""
    store, query = history.services("tax").store, history.queries["retried"]
    lines = store.all(tables.journal, query=query, dataset="tax.income")
    assert [bool(line["record"]) for line in lines] == [True, False, True]
    assert [line["result"] for line in lines] == ["refused:certificate", "refused:certificate", "answered"]
    with without(store, tables.journal, number=lines[0]["number"]):
        assert only(history.compare(), "answer_not_in_journal")["ledger"] == "refused:certificate"
    values = {"at": 1, "peer": "office", "reported": 1, "kind": "answer", "result": "refused:grant"}
    values |= {"query": query, "dataset": "hib.nothing", "record": "ab" * 32}
    with forged(history.services("hib").store, tables.journal, **values):
        only(history.compare(days=2), "refusal_not_on_ledger")


def test_an_answer_that_the_ledger_lost(history: History) -> None:
    """A log without the entry: the journal and the report both say so."""
    query = history.queries["total"]
    found = history.withheld(
        lambda entry: (
            entry.type == "query.answer"
            and entry.body["query"] == query
            and entry.body["dataset"] == "police.custody"
        )
    )
    one = next(one for one in found.differences if one.code == "answer_not_on_ledger")
    assert (one.query, one.who, one.about) == (query, "police", "police.custody")
    assert "release_not_on_ledger" in codes(found), "the contract takes no release without every answer"


# Refusals without a valid intent.


def counted(history: History) -> list[dict[str, Any]]:
    """Journal lines of the department's refusals without an intent."""
    lines = history.services("tax").store.all(tables.journal, kind="incident")
    return [line for line in lines if line["peer"] == "hib"]


def test_counted_refusals(history: History) -> None:
    store, lines = history.services("tax").store, counted(history)
    record = lines[0]["record"]
    assert len(lines) == 2
    with without(store, tables.journal, number=lines[0]["number"]):
        assert only(history.compare(), "incident_count") == {"ledger": "2", "journal": "1"}
    with without(store, tables.journal, record=record):
        assert only(history.compare(), "incident_not_in_journal") == {"ledger": "2", "journal": ABSENT}
    with changed(store, tables.journal, {"number": lines[0]["number"]}, peer="police"):
        only(history.compare(), "incident_peer")
    values = {"at": 1, "peer": "hib", "query": "", "dataset": "x", "result": "refused:x", "kind": "incident"}
    with forged(store, tables.journal, **values, reported=1, record="ab" * 32):
        assert set(codes(history.compare(days=2))) == {"incident_not_on_ledger", "incident_peer"}
    with forged(store, tables.journal, **values, reported=0, record=""):
        assert only(history.compare(days=2), "incident_uncounted")["journal"] == "1"


def test_an_incident_that_the_ledger_lost(history: History) -> None:
    found = history.withheld(lambda entry: entry.type == "incident" and entry.body["count"] == 2)
    assert only(found, "incident_not_on_ledger") == {"ledger": ABSENT, "journal": "2"}


# Trustees.


def test_releases(history: History) -> None:
    store, query = history.services("trust").store, history.queries["total"]
    key = {"query": query, "kind": "release"}
    with without(store, tables.journal, **key):
        assert only(history.compare(), "release_not_in_journal")["journal"] == ABSENT
    with changed(store, tables.journal, key, record="ab" * 32):
        assert only(history.compare(), "release_digest")["journal"] == "ab" * 32
    [row] = store.all(tables.release, query=query)
    share = dict(canonical.decode(bytes(row["share"]))) | {"list": "ab" * 32}
    with changed(store, tables.release, {"query": query}, share=canonical.encode(share)):
        assert "store" in only(history.compare(), "release_digest")
    values = {
        "at": 1,
        "peer": "office",
        "dataset": "",
        "result": "released",
        "reported": 1,
        "kind": "release",
    }
    with forged(
        store, tables.journal, query=history.queries["late"], case_index=7, record="cd" * 32, **values
    ):
        assert only(history.compare(days=2), "release_not_on_ledger")["journal"] == "cd" * 32


def test_a_release_without_a_list_looks_like_any_other(history: History) -> None:
    lines = [line for line in history.journal("trust").lines if line.kind == "release"]
    assert len(lines) == len(history.queries) - 1
    assert all(line.stored == line.record for line in lines)


# Slots and closes.


def test_a_question_that_nobody_answered_or_closed(history: History) -> None:
    case = history.net.case(stranger(9))
    message = hold(history.net, case, "hib", "Answer")
    assert message.elements
    history.net.advance(1)
    assert codes(history.compare()) == []
    found = history.compare(days=2)
    assert codes(found) == ["close_missing", "slots_unused"]
    assert [one.about for one in found.differences] == ["", "g-hib"]
    assert dict(found.differences[1].sides) == {"ledger": "taken:1,used:0"}
    history.finish("unanswered", case)
    history.net.advance(1)


def test_a_withheld_close(history: History) -> None:
    query = history.queries["veto"]
    found = history.withheld(lambda entry: entry.type == "query.close" and entry.body["query"] == query)
    assert only(found, "close_missing") == {"ledger": ABSENT, "journal": "done"}
