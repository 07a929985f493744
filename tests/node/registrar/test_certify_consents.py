"""The registrar's store of consents: loaded once, committed without the person, withdrawn permanently."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, insert

from ledger.entries.entry import certificate_digest
from node.errors import RefusalError, ServiceUnavailableError
from node.member_keys import sign
from node.registrar import consents
from node.registrar.recent_subjects import QuestionAllowance
from node.store import tables
from protocols.encoding import commit
from tests.node.network_in_memory import Network, shared, stranger
from tests.node.question_steps import certificate_of, hold, refused, send


@pytest.fixture
def net() -> Network:
    return shared()


def rows(net: Network, case: str) -> list[dict[str, str]]:
    return net.services["desk"].store.all(tables.consent, case_number=case)


def test_each_consent_is_committed_once_and_opens(net: Network) -> None:
    case = net.case(stranger(200), stranger(201))
    for row in rows(net, case.case):
        parts = (row["id"], case.case, row["identifier"], row["kind"])
        salted = commit(bytes.fromhex(row["salt"]), b"consent", *(part.encode() for part in parts))
        assert salted.hex() == row["commitment"]
        net.services["desk"].ledger.sync()
        assert net.services["desk"].view.consent_live(row["commitment"])
    assert consents.load_case(net.services["desk"], case) == []
    assert len(rows(net, case.case)) == 2


def test_commitments_lost_on_the_way_are_committed_at_the_next_load(net: Network) -> None:
    """The store has them; the ledger was out of reach before they were recorded."""
    desk = net.services["desk"]
    case = net.case(stranger(202))
    other = net.case(stranger(203), consent="none")
    lost = case.model_copy(update={"case": f"{case.case}x"})
    first = consents.load_case(desk, lost)
    net.wire.down.add("audit")
    try:
        with pytest.raises(ServiceUnavailableError):
            consents.record(desk, first)
    finally:
        net.wire.down.clear()
    assert consents.load_case(desk, lost) == first
    consents.record(desk, first)
    assert consents.load_case(desk, lost) == []
    assert consents.load_case(desk, other) == []


def test_a_person_named_twice_has_one_consent(net: Network) -> None:
    who = stranger(204)
    case = net.case(who, who.lower(), who)
    assert len(rows(net, case.case)) == 1


def test_withdrawing_revokes_consent_and_certificates(net: Network) -> None:
    who = stranger(205)
    case = net.case(who)
    request = hold(net, case, "tax", "Answer")
    consents.withdraw(net.services["desk"], case.case, who.lower())
    [row] = rows(net, case.case)
    assert row["kind"] == "none"
    desk = net.services["desk"]
    assert not desk.view.consent_live(row["commitment"])
    refused(net, "tax", "Answer", request, "revoked")
    with pytest.raises(RefusalError, match="no_consent"):
        consents.withdraw(desk, case.case, who)
    assert consents.load_case(desk, case) == [], "an old application does not bring it back"
    assert rows(net, case.case)[0]["kind"] == "none"


def test_nothing_to_withdraw(net: Network) -> None:
    case = net.case(stranger(206))
    for number, who in ((case.case, stranger(207)), ("unknown", stranger(206))):
        with pytest.raises(RefusalError, match="no_consent"):
            consents.withdraw(net.services["desk"], number, who)


def test_another_household_keeps_its_certificate(net: Network) -> None:
    one, two = net.case(stranger(208)), net.case(stranger(209))
    request = hold(net, two, "tax", "Answer")
    hold(net, one, "tax", "Answer")
    consents.withdraw(net.services["desk"], one.case, stranger(208))
    assert send(net, "tax", "Answer", request).answers


def test_a_withdrawal_reaches_the_ledger_whatever_happens(net: Network) -> None:
    """With the ledger out of reach the store forgets at once; the outbox records it afterwards."""
    who = stranger(210)
    case = net.case(who)
    request = hold(net, case, "tax", "Answer")
    net.wire.down.add("audit")
    try:
        with pytest.raises(ServiceUnavailableError):
            consents.withdraw(net.services["desk"], case.case, who)
        assert rows(net, case.case)[0]["kind"] == "none"
    finally:
        net.wire.down.clear()
    desk = net.services["desk"]
    desk.outbox.wake()
    digest = certificate_digest(certificate_of(request))
    assert desk.ledger.wait_for(lambda view: view.certificate_revoked(digest), 10)
    refused(net, "tax", "Answer", request, "revoked")


def test_cases_are_loaded_and_committed_in_one_call(net: Network) -> None:
    case = net.case(stranger(212))
    cases = [case.model_copy(update={"case": f"{case.case}{suffix}"}) for suffix in "ab"]
    assert consents.load_consents(net.services["desk"], cases) == 2
    assert consents.load_consents(net.services["desk"], cases) == 0
    with pytest.raises(RefusalError) as caught:
        consents.load_consents(net.services["office"], cases)
    assert caught.value.code == "role"


def test_two_people_allow_another_question(net: Network) -> None:
    desk = net.services["desk"]
    allowance = QuestionAllowance(case=net.case(stranger(213)).case, month=desk.month(), reason="remarried")
    assert QuestionAllowance.parse(allowance.to_json()) == allowance
    first, second = (sign(key, allowance.message()).to_json() for key in net.people("desk"))
    with pytest.raises(RefusalError) as caught:
        consents.allow_question(desk, allowance, [first])
    assert caught.value.code == "missing_signer"
    consents.allow_question(desk, allowance, [first, second])
    row = desk.store.one(tables.allowed_question, case_number=allowance.case)
    assert row is not None
    assert row["month"] == allowance.month


@pytest.mark.parametrize(
    "value",
    [
        {"case": "1"},
        {"case": "1", "month": "2026-11", "reason": 1},
        {"case": "", "month": "", "reason": "", "x": ""},
    ],
)
def test_a_malformed_allowance_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(RefusalError) as caught:
        QuestionAllowance.parse(value)
    assert caught.value.code == "malformed"


def test_a_withdrawal_reads_only_the_certificates_on_its_consent(net: Network) -> None:
    """Ten thousand other certificates: reading any of them would fail, since their documents are no JSON."""
    desk, who = net.services["desk"], stranger(214)
    case = net.case(who)
    request = hold(net, case, "tax", "Answer")
    others = [{"query": f"{number:032x}", "request": "", "document": "unread"} for number in range(10_000)]
    links = [{"consent": row["query"], "query": row["query"]} for row in others]
    with desk.store.writing() as connection:
        connection.execute(insert(tables.certificate), others)
        connection.execute(insert(tables.certificate_consent), links)
    try:
        consents.withdraw(desk, case.case, who)
    finally:
        with desk.store.writing() as connection:
            connection.execute(delete(tables.certificate).where(tables.certificate.c.document == "unread"))
            unread = tables.certificate_consent.c.consent == tables.certificate_consent.c.query
            connection.execute(delete(tables.certificate_consent).where(unread))
    assert desk.view.certificate_revoked(certificate_digest(certificate_of(request)))


def test_every_consent_of_a_certificate_leads_to_it(net: Network) -> None:
    case = net.case(stranger(215), stranger(216))
    query = certificate_of(hold(net, case, "tax", "Answer"))["query"]
    links = net.services["desk"].store.all(tables.certificate_consent, query=query)
    assert {link["consent"] for link in links} == {row["id"] for row in rows(net, case.case)}
