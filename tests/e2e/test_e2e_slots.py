"""No enumeration: slots on the ledger bound the questions, and nothing gives one back.

Intents are composed by hand and signed with the office's own key; the running sequencer decides.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger import canonical
from ledger.entries.entry import certificate_digest, certificate_message
from ledger.entries.times import format_time, parse_time
from node.edges.operator_client import OperatorClient
from node.errors import NodeError
from node.governance.entry_drafts import EntryDraft
from node.governance.grants import Decision, GrantDecision, GrantRequest, GrantRevocation
from node.member_keys import sign
from tests.e2e.dishonest_office import AskedCheck, DishonestOffice, refused
from tests.e2e.shared_network import RunningNetwork, wait_until

Body = dict[str, Any]
ROUNDS = 3


def other_period(body: Body) -> None:
    body["slots"][0]["period"] = "2026-10"


def beyond(body: Body) -> None:
    body["slots"][0]["slot"] = 1_000_000


def twice(body: Body) -> None:
    body["slots"].append(dict(body["slots"][0]))


def too_many(body: Body) -> None:
    slot = dict(body["slots"][0])
    body["slots"].append({**slot, "slot": 0 if slot["slot"] else 1})


def grant_left_out(body: Body) -> None:
    grant = body["slots"][0]["grant"]
    body["slots"] = [slot for slot in body["slots"] if slot["grant"] != grant]


def elements_changed(body: Body) -> None:
    body["certificate"]["elements"] = "0" * 64


def more_elements(body: Body) -> None:
    body["certificate"]["count"] = 8


def narrower_protocol(body: Body) -> None:
    body["certificate"]["protocol"] = "check"


def other_purpose(body: Body) -> None:
    body["certificate"]["purpose"] = "curiosity"


def unknown_grant(body: Body) -> None:
    body["certificate"]["datasets"][0]["grant"] = "0" * 32


LIES: dict[Callable[[Body], None], tuple[str, ...]] = {
    other_period: ("slot_period",),
    beyond: ("slot_range",),
    twice: ("slot_twice",),
    too_many: ("slot_count", "slot_taken"),
    grant_left_out: ("slot_count",),
}
SIGNED_LIES: dict[Callable[[Body], None], str] = {
    elements_changed: "certificate_signature",
    more_elements: "trace_count",
    narrower_protocol: "protocol_not_sum",
    other_purpose: "grant_purpose",
    unknown_grant: "grant_unknown",
}


@pytest.fixture(scope="module")
def certified(running: RunningNetwork, dishonest_office: DishonestOffice) -> AskedCheck:
    """A certified question that no intent is ever accepted for."""
    with running.peace():
        return dishonest_office.certified(running.case())


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_an_intent_takes_exactly_its_slots(
    lie: Callable[[Body], None],
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    certified: AskedCheck,
) -> None:
    body = dishonest_office.intent_body(certified)
    lie(body)
    with refused(*LIES[lie]):
        dishonest_office.log(certified, body)


@pytest.mark.parametrize("lie", SIGNED_LIES, ids=lambda lie: lie.__name__)
def test_an_intent_is_what_the_registrar_signed(
    lie: Callable[[Body], None],
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    certified: AskedCheck,
) -> None:
    """The digest fits, the signature does not; and what no grant allows is refused under any signature."""
    body = dishonest_office.intent_body(certified)
    lie(body)
    with refused("certificate_digest"):
        dishonest_office.log(certified, body)
    body["digest"] = certificate_digest(body["certificate"])
    with refused(SIGNED_LIES[lie]):
        dishonest_office.log(certified, body)


@pytest.mark.parametrize(("shift", "code"), [(-2000, "certificate_expired"), (2000, "certificate_early")])
def test_a_certificate_outside_its_validity_logs_nothing(
    shift: int,
    code: str,
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    certified: AskedCheck,
) -> None:
    body = dishonest_office.intent_body(certified)
    for name in ("not_before", "not_after"):
        body["certificate"][name] = format_time(parse_time(body["certificate"][name]) + shift)
    message = certificate_message(body["certificate"])
    body["signature"] = sign(running_network.clients["window"].keys.node, message).to_json()
    with refused(code):
        dishonest_office.log(certified, body)


def test_an_office_cannot_certify_itself(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, certified: AskedCheck
) -> None:
    body = dishonest_office.intent_body(certified)
    body["signature"] = sign(
        dishonest_office.services.keys.node, certificate_message(body["certificate"])
    ).to_json()
    with refused("registrar_key"):
        dishonest_office.log(certified, body)


def test_a_taken_slot_is_refused_and_the_refusal_recorded(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """``query.refused`` says so with a salted digest; one every few seconds at most."""
    first, second = (
        dishonest_office.certified(own_network.case()),
        dishonest_office.certified(own_network.case()),
    )
    body = dishonest_office.intent_body(first)
    dishonest_office.log(first, body)
    taken = {**dishonest_office.intent_body(second), "slots": body["slots"]}

    def said() -> list[Any]:
        return [entry["code"] for entry in own_network.entries("query.refused")]

    before = said().count("slot_taken")

    def recorded() -> bool:
        with refused("slot_taken"):
            dishonest_office.log(second, taken)
        return said().count("slot_taken") > before

    wait_until(recorded, "a query.refused entry", 30)
    assert second.inquiry.query not in str(own_network.entries("query.refused"))
    dishonest_office.no_answer(second.inquiry.query)


def test_a_replayed_intent_takes_nothing_more(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.certified(own_network.case())
    leaf = dishonest_office.intent_leaf(finished)
    ledger = dishonest_office.services.ledger
    first = ledger.append(leaf)
    assert ledger.append(leaf).index == first.index, "the same bytes are the same entry"
    with refused("id_used"):
        dishonest_office.log(finished, dishonest_office.intent_body(finished))


def test_a_clone_that_forgot_its_questions_gains_no_slot(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """A grant of one slot: the running office uses it up, the office's copy from a backup finds it taken."""
    with granted(own_network, slots=1) as grant:
        first, second = (
            dishonest_office.certified(own_network.case()),
            dishonest_office.certified(own_network.case()),
        )
        assert grant in {item.grant for item in first.inquiry.certificate.datasets}
        body = dishonest_office.intent_body(first)
        stale = dishonest_office.intent_body(second)
        own_network.clients["bureau"].submit(EntryDraft("query.intent", first.inquiry.query, body))
        with refused("slot_taken"):
            dishonest_office.log(second, stale)
        dishonest_office.services.ledger.sync()
        with refused("budget"):
            dishonest_office.intent_body(second)


def test_of_two_intents_for_one_slot_exactly_one_is_accepted(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The office's running node and its copy in this process, at the same moment."""
    for _ in range(ROUNDS):
        first, second = (
            dishonest_office.certified(own_network.case()),
            dishonest_office.certified(own_network.case()),
        )
        one = dishonest_office.intent_body(first)
        other = {**dishonest_office.intent_body(second), "slots": one["slots"]}
        start = threading.Barrier(2)

        def attempt(log: Callable[[], None], start: threading.Barrier = start) -> str:
            start.wait()
            try:
                log()
            except NodeError as error:
                return error.code
            return "accepted"

        def by_node(body: Body = one, query: str = first.inquiry.query) -> None:
            own_network.clients["bureau"].submit(EntryDraft("query.intent", query, body))

        def by_copy(asked: AskedCheck = second, body: Body = other) -> None:
            dishonest_office.log(asked, body)

        with ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(attempt, (by_node, by_copy)))
        assert outcomes == ["accepted", "slot_taken"]
        dishonest_office.services.ledger.sync()
        slot = one["slots"][0]
        holder = dishonest_office.services.view.slot_taken(slot["grant"], slot["period"], slot["slot"])
        assert holder in {first.inquiry.query, second.inquiry.query}
        loser = ({first.inquiry.query, second.inquiry.query} - {holder}).pop()
        assert dishonest_office.services.view.intent(loser) is None


# Grants.


def narrow_grant(**changes: Any) -> GrantRequest:
    """What the office asks revenue for."""
    options = {
        "owner": "revenue",
        "datasets": ["revenue.cars", "revenue.wages"],
        "protocol": "sum",
        "reveal": "total",
        "purpose": "means",
        "basis": "社会救助暂行办法 第五十八条",
        "from": "2026-01-01",
        "until": "2027-12-31",
        "period": "month",
        "slots": 50,
        "elements": 8,
        "min_terms": 0,
    }
    return GrantRequest.parse(options | changes)


@contextlib.contextmanager
def granted(running_network: RunningNetwork, **changes: Any) -> Iterator[str]:
    """A grant that two people of revenue approved, taken back after the block."""
    grant = running_network.clients["bureau"].request_grant(narrow_grant(**changes))
    owner = running_network.clients["revenue"]
    owner.decide_grant(GrantDecision(grant, Decision.APPROVE))
    try:
        yield grant
    finally:
        with contextlib.suppress(NodeError):
            revoke(owner, grant)


def revoke(owner: OperatorClient, grant: str) -> None:
    """Take a grant back."""
    owner.revoke_grant(GrantRevocation(grant, "over"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"datasets": ["revenue.cars"]}, "grant_dataset"),
        ({"protocol": "check", "reveal": "bits"}, "grant_protocol"),
        ({"purpose": "school"}, "grant_purpose"),
        ({"until": "2026-01-02"}, "grant_dates"),
    ],
    ids=["dataset", "protocol", "purpose", "dates"],
)
def test_a_grant_that_is_too_narrow_allows_no_intent(
    changes: dict[str, Any], code: str, own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The registrar signs what the office names; the contract compares it with the grant."""
    finished = dishonest_office.certified(own_network.case())
    with granted(own_network, **changes) as grant, refused(code):
        dishonest_office.log(finished, rebased(own_network, dishonest_office, finished, grant))


def test_a_grant_one_person_approved_is_none(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.certified(own_network.case())
    grant = own_network.clients["bureau"].request_grant(narrow_grant())
    decision = GrantDecision(grant, Decision.APPROVE)
    with refused("missing_signer"):
        own_network.clients["revenue"].submit(decision.draft())
    with refused("grant_not_approved"):
        dishonest_office.log(finished, rebased(own_network, dishonest_office, finished, grant))


def test_a_revoked_grant_allows_neither_intent_nor_answer(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    with granted(own_network) as grant:
        asked = dishonest_office.logged(own_network.case())
        assert grant in {item.grant for item in asked.inquiry.certificate.datasets}
        waiting = dishonest_office.certified(own_network.case())
        body = dishonest_office.intent_body(waiting)
    with refused("grant_revoked"):
        dishonest_office.log(waiting, body)
    with refused("grant"):
        dishonest_office.send(dishonest_office.question(asked))
    dishonest_office.recorded(asked.inquiry.query, "revenue.cars", "refused:grant")
    assert own_network.journal("revenue", "refused:grant", asked.inquiry.query) == 1


def test_a_grants_least_number_of_rows_holds(
    own_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """A family has two rows to open; the grant wants five."""
    with granted(own_network, min_terms=5):
        finished = dishonest_office.answered(own_network.case())
        with refused("min_terms"):
            dishonest_office.open(finished, dishonest_office.pack(finished))
        dishonest_office.nothing_released(finished)


def rebased(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, finished: AskedCheck, grant: str
) -> Body:
    """The intent's body under another grant of revenue, certified by the registrar's own key."""
    body = dishonest_office.intent_body(finished)
    certificate: Body = canonical_object(body["certificate"])
    old = {item["grant"] for item in certificate["datasets"] if item["dataset"].startswith("revenue.")}
    for item in certificate["datasets"]:
        if item["dataset"].startswith("revenue."):
            item["grant"] = grant
    slots = [{**slot, "grant": grant} if slot["grant"] in old else slot for slot in body["slots"]]
    message = certificate_message(certificate)
    return {
        **body,
        "certificate": certificate,
        "digest": certificate_digest(certificate),
        "signature": sign(running_network.clients["window"].keys.node, message).to_json(),
        "slots": slots,
    }


def canonical_object(value: Any) -> Body:
    """A deep copy of an object."""
    copy = canonical.decode(canonical.encode(value))
    assert isinstance(copy, dict)
    return dict(copy)
