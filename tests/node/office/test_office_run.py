"""One job runs a check to its end: verdict, report written, ``query.close`` recorded, summary given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.governance import rule_sets
from node.office import inquiry
from node.office.check_state import CompletedCheck
from node.report.verify import verify_report
from node.store import tables
from protocols.check.openings import recorded_list, recorded_report
from tests.node.network_in_memory import ANNA, CHEN, Network, shared, stranger

STAGES = ["certify", "intent", "answers", "lines", "total", "verdict", "report"]


@pytest.fixture
def net() -> Network:
    return shared()


def run(net: Network, out: Path, *ids: str, consent: str = "signed") -> tuple[CompletedCheck, list[str]]:
    """A completed check of these people, and the stages that were reported."""
    stages: list[str] = []
    case = net.case(*ids, consent=consent)
    rules = rule_sets.text_of(net.services["office"], case.rules)
    return net.office.run(case, rules, out, stages.append), stages


def test_a_check_runs_to_its_recorded_report(net: Network, tmp_path: Path) -> None:
    office = net.services["office"]
    done, stages = run(net, tmp_path, ANNA, CHEN)
    state = done.state
    assert stages == STAGES
    assert set(state.times) == set(STAGES[:-2])
    assert done.report == (tmp_path / f"{state.case.case}.json").read_bytes()
    assert (tmp_path / f"{state.case.case}.html").exists()
    assert verify_report(done.report, net.file.policy) == []
    query = state.inquiry.query
    assert office.ledger.wait_for(lambda view: view.closed(query) is not None, 10)
    closed = office.view.closed(query)
    assert closed is not None
    row = office.store.one(tables.office_check, query=query)
    assert row is not None
    assert row["state"] == inquiry.InquiryState.DONE
    salts = inquiry.read_inquiry(row).close_salts
    assert salts is not None
    assert state.total is not None
    assert closed.report == recorded_report(bytes.fromhex(salts.report), done.report).hex()
    assert closed.total == recorded_list(bytes.fromhex(salts.total), state.total.list.digest).hex()


def test_a_summary_is_plain_json(net: Network, tmp_path: Path) -> None:
    done, _ = run(net, tmp_path, ANNA, CHEN)
    summary = done.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert list(summary) == ["case", "outcome", "net_fen", "heads", "lines", "persons", "times"]
    assert (summary["net_fen"], summary["heads"], summary["persons"]) == (1_200_000, 1, 2)
    assert {"member": 1, "dataset": "tax.income", "answer": "summed"} in summary["lines"]
    report = json.loads(done.report)
    assert summary["outcome"] == report["verdict"]["outcome"]
    assert type(summary["outcome"]) is str


def test_a_refused_household_gets_a_report_and_no_entry(net: Network, tmp_path: Path) -> None:
    done, stages = run(net, tmp_path, stranger(700), consent="none")
    assert stages == ["certify", "report"]
    assert done.summary()["outcome"] == "no_consent"
    assert verify_report(done.report, net.file.policy) == []
    assert net.services["office"].view.intent(done.state.inquiry.query) is None
    assert done.state.inquiry.state == inquiry.InquiryState.DONE


def test_a_silent_source_leaves_the_inquiry_open(net: Network, tmp_path: Path) -> None:
    net.wire.down.add("hib")
    try:
        done, _ = run(net, tmp_path, stranger(701))
    finally:
        net.wire.down.clear()
    assert done.summary()["outcome"] == "incomplete"
    assert done.state.inquiry.state == inquiry.InquiryState.LOGGED
    gaps = {line["reason"] for line in json.loads(done.report)["lines"] if line["reason"] is not None}
    assert gaps == {"silent"}
    assert verify_report(done.report, net.file.policy) == []


def test_an_inquiry_is_stored_as_it_was(net: Network, tmp_path: Path) -> None:
    """Both an inquiry without a certificate and one with everything read back from their stored form."""
    done, _ = run(net, tmp_path, stranger(702))
    whole = done.state.inquiry
    begun = inquiry.Inquiry(whole.query, whole.case, whole.blinds, whole.salt, whole.application)
    empty = begun.to_json()
    assert [empty[name] for name in ("certificate", "signature", "openings", "operator", "closing")] == [
        {}
    ] * 5
    for one in (begun, whole):
        assert inquiry.Inquiry.parse(json.loads(json.dumps(one.to_json()))) == one
