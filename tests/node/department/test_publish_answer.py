"""A department's answer over its own edge: what it verifies before it touches its key, check by check."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import canonical
from ledger.contract.view import View
from ledger.entries import entry as entries
from node.department.own_publications import secret_name
from node.department.refusal_counts import RefusalCounter
from node.registrar import consents
from node.store import tables
from protocols.check.answer import Answer
from protocols.check.json_form import SignatureValue
from protocols.psi import voprf
from protocols.wire import check_pb2
from tests.node.network_in_memory import Network, shared, stranger
from tests.node.question_steps import certificate_of, copied, hold, refused, send, signed_certificate


@pytest.fixture
def net() -> Iterator[Network]:
    found = shared()
    yield found
    found.skew.clear()
    found.wire.down.clear()


def question(net: Network, number: int, member: str = "tax") -> Any:
    """The office's message to a department about a new person."""
    return hold(net, net.case(stranger(number)), member, "Answer")


def query_of(request: Any) -> str:
    return str(certificate_of(request)["query"])


def journal(net: Network, member: str = "tax") -> list[tuple[str, str]]:
    rows = net.services[member].store.all(tables.journal)
    return [(row["dataset"], row["result"]) for row in rows]


def recorded(net: Network, query: str, dataset: str) -> str | None:
    """Result on the ledger, once the department's outbox is empty."""
    services = net.services["tax"]
    services.ledger.wait_for(lambda view: view.answer(query, dataset) is not None, 10)
    found = services.view.answer(query, dataset)
    return None if found is None else found.result


def test_the_same_question_gets_the_same_answer(net: Network) -> None:
    request = question(net, 100)
    first = send(net, "tax", "Answer", request)
    assert send(net, "tax", "Answer", request) == first
    net.advance(30)
    assert send(net, "tax", "Answer", request) == first
    for item in first.answers:
        assert recorded(net, query_of(request), item.dataset) == "answered"
        proof = voprf.Proof.from_bytes(item.proof)
        answer = Answer(item.dataset, tuple(item.betas), proof, item.salt, SignatureValue("", "", ""))
        found = net.services["office"].view.answer(query_of(request), item.dataset)
        net.services["office"].ledger.sync()
        found = net.services["office"].view.answer(query_of(request), item.dataset)
        assert found is not None
        assert found.response == answer.response.hex()


def malformed(request: Any) -> Iterator[tuple[Any, str]]:
    yield copied(request, intent=b""), "malformed"
    yield copied(request, intent=request.intent[:-1]), "malformed"
    yield copied(request, certificate=b"{}x"), "malformed"
    yield copied(request, certificate=b"[]"), "malformed"
    yield copied(request, signature=b'{"key":1}'), "malformed"
    yield copied(request, receipt=b""), "receipt"
    yield copied(request, receipt=request.receipt[:-2]), "receipt"
    yield copied(request, receipt=request.receipt.replace(b"index ", b"index 1")), "receipt"


def test_malformed_questions(net: Network) -> None:
    request = question(net, 101)
    for changed, code in malformed(request):
        refused(net, "tax", "Answer", changed, code)


def test_an_intent_that_is_not_on_the_ledger(net: Network) -> None:
    """Another receipt does not help, nor does a changed intent with the old receipt."""
    request, other = question(net, 102), question(net, 103)
    refused(net, "tax", "Answer", copied(request, receipt=other.receipt), "receipt")
    entry = entries.parse(request.intent)
    office = net.services["office"].ledger
    unlogged = office.compose("query.intent", entry.id, dict(entry.body))
    net.advance(1)
    changed = office.compose("query.intent", secrets.token_hex(16), dict(entry.body))
    for leaf in {unlogged, changed} - {request.intent}:
        refused(net, "tax", "Answer", copied(request, intent=leaf), "receipt")


def test_an_entry_that_is_no_intent(net: Network) -> None:
    request = question(net, 104)
    services = net.services["office"]
    leaf = services.ledger.compose("incident", secrets.token_hex(16), {"code": "x", "count": 1})
    receipt = services.ledger.append(leaf).format()
    refused(net, "tax", "Answer", copied(request, intent=leaf, receipt=receipt), "malformed")


def test_another_office_or_member_may_not_ask(net: Network) -> None:
    request = question(net, 105)
    for caller in ("hib", "desk", "audit", "trust"):
        refused(net, "tax", "Answer", request, "not_the_office", caller)


def test_any_changed_field_of_the_certificate(net: Network) -> None:
    """Changed alone, signed by the office, or signed again by the registrar: the intent differs."""
    request = question(net, 106)
    certificate = certificate_of(request)
    for name, value in certificate.items():
        other: Any = value + 1 if isinstance(value, int) else "x" if isinstance(value, str) else []
        if name.startswith("not_"):
            other = "2030-01-01T00:00:00Z"
        changed = canonical.encode(certificate | {name: other})
        code = "bad_signature" if name.startswith("not_") else "certificate"
        refused(net, "tax", "Answer", copied(request, certificate=changed), code)
        if not name.startswith("not_"):
            anew = signed_certificate(request, net.key("desk"), **{name: other})
            refused(net, "tax", "Answer", anew, "certificate")
    more = canonical.encode(certificate | {"note": "x"})
    fewer = canonical.encode({name: value for name, value in certificate.items() if name != "trace"})
    for changed in (more, fewer):
        refused(net, "tax", "Answer", copied(request, certificate=changed), "certificate")
    office = signed_certificate(request, net.key("office"))
    refused(net, "tax", "Answer", office, "bad_signature")
    assert send(net, "tax", "Answer", request).answers


def test_elements_other_than_certified(net: Network) -> None:
    request, other = question(net, 107), question(net, 108)
    elements = list(request.elements)
    alien = sorted([*elements[1:], voprf.hash_inputs([b"x"])[0]])
    for changed, code in (
        (copied(request, elements=alien), "certificate"),
        (copied(request, elements=elements[::-1]), "certificate"),
        (copied(request, elements=elements[1:]), "certificate"),
        (copied(request, elements=[*elements, elements[-1]]), "certificate"),
        (copied(request, elements=[elements[0][:31], *elements[1:]]), "certificate"),
        (copied(request, elements=[bytes(32), *elements[1:]]), "certificate"),
        (copied(request, elements=[]), "certificate"),
        (copied(request, elements=other.elements), "certificate"),
        (copied(request, elements_salt=bytes(32)), "certificate"),
        (copied(request, elements_salt=b""), "encoding"),
    ):
        refused(net, "tax", "Answer", changed, code)
    # A refusal is on the ledger, and the right elements are answered all the same.
    assert (recorded(net, query_of(request), "tax.income") or "").startswith("refused:")
    assert send(net, "tax", "Answer", request).answers
    tax = net.services["tax"]

    def answered(view: View) -> bool:
        found = view.answer(query_of(request), "tax.income")
        return found is not None and found.answered

    assert tax.ledger.wait_for(answered, 10)


def test_datasets_the_intent_does_not_name(net: Network) -> None:
    request = question(net, 109)
    for dataset in ("hib.selfpaid", "tax.nothing", "", "x" * 4000):
        refused(net, "tax", "Answer", copied(request, datasets=[dataset]), "not_named")
    assert ("x" * 128, "refused:not_named") in journal(net)


def test_by_the_departments_own_clock(net: Network) -> None:
    """Before its time, after it with the tolerance, and under a head that nobody cosigned lately."""
    request = question(net, 110)
    net.skew["tax"] = 61
    refused(net, "tax", "Answer", request, "stale_head")
    net.skew["tax"] = -241
    refused(net, "tax", "Answer", request, "stale_head")
    net.skew["tax"] = -121
    refused(net, "tax", "Answer", request, "not_yet_valid")
    net.skew["tax"] = -119
    assert send(net, "tax", "Answer", request).answers
    net.skew.clear()
    late = question(net, 111)
    net.advance(900 + 120)
    assert send(net, "tax", "Answer", copied(late, datasets=["tax.owner"])).answers
    net.advance(1)
    refused(net, "tax", "Answer", late, "expired")


def test_a_renewed_certificate_serves_the_same_intent(net: Network) -> None:
    request = question(net, 112)
    net.advance(1200)
    refused(net, "tax", "Answer", request, "expired")
    renewed = send(
        net,
        "desk",
        "Renew",
        check_pb2.RenewRequest(certificate=request.certificate, signature=request.signature),
    )
    fresh = copied(request, certificate=renewed.certificate, signature=renewed.signature)
    assert send(net, "tax", "Answer", fresh).answers


def test_even_a_registrar_cannot_renew_beyond_seven_days(net: Network) -> None:
    request = question(net, 113)
    net.advance(7 * 86400 + 121)
    year = signed_certificate(request, net.key("desk"), not_after="2030-01-01T00:00:00Z")
    refused(net, "tax", "Answer", year, "expired")


def test_without_a_ledger_nothing_is_answered(net: Network) -> None:
    request = question(net, 114)
    net.wire.down.add("audit")
    refused(net, "tax", "Answer", request, "unavailable")
    net.wire.down.clear()
    assert ("tax.income,tax.owner", "refused:unavailable") in journal(net)
    assert send(net, "tax", "Answer", request).answers


def test_a_revoked_certificate(net: Network) -> None:
    who = stranger(115)
    case = net.case(who)
    request = hold(net, case, "tax", "Answer")
    consents.withdraw(net.services["desk"], case.case, who)
    refused(net, "tax", "Answer", request, "revoked")


def test_a_revoked_grant(net: Network) -> None:
    """The intent was logged under the grant; the department looks again before it answers."""
    request = question(net, 116, "hib")
    net.submit("hib", "grant.revoke", {"grant": "g-hib", "reason": "audit"}, *net.people("hib"))
    try:
        refused(net, "hib", "Answer", request, "grant")
    finally:
        net.grant(f"g-{secrets.token_hex(4)}", "hib")
    net.services["hib"].ledger.wait_for(lambda view: bool(view.answer(query_of(request), "hib.selfpaid")), 10)
    found = net.services["hib"].view.answer(query_of(request), "hib.selfpaid")
    assert found is not None
    assert found.result == "refused:grant"


def test_a_destroyed_key(net: Network) -> None:
    request = question(net, 117, "police")
    vault = net.services["police"].keys.vault
    label = next(
        item["publication"]
        for item in certificate_of(request)["datasets"]
        if item["dataset"] == "police.custody"
    )
    name = secret_name("police.custody", label)
    kept = vault.get(name)
    vault.delete(name)
    try:
        refused(net, "police", "Answer", request, "retired")
    finally:
        vault.put(name, kept)
    assert send(net, "police", "Answer", request).answers


def test_refusals_without_an_intent_are_counted_by_peer(net: Network) -> None:
    request = question(net, 118)
    services = net.services["tax"]
    counter = RefusalCounter(services)
    counter.count_now()
    assert counter.count_due() is None
    for caller in ("hib", "hib", "desk"):
        refused(net, "tax", "Answer", request, "not_the_office", caller)
    net.advance(3600)
    assert counter.count_due() == 2
    assert counter.count_now() == 0
    rows = [row for row in services.store.all(tables.outbox) if row["id"].startswith("incident/")]
    bodies = [entries.parse(bytes(row["leaf"])).body for row in rows[-2:]]
    assert sorted(body["count"] for body in bodies) == [1, 2]
    assert not any("hib" in str(body) or "desk" in str(body) for body in bodies)
    assert not any(row["reported"] == 0 for row in services.store.all(tables.journal))
