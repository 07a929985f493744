"""No answer without a record, no question without consent: a department is asked by a dishonest office.

A refusal leaves a record too: ``query.answer`` where the intent is valid and names the dataset, else a line
of the department's journal, which an incident counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import canonical
from ledger.entries.entry import certificate_digest, certificate_message
from ledger.entries.times import format_time, parse_time
from node.app import Node
from node.department import refusal_counts
from node.governance.entry_drafts import EntryDraft
from node.member_keys import sign
from node.office import calls, certification
from node.office.certification import _terms
from protocols.check.openings import CertifiedQuestion, commit_elements
from protocols.psi import group, voprf
from protocols.wire import check_pb2, check_pb2_grpc
from tests.e2e.dishonest_office import (
    AskedCheck,
    DishonestOffice,
    call,
    refused,
    with_certificate,
    with_elements,
)
from tests.e2e.shared_network import RunningNetwork, wait_until
from tests.node.demo.second_scenario import identity


@pytest.fixture(scope="module")
def asked(running: RunningNetwork, dishonest_office: DishonestOffice) -> AskedCheck:
    """A question whose intent is on the ledger, not yet answered by revenue."""
    with running.peace():
        return dishonest_office.logged(running.case())


@pytest.fixture(scope="module")
def another(running: RunningNetwork, dishonest_office: DishonestOffice) -> AskedCheck:
    """Another such question."""
    with running.peace():
        return dishonest_office.logged(running.case())


# Without intent.


def test_no_answer_without_an_intent(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    """A certificate alone, with an intent that was never logged and another's receipt."""
    certified = dishonest_office.certified(running_network.case())
    request = dishonest_office.question(asked)
    request.intent = dishonest_office.intent_leaf(certified)
    request.certificate = canonical.encode(certified.inquiry.certificate.to_json())
    request.signature = canonical.encode(certified.inquiry.signature.to_json())
    opened = certified.inquiry.openings
    request = with_elements(request, opened.elements)
    request.elements_salt = opened.elements_salt
    before = running_network.journal("revenue", "refused:receipt")
    with refused("receipt"):
        dishonest_office.send(request)
    assert running_network.journal("revenue", "refused:receipt") == before + 1
    dishonest_office.no_answer(certified.inquiry.query)


def test_another_questions_receipt_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck, another: AskedCheck
) -> None:
    request = dishonest_office.question(asked)
    request.receipt = dishonest_office.question(another).receipt
    with refused("receipt"):
        dishonest_office.send(request)


def test_a_receipt_below_the_quorum_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    """All cosignatures but one are taken off the checkpoint."""
    request = dishonest_office.question(asked)
    lines = bytes(request.receipt).decode().split("\n")
    cosigned = [at for at, line in enumerate(lines) if line.startswith("— witness.")]
    for at in reversed(cosigned[1:]):
        del lines[at]
    assert len(cosigned) >= running_network.policy.quorum
    request.receipt = "\n".join(lines).encode()
    with refused("receipt"):
        dishonest_office.send(request)


def test_an_entry_that_is_no_intent_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    request = dishonest_office.question(asked)
    leaf = dishonest_office.services.ledger.replica.leaf(0)
    request.intent, request.receipt = leaf, dishonest_office.services.ledger.replica.receipt(0).format()
    with refused("malformed"):
        dishonest_office.send(request)
    request.intent = b"{}"
    with refused("malformed"):
        dishonest_office.send(request)


def test_an_intent_of_another_office_is_no_use(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    """Welfare got the office's whole question and asks revenue with it."""
    before = running_network.journal("revenue", "refused:not_the_office")
    channel = running_network.channel(running_network.clients["welfare"].keys.tls, "revenue")
    with refused("not_the_office"):
        call(check_pb2_grpc.DepartmentStub(channel).Answer, dishonest_office.question(asked))
    channel.close()
    assert running_network.journal("revenue", "refused:not_the_office") == before + 1


def test_a_dataset_the_intent_does_not_name_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    for dataset in ("revenue.firms", "welfare.care"):
        request = dishonest_office.question(asked)
        request.datasets[:] = [dataset]
        with refused("not_named"):
            dishonest_office.send(request)


def test_refusals_without_an_intent_become_an_incident(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The hourly count, taken now from the department's own journal."""
    configuration = running_network.clients["revenue"].configuration
    before = len(running_network.entries("incident"))
    request = dishonest_office.question(dishonest_office.logged(running_network.case()))
    request.receipt = b"c2sp.org/tlog-proof@v1"
    with refused("receipt"):
        dishonest_office.send(request)
    node = Node(configuration)
    try:
        assert refusal_counts.RefusalCounter(node.services).count_now() >= 1
        assert refusal_counts.RefusalCounter(node.services).count_now() == 0, "counted once"
    finally:
        node.ledger_side.channels.close()
        node.database.dispose()
    wait_until(
        lambda: len(running_network.entries("incident")) > before, "the running node sends the incident"
    )
    found = running_network.entries("incident")[-1]
    assert found["code"] == "refused_without_intent"
    assert found["count"] >= 1
    assert "bureau" not in str(found), "the peer stands in a salted commitment"


# The certificate.


CHANGES: dict[str, Any] = {
    "v": 2,
    "network": "elsewhere",
    "registrar": "court",
    "query": "0" * 32,
    "protocol": "check",
    "reveal": "bits",
    "purpose": "curiosity",
    "rules": {"id": "means", "version": "2026.1", "digest": "0" * 64},
    "datasets": [],
    "count": 8,
    "cases": 2,
    "elements": "0" * 64,
    "rlist": "0" * 64,
    "casemap": "0" * 64,
    "consents": "0" * 64,
    "trace": [],
    "office": "welfare",
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_of_the_certificate_is_refused(
    field: str, running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    with refused("certificate"):
        dishonest_office.send(with_certificate(dishonest_office.question(asked), **{field: CHANGES[field]}))


def test_every_field_of_a_certificate_was_changed(asked: AskedCheck) -> None:
    assert CHANGES.keys() | {"not_before", "not_after"} == asked.inquiry.certificate.to_json().keys()


def test_a_validity_the_registrar_did_not_sign_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    longer = format_time(parse_time(asked.inquiry.certificate.not_after) + 86400)
    request = with_certificate(dishonest_office.question(asked), not_after=longer)
    with refused("bad_signature"):
        dishonest_office.send(request)
    changed = replace(asked.inquiry.certificate, not_after=longer)
    own = sign(dishonest_office.services.keys.node, certificate_message(changed.to_json()))
    request.signature = canonical.encode(own.to_json())
    with refused("bad_signature"):
        dishonest_office.send(request)


@pytest.mark.parametrize(("shift", "code"), [(-1500, "expired"), (1500, "not_yet_valid")])
def test_a_certificate_outside_its_validity_is_refused_by_the_departments_own_clock(
    shift: int,
    code: str,
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
    asked: AskedCheck,
) -> None:
    """Signed by the registrar, as a renewal of another time would be."""
    moved = {
        name: format_time(parse_time(getattr(asked.inquiry.certificate, name)) + shift)
        for name in ("not_before", "not_after")
    }
    request = with_certificate(dishonest_office.question(asked), **moved)
    message = certificate_message({**asked.inquiry.certificate.to_json(), **moved})
    request.signature = canonical.encode(sign(running_network.clients["window"].keys.node, message).to_json())
    before = running_network.journal("revenue", f"refused:{code}")
    with refused(code):
        dishonest_office.send(request)
    assert running_network.journal("revenue", f"refused:{code}") == before + 1


def test_a_revoked_certificate_is_refused(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.logged(running_network.case())
    digest = certificate_digest(finished.inquiry.certificate.to_json())
    running_network.clients["window"].submit(EntryDraft.new("certificate.revoke", {"digest": digest}))
    with refused("revoked"):
        dishonest_office.send(dishonest_office.question(finished))
    with refused("revoked"):
        assert finished.inquiry.certified is not None
        calls.renew(dishonest_office.services, finished.inquiry.certified)


# The elements.


def unsorted(elements: list[bytes]) -> list[bytes]:
    return [elements[1], elements[0], *elements[2:]]


def swapped(elements: list[bytes]) -> list[bytes]:
    """One person exchanged for another after the intent."""
    stranger = voprf.blind([b"CN-RID:331098195001010015"], [group.random_scalar()])[0]
    return sorted([*elements[1:], stranger])


def left_out(elements: list[bytes]) -> list[bytes]:
    return elements[1:]


def added(elements: list[bytes]) -> list[bytes]:
    return sorted([*elements, *swapped(elements)[:1]])


def twice(elements: list[bytes]) -> list[bytes]:
    return sorted([elements[0], elements[0], *elements[2:]])


def short(elements: list[bytes]) -> list[bytes]:
    return [elements[0][:31], *elements[1:]]


def identity_element(elements: list[bytes]) -> list[bytes]:
    return [bytes(32), *elements[1:]]


def not_canonical(elements: list[bytes]) -> list[bytes]:
    return [*elements[:-1], b"\xff" * 32]


@pytest.mark.parametrize(
    "change",
    [unsorted, swapped, left_out, added, twice, short, identity_element, not_canonical],
    ids=lambda change: change.__name__,
)
def test_elements_that_were_not_certified_get_nothing_and_a_record(
    change: Callable[[list[bytes]], list[bytes]],
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
) -> None:
    finished = dishonest_office.logged(running_network.case())
    query = finished.inquiry.query
    true = dishonest_office.question(finished)
    with refused("certificate"):
        dishonest_office.send(with_elements(true, change([bytes(item) for item in true.elements])))
    assert running_network.journal("revenue", "refused:certificate", query) == 1
    dishonest_office.recorded(query, "revenue.cars", "refused:certificate")
    assert len(dishonest_office.send(true).answers) == 2, "the certified elements are answered still"
    dishonest_office.recorded(query, "revenue.cars", "answered")


@pytest.mark.parametrize("change", [identity_element, not_canonical], ids=lambda change: change.__name__)
def test_bad_points_are_refused_though_a_registrar_certified_them(
    change: Callable[[list[bytes]], list[bytes]],
    running_network: RunningNetwork,
    dishonest_office: DishonestOffice,
) -> None:
    """Office and registrar together: everything is signed and logged, the point is bad all the same."""
    finished = dishonest_office.certified(running_network.case())
    current = finished.inquiry
    opened = current.openings
    elements = change(list(opened.elements))
    certificate = replace(current.certificate, elements=commit_elements(opened.elements_salt, elements))
    signed = sign(running_network.clients["window"].keys.node, certificate_message(certificate.to_json()))
    current.certified = CertifiedQuestion(certificate, signed, replace(opened, elements=tuple(elements)))
    dishonest_office.log_intent(finished)
    with refused("group"):
        dishonest_office.send(dishonest_office.question(finished))
    dishonest_office.recorded(current.query, "revenue.cars", "refused:group")


def test_a_question_asked_again_gets_the_same_bytes(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.logged(running_network.case())
    request = dishonest_office.question(finished)
    first = dishonest_office.send(request)
    again = dishonest_office.send(request)
    assert [item.betas for item in first.answers] == [item.betas for item in again.answers]
    assert [item.proof for item in first.answers] == [item.proof for item in again.answers]
    with refused("certificate"):
        dishonest_office.send(with_elements(request, swapped([bytes(item) for item in request.elements])))
    for dataset in request.datasets:
        dishonest_office.recorded(finished.inquiry.query, dataset, "answered")


# Consent.


def test_without_consent_no_question_leaves(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    refusal = dishonest_office.certified(running_network.case("N")).refusal
    assert refusal is not None
    assert refusal.code == "no_consent"


@pytest.mark.parametrize(
    ("change", "code"),
    [("stranger", "no_consent"), ("other case", "no_consent"), ("twice", "duplicate_person")],
)
def test_a_person_without_own_consent_for_this_case_is_not_certified(
    change: str, code: str, running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    case = running_network.case()
    if change == "stranger":
        added = case.household[0].model_copy(update={"id": identity(988, 1999)})
    elif change == "other case":
        added = running_network.case().household[0]
    else:
        added = case.household[0]
    finished = dishonest_office.certified(case.model_copy(update={"household": (*case.household, added)}))
    assert finished.refusal is not None
    assert finished.refusal.code == code


def test_a_blind_of_zero_is_not_certified(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    finished = dishonest_office.begin(running_network.case())
    finished.inquiry.blinds[0] = 0
    with refused("group"):
        dishonest_office.certify(finished)


def test_a_query_id_certifies_one_question_only(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    first = dishonest_office.certified(running_network.case())
    second = dishonest_office.begin(running_network.case())
    second.inquiry.query = first.inquiry.query
    with refused("query_reused"):
        dishonest_office.certify(second)


def test_only_the_office_is_certified(
    running_network: RunningNetwork, dishonest_office: DishonestOffice, asked: AskedCheck
) -> None:
    now = dishonest_office.services.ledger.now_text()
    chosen = certification.choose_datasets(dishonest_office.services.view, "bureau", asked.rules, 4, now)
    begun = dishonest_office.begin(running_network.case())
    terms = _terms(dishonest_office.services, begun.rules, begun.inquiry, chosen).to_json()
    channel = running_network.channel(running_network.clients["revenue"].keys.tls, "window")
    stub = check_pb2_grpc.RegistrarStub(channel)
    with refused("not_an_office"):
        call(stub.Certify, check_pb2.CertifyRequest(terms=canonical.encode(terms), cases=["x"]))
    channel.close()


def test_padding_is_the_registrars_own(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The elements are the office's own and one that it cannot tell: no R, no case."""
    finished = dishonest_office.certified(running_network.case())
    opened = finished.inquiry.openings
    own = {opened.elements[position] for position in opened.real}
    assert len(own) == len(opened.rlist) == 3
    assert list(opened.casemap).count(0) == 1
    again = dishonest_office.begin(finished.case)
    again.inquiry.blinds = finished.inquiry.blinds
    dishonest_office.certify(again)
    assert set(again.inquiry.openings.elements) & set(opened.elements) == own
