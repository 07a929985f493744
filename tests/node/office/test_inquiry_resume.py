"""An inquiry survives a kill at every round: it goes on with the same query, certificate, intent and slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.formats.receipt import Receipt
from node.errors import RefusalError, ServiceUnavailableError
from node.office import certification, inquiry
from node.store import tables
from protocols.check.openings import Openings
from tests.node.network_in_memory import ANNA, CHEN, Network, resident, shared, stranger
from tests.node.question_steps import certificate_of, check, hold, terms_of


@pytest.fixture
def net() -> Network:
    return shared()


def intents(net: Network, query: str) -> int:
    """Intents of a query on the ledger, and slots it took."""
    office = net.services["office"].ledger
    office.sync()
    return sum(entry.id == query for _, entry in office.replica.of_type("query.intent"))


@pytest.mark.parametrize("member", ["desk", "tax", "trust"])
def test_begun_again_it_goes_on(net: Network, member: str) -> None:
    case = net.case(ANNA, CHEN) if member == "trust" else net.case(stranger(600 + len(member)))
    method = {"desk": "Certify", "tax": "Answer", "trust": "Open"}[member]
    first, second = (hold(net, case, member, method) for _ in range(2))
    if member == "desk":
        assert terms_of(first)["query"] == terms_of(second)["query"]
        assert [p.blind for p in first.persons] == [p.blind for p in second.persons]
    else:
        assert first.certificate == second.certificate
        assert first.intent == second.intent
    found = check(net, case)
    assert found.verdict.outcome == "dibao"
    assert intents(net, found.inquiry.query) == 1


def test_a_lost_intent_receipt_takes_no_second_slot(net: Network) -> None:
    """The ledger has it; the office did not hear so."""
    case = net.case(stranger(610))
    office = net.services["office"].ledger
    inner, sent = office._transport, []

    class Lossy:
        """The real way to the log; its first answer is lost."""

        def append(self, leaf: bytes) -> Receipt:
            sent.append(leaf)
            receipt = inner.append(leaf)
            if len(sent) == 1:
                raise ServiceUnavailableError("lost")
            return receipt

        head, read = inner.head, inner.read

    office._transport = Lossy()
    try:
        with pytest.raises(ServiceUnavailableError):
            check(net, case)
        found = check(net, case)
    finally:
        office._transport = inner
    assert found.verdict.outcome == "dibao"
    assert intents(net, found.inquiry.query) == 1
    assert len(set(sent)) == 1


def test_a_changed_application_is_asked_anew(net: Network) -> None:
    case = net.case(stranger(611), stranger(612))
    first = hold(net, case, "desk", "Certify")
    second = hold(net, case.model_copy(update={"household": case.household[:1]}), "desk", "Certify")
    assert terms_of(first)["query"] != terms_of(second)["query"]
    assert not {p.blind for p in first.persons} & {p.blind for p in second.persons}


def test_a_certificate_that_ran_out_before_its_intent(net: Network) -> None:
    case = net.case(stranger(613))
    net.wire.taps["audit", "Append"] = fail
    try:
        with pytest.raises((ServiceUnavailableError, RefusalError)):
            check(net, case)
    finally:
        net.wire.taps.clear()
    [row] = net.services["office"].store.all(tables.office_check, case_number=case.case)
    net.advance(1000)
    found = check(net, case)
    assert found.inquiry.query != row["query"]
    assert found.verdict.outcome == "dibao"


def fail(_: Any) -> Any:
    raise ServiceUnavailableError("the ledger is out of reach")


def test_a_finished_check_is_not_gone_on_with(net: Network) -> None:
    case = net.case(stranger(614))
    found = check(net, case)
    net.office.close(found, b"report")
    assert found.inquiry.state == inquiry.InquiryState.DONE
    again = check(net, case)
    assert again.inquiry.query != found.inquiry.query


@pytest.mark.parametrize("member", ["tax", "hib", "police"])
def test_a_silent_department_is_asked_again_under_the_same_intent(net: Network, member: str) -> None:
    case = net.case(stranger(620 + len(member)))
    net.wire.down.add(member)
    try:
        found = check(net, case)
    finally:
        net.wire.down.clear()
    assert found.verdict.outcome == "incomplete"
    assert found.total is None
    net.office.close(found, b"report")
    again = check(net, case)
    assert (again.verdict.outcome, again.inquiry.query) == ("dibao", found.inquiry.query)
    assert intents(net, found.inquiry.query) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda openings: replace(openings, rlist=openings.rlist[::-1]),
        lambda openings: replace(openings, rlist=openings.rlist[:1], casemap=one_less(openings)),
        lambda openings: replace(openings, elements=openings.elements[::-1]),
    ],
    ids=["R of another", "a person missing", "elements of others"],
)
def test_a_registrar_that_certified_others(net: Network, change: Callable[[Openings], Openings]) -> None:
    """The office finds its own persons by R and by α before it asks any member."""
    case = net.case(stranger(630), stranger(631))
    message = hold(net, case, "tax", "Answer")
    query = str(certificate_of(message)["query"])
    row = net.services["office"].store.one(tables.office_check, query=query)
    assert row is not None
    current = inquiry.read_inquiry(row)
    assert sorted(inquiry.member_positions(case, current.blinds, current.openings)) == [1, 2]
    with pytest.raises(RefusalError, match="openings"):
        inquiry.member_positions(case, current.blinds, change(current.openings))


def one_less(openings: Openings) -> tuple[int, ...]:
    """The case map with its last person as padding."""
    last = openings.real[-1]
    return tuple(0 if at == last else case for at, case in enumerate(openings.casemap))


def granted(found: Any) -> set[str]:
    """Grants a check was asked under."""
    return {item.grant for item in found.inquiry.certificate.datasets}


def test_the_budget_of_a_grant_ends(net: Network) -> None:
    """The ledger counts slots: a used-up grant gives way to another one; alone it allows no more."""
    name = f"g-few-{net.now}"
    net.grant(name, "hib", slots=1)
    try:
        assert name in granted(check(net, net.case(stranger(640))))
        assert name not in granted(check(net, net.case(stranger(641))))
        view = net.services["office"].view
        with pytest.raises(RefusalError, match="budget"):
            certification.free_slots(
                view, {name: view.grant(name)}, 4, lambda _: net.services["desk"].month()
            )
    finally:
        net.submit("hib", "grant.revoke", {"grant": name, "reason": "test"}, *net.people("hib"))


def test_refused_members_are_those_the_application_shows(net: Network) -> None:
    case = net.case(stranger(650), "123", resident("33102219700101651"), consent="none")
    assert inquiry.refused_members(case, "no_consent") == (1, 2, 3)
    assert inquiry.refused_members(case, "invalid_identifier") == (2,)
    assert inquiry.refused_members(case, "already_asked") == ()
    found = check(net, case)
    assert found.verdict.outcome == "no_consent"
    assert found.refusal is not None
    assert intents(net, found.inquiry.query) == 0
