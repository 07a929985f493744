"""The way of one query from genesis to close, and what the views say on the way."""

from __future__ import annotations

import copy

import pytest

from ledger.canonical import encode
from ledger.contract import TABLE, apply
from ledger.contract.state import MemoryState, Overlay, PackedState
from ledger.entries import bodies
from ledger.entries.body_schema import SCHEMAS
from ledger.errors import EntryRefusedError
from tests.ledger.contract.contract_cases import (
    KINDS,
    NOW,
    Net,
    answered,
    asked,
    digest,
    empty,
    founded,
    genesis_body,
    key_objects,
    member_object,
    operators,
    query_id,
    ready,
    signer,
)


def test_a_packed_state_gives_back_what_it_was_given() -> None:
    """Short and long values, many more than are kept unpacked, and the newest of each key."""
    state, given = PackedState(), {}
    for number in range(10_000):
        given[f"k/{number % 7000}"] = {
            "n": number,
            "text": "核" * (number % 900),
            "list": [None, True, "\x78"],
        }
        state.put(f"k/{number % 7000}", given[f"k/{number % 7000}"])
    assert {key: state.get(key) for key in given} == given
    assert state.get("k/7000") is None
    last = state.get("k/1")
    assert state.get("k/1") is last


def test_every_type_has_a_schema_and_a_rule() -> None:
    assert set(TABLE) == set(SCHEMAS)


def test_from_genesis_to_close() -> None:
    net = empty().genesis().prepare()
    net.apply(net.intent())
    query = query_id(1)
    body = bodies.query_answer(query, "tax.income", "refused:clock", digest("r"))
    net.do("query.answer", "tax", body)
    net.answers()
    assert {name: answer.result for name, answer in net.view.answers(query).items()} == dict.fromkeys(
        KINDS, "answered"
    )
    net.do("share.release", "trust", bodies.share_release(query, 0, digest("list")))
    net.do(
        "share.exception",
        "trust",
        bodies.share_exception(query, 0, digest("other"), "appeal"),
        operators("trust"),
    )
    net.do("query.close", "office", bodies.query_close(query, digest("total"), digest("report")))
    net.do("case.decision", "office", bodies.committed(digest("case"), "dibao"))
    net.do("complaint", "desk", bodies.committed(digest("case"), "wrong-source"))
    net.do("correction", "tax", bodies.committed(digest("case"), "superseded"))
    net.do("incident", "tax", bodies.incident("no_intent", 3, digest("peer")))
    net.do("query.refused", "seq", bodies.query_refused(digest("entry"), "slot_taken"))
    assert [(r.trustee, r.case, r.list) for r in net.view.releases(query, 0)] == [
        ("trust", 0, digest("list"))
    ]
    assert [e.reason for e in net.view.exceptions(query, 0)] == ["appeal"]
    closed = net.view.closed(query)
    assert closed is not None
    assert closed.report == digest("report")


def test_replay_gives_the_same_state() -> None:
    net = answered()
    again = MemoryState()
    for entry, now in net.entries:
        apply(again, entry, now)
    assert encode(again.values) == encode(net.state.values)


def test_a_state_value_is_never_changed_in_place() -> None:
    net = ready()
    before = copy.deepcopy(net.state.values)
    kept = dict(net.state.values)
    net.apply(net.intent())
    net.publish("tax.income", 2)
    net.do("member.endpoint", "tax", bodies.member_endpoint("tax", 2, "tax.example:1"))
    assert kept == before


def test_the_view_of_members() -> None:
    view = founded().view
    network = view.network()
    assert network is not None
    assert (network.network, network.pilot, network.suite) == ("s-county", False, "paillier-2048-test")
    found = view.member_by_key(signer("office", "operator", 1).public.id)
    assert found is not None
    assert (found[0].id, found[1].use) == ("office", "operator")
    assert [member.id for member, _key in view.witnesses()] == [
        "audit",
        "desk",
        "housing",
        "office",
        "tax",
        "trust",
    ]
    assert [member.id for member in view.members("department")] == ["housing", "tax"]
    assert len(view.founders()) == 7
    assert view.member_by_key("0" * 32) is None
    desk = view.member("desk")
    assert desk is not None
    seal = desk.key_for("seal")
    assert seal is not None
    assert seal.raw == bytes.fromhex(digest("seal", "desk", 0))


def is_current(net: Net, dataset: str, label: str) -> bool:
    current = net.view.current(dataset, "office")
    return current is not None and current.label == label


def test_the_current_publication_is_the_last_verified_by_the_office_and_an_auditor() -> None:
    net = ready()
    net.do("dataset.publish", "tax", net.publish_body("tax.income", 2))
    net.verify("office", "tax.income", 2)
    current = net.view.current("tax.income", "office")
    assert current is not None
    assert current.label == "2026-11.1"
    net.verify("audit", "tax.income", 2)
    assert is_current(net, "tax.income", "2026-11.2")
    who = [member.id for member in net.view.members()]
    assert [one for one in who if net.view.verified("tax.income", "2026-11.2", one)] == ["audit", "office"]
    assert [p.dataset for p in net.view.publications_for("office")] == sorted(KINDS)
    assert net.view.publications_for("desk") == ()
    net.do("dataset.retired", "tax", bodies.dataset_retired("tax.income", "2026-11.2", "wrong filter"))
    assert is_current(net, "tax.income", "2026-11.1")


def test_the_view_of_rules_and_grants() -> None:
    view = ready().view
    rules = view.rules("dibao", "2026.1")
    assert rules is not None
    assert rules.amounts == ("tax.income", "sib.pension")
    assert view.approvals("dibao", "2026.1") == ("audit", "tax")
    assert view.is_approved("dibao", "2026.1")
    assert not view.is_approved("dibao", "2026.2")
    assert [grant.grant for grant in view.grants_of("office")] == ["g-tax", "g-housing"]
    assert view.is_active("g-tax", NOW)
    assert view.is_active("g-tax", "2026-10-31T16:00:00Z"), "1 November has begun in UTC+8"
    assert not view.is_active("g-tax", "2026-10-31T15:59:59Z")
    assert not view.is_active("g-tax", "2026-12-31T16:00:00Z")
    key = view.sumkey()
    assert key is not None
    assert (key.trustees, key.threshold) == (("trust",), 2)


def test_the_view_of_an_intent() -> None:
    view = asked().view
    intent = view.intent(query_id(1))
    assert intent is not None
    assert [line.dataset for line in intent.datasets] == sorted(KINDS)
    assert view.slot_taken("g-tax", "2026-11", 0) == query_id(1)
    assert view.slot_taken("g-tax", "2026-11", 1) is None
    assert view.used(query_id(1))


def test_members_come_change_and_go() -> None:
    net = founded()
    sib = member_object("sib", ["department"])
    net.do("member.admit", "tax", bodies.member_admit(sib, 1), net.founders())
    net.do("member.endpoint", "sib", bodies.member_endpoint("sib", 2, "[2001:db8::1]:7443"))
    net.do("member.key", "audit", bodies.member_key("sib", 3, key_objects("sib", 1)), net.founders())
    assert net.view.member_by_key(signer("sib").public.id) is None
    assert net.state.get(f"key/{signer('sib').public.id}") is not None
    net.do("member.remove", "audit", bodies.member_remove("sib", 4, "merged"), net.founders())
    assert "sib" not in [member.id for member in net.view.members()]
    back = member_object("sib", ["department"], 2)
    net.do("member.admit", "audit", bodies.member_admit(back, 5), net.founders())
    sib_now = net.view.member("sib")
    assert sib_now is not None
    assert (sib_now.active, sib_now.founder, sib_now.version) == (True, False, 5)


def test_an_admission_may_replace_a_members_record_and_keeps_its_keys() -> None:
    net = founded()
    wider = member_object("audit", ["auditor", "trustee"])
    net.do("member.admit", "office", bodies.member_admit(wider, 2), net.founders())
    audit = net.view.member("audit")
    assert audit is not None
    assert audit.roles == ("auditor", "trustee")
    assert audit.founder


def test_removed_founders_leave_the_majority() -> None:
    net = founded()
    net.do("member.remove", "audit", bodies.member_remove("housing", 2, "merged"), net.founders())
    net.do("member.remove", "audit", bodies.member_remove("tax", 2, "merged"), net.founders())
    net.do("member.remove", "audit", bodies.member_remove("office", 2, "merged"), net.founders(3))
    assert len(net.view.founders()) == 4


def test_a_pilot_may_put_roles_together() -> None:
    roles = {
        "seq": ("sequencer", "auditor"),
        "all": ("office", "trustee", "registrar"),
        "tax": ("department",),
    }
    net = empty().genesis(genesis_body(roles, pilot=True))
    body = net.sumkey_body(office="all", trustees=["all"], threshold=1, verification={"all": digest("v")})
    net.do("sumkey.publish", "all", body, [signer("all")])
    assert net.view.sumkey() is not None


def test_a_network_without_sequencer_is_founded_by_any_member() -> None:
    roles = {"a": ("office",), "b": ("auditor",), "c": ("registrar",)}
    body = genesis_body(roles)
    net = Net()
    net.do("network.genesis", "b", body, [signer(member) for member in roles], id="genesis")
    assert len(net.view.witnesses()) == 3


def test_a_check_of_member_datasets_needs_no_sum_key() -> None:
    net = founded()
    net.publish("housing.two")
    net.do("rules.publish", "office", net.rules_body(income=[], veto=["housing.two"]))
    net.do("rules.approve", "audit", net.approve_body())
    net.grant("housing", protocol="check", reveal="bits", period="day")
    query = query_id("bits")
    certificate = net.certificate(query, "housing.two", protocol="check", reveal="bits")
    body = net.intent_body(certificate, [("g-housing", "2026-11-22", 0)])
    net.do("query.intent", "office", body, id=query)
    assert net.view.intent(query) is not None


def test_pad64_networks_need_no_sum_key() -> None:
    net = empty().genesis(genesis_body(suite="pad64"))
    net.publish("tax.income", suite="pad64")
    net.do("rules.publish", "office", net.rules_body())
    net.do("rules.approve", "audit", net.approve_body())
    net.do("rules.approve", "tax", net.approve_body())
    net.grant("tax")
    query = query_id("pads")
    body = net.intent_body(net.certificate(query, "tax.income"), net.slots(0, grants=["g-tax"]))
    net.do("query.intent", "office", body, id=query)


def test_a_large_question_shows_the_root_of_its_traces_and_takes_slots_by_its_size() -> None:
    net = ready()
    query = query_id("batch")
    certificate = net.certificate(query, "tax.owner", count=512, trace=[digest("root")], cases=100)
    certificate["datasets"][0]["grant"] = "g-batch"
    net.grant("tax", "g-batch", slots=10, elements=200)
    body = net.intent_body(certificate, net.slots(9, 0, 4, grants=["g-batch"]))
    net.do("query.intent", "office", body, id=query)
    assert net.view.slot_taken("g-batch", "2026-11", 9) == query


def test_a_certificate_holds_at_both_ends_of_its_time() -> None:
    for name, end in (("first", "2026-11-22T01:58:00Z"), ("last", "2026-11-22T02:13:00Z")):
        net = ready()
        net.now = end
        net.apply(net.intent(name))


def test_the_new_month_has_new_slots_in_china_first() -> None:
    net = asked()
    net.now = "2026-11-30T16:00:00Z"
    entry = net.intent("december", not_before=net.now, not_after=net.now)
    assert entry.body["slots"][0]["period"] == "2026-12"
    net.apply(entry)


def test_a_refused_intent_takes_no_slot_and_no_id() -> None:
    net = ready()
    query = query_id("second")
    certificate = net.certificate(query)
    taken = net.entry("query.intent", "office", net.intent_body(certificate, net.slots(0, 1)), id=query)
    with pytest.raises(EntryRefusedError, match="slot_count"):
        net.apply(taken)
    net.apply(net.entry("query.intent", "office", net.intent_body(certificate, net.slots(0)), id=query))


def test_rules_need_an_owner_who_joins_later() -> None:
    net = ready()
    sib = member_object("sib", ["department"])
    net.do("member.admit", "tax", bodies.member_admit(sib, 1), net.founders())
    with pytest.raises(EntryRefusedError, match="rules_not_approved"):
        net.apply(net.intent())
    net.do("rules.approve", "sib", net.approve_body())
    net.apply(net.intent())


def test_grants_move_only_forward() -> None:
    net = ready()
    net.do("grant.review", "tax", bodies.grant_review("g-tax", "in order"), operators("tax"))
    net.do("grant.revoke", "tax", bodies.grant_revoke("g-tax", "no longer needed"), operators("tax"))
    grant = net.view.grant("g-tax")
    assert grant is not None
    assert grant.status == "revoked"
    net.do("grant.request", "office", net.grant_body("tax", "g-2"))
    net.do("grant.decide", "tax", bodies.grant_decide("g-2", "reject"), operators("tax"))
    second = net.view.grant("g-2")
    assert second is not None
    assert second.status == "rejected"
    assert not net.view.is_active("g-2", NOW)


def test_consents_are_committed_and_taken_back() -> None:
    net = founded()
    net.do("consent.commit", "desk", bodies.consent_commit([digest("c", 1), digest("c", 2)]))
    net.do("consent.revoke", "desk", bodies.consent_revoke(digest("c", 1)))
    assert not net.view.consent_live(digest("c", 1))
    assert net.view.consent_live(digest("c", 2))
    net.do("certificate.revoke", "desk", bodies.certificate_revoke(digest("certificate")))
    assert net.view.certificate_revoked(digest("certificate"))


def test_an_overlay_holds_writes_back() -> None:
    base = MemoryState()
    base.put("a", {"x": 1})
    over = Overlay(base)
    over.put("a", {"x": 2})
    over.put("b", {})
    assert (over.get("a"), base.get("a"), base.get("b")) == ({"x": 2}, {"x": 1}, None)
    over.commit()
    assert (base.get("a"), base.get("b"), over.changes) == ({"x": 2}, {}, {})


def test_now_must_be_a_ledger_time() -> None:
    net = founded()
    entry = net.entry("incident", "tax", bodies.incident("x", 1))
    with pytest.raises(ValueError, match="YYYY"):
        apply(net.state, entry, "2026-11-22 02:00")
