"""The registrar over its own edge: whom it certifies, in which order it refuses, and what it repeats."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from keys.errors import BadSignatureError
from ledger import canonical
from ledger.entries.entry import certificate_digest, certificate_message
from ledger.entries.times import parse_time
from node.errors import RefusalError
from node.member_keys import sign
from node.registrar import consents
from node.registrar.certify import CertificationRequest, Registrar
from node.registrar.recent_subjects import QuestionAllowance
from node.services import check_signature
from node.store import tables
from protocols.check.certificate import RefusalDocument, Terms
from protocols.check.json_form import SignatureValue
from protocols.check.openings import CertifiedQuestion
from protocols.encoding import commit
from protocols.psi import group
from protocols.wire import check_pb2
from tests.node.network_in_memory import Network, shared, stranger
from tests.node.question_steps import (
    certificate_of,
    copied,
    hold,
    named,
    refused,
    send,
    signed_certificate,
    terms_of,
    with_terms,
)

INVALID = "33102219800101001Z"


@pytest.fixture
def net() -> Network:
    return shared()


def asked(net: Network, *ids: str, consent: str = "signed") -> Any:
    """The office's certify request about these people, of whom nobody was asked about before."""
    return hold(net, net.case(*ids, consent=consent), "desk", "Certify")


def fresh(request: Any) -> Any:
    """The same request under a new query id."""
    return with_terms(request, query=secrets.token_hex(16))


def refusal(net: Network, request: Any) -> str:
    """Code of the signed refusal."""
    response = send(net, "desk", "Certify", request)
    assert not response.certificate
    return str(canonical.decode(response.refusal)["code"])  # type: ignore[call-overload,index]


def test_a_certificate_is_signed_and_repeated_as_it_was(net: Network) -> None:
    request = asked(net, stranger(10))
    first = send(net, "desk", "Certify", request)
    value = SignatureValue.parse(json.loads(first.signature))
    message = certificate_message(certificate_of(first))
    check_signature(net.services["office"].view, "desk", value, message)
    assert send(net, "desk", "Certify", request) == first
    net.advance(5)
    assert send(net, "desk", "Certify", request) == first
    [person] = request.persons
    asked_again = [CertificationRequest(person.identifier, group.scalar_from_bytes(person.blind), 0)]
    restarted = Registrar(net.services["desk"])
    found = restarted.certify("office", Terms.parse(terms_of(request), 1), list(request.cases), asked_again)
    assert isinstance(found, CertifiedQuestion)
    assert found.certificate.to_json() == certificate_of(first)


def test_a_query_id_is_certified_for_one_request_only(net: Network) -> None:
    request = asked(net, stranger(11))
    send(net, "desk", "Certify", request)
    other = copied(request)
    other.persons[0].blind = group.scalar_to_bytes(7)
    for changed in (
        other,
        named(request, stranger(11), stranger(12)),
        with_terms(request, purpose="other"),
        with_terms(request, reveal="bits"),
        copied(request, cases=["another"]),
    ):
        refused(net, "desk", "Certify", changed, "query_reused")


def test_requests_at_the_same_time_get_one_certificate(net: Network) -> None:
    request = asked(net, stranger(13))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: send(net, "desk", "Certify", request), range(4)))
    assert len({response.SerializeToString(deterministic=True) for response in found}) == 1


def test_the_order_of_refusals(net: Network) -> None:
    """Consent, then identifiers, then the household, then the month: the first a person can mend."""
    seen = stranger(20)
    send(net, "desk", "Certify", asked(net, seen))
    case = net.case(seen, INVALID, stranger(21))
    request = hold(net, case, "desk", "Certify")
    unknown = stranger(22)
    for ids, code in (
        ((unknown, INVALID, seen, seen), "no_consent"),
        ((INVALID, seen, seen), "invalid_identifier"),
        ((seen, seen), "duplicate_person"),
        ((seen, seen.lower()), "duplicate_person"),
        ((seen, stranger(21)), "household_incomplete"),
    ):
        assert refusal(net, named(request, *ids)) == code
    assert refusal(net, named(request, stranger(21))) == "household_incomplete"
    known = net.case(seen, stranger(21))
    assert refusal(net, hold(net, known, "desk", "Certify")) == "already_asked"
    assert send(net, "desk", "Certify", asked(net, stranger(21))).certificate, "nothing was used up"


def test_a_refused_consent_is_no_consent(net: Network) -> None:
    assert refusal(net, asked(net, stranger(25), consent="none")) == "no_consent"


def test_a_consent_holds_for_its_own_case_only(net: Network) -> None:
    request = asked(net, stranger(26))
    assert refusal(net, copied(request, cases=["another case"])) == "no_consent"


def test_a_refusal_names_nobody_and_opens_for_the_office(net: Network) -> None:
    who = stranger(27)
    response = send(net, "desk", "Certify", asked(net, who, consent="none"))
    document: Any = canonical.decode(response.refusal)
    signature = SignatureValue.parse(json.loads(response.refusal_signature))
    message = RefusalDocument.parse(document).message
    check_signature(net.services["office"].view, "desk", signature, message)
    assert commit(response.household_salt, b"household", who.encode()).hex() == document["household"]
    assert who not in response.refusal.decode()
    assert not response.HasField("openings")


def test_a_retry_under_a_new_query_is_allowed_and_anything_else_is_not(net: Network) -> None:
    one, two = stranger(30), stranger(31)
    request = asked(net, one, two)
    send(net, "desk", "Certify", request)
    again = send(net, "desk", "Certify", fresh(request))
    assert certificate_of(again)["query"] != terms_of(request)["query"]
    assert send(net, "desk", "Certify", fresh(named(request, two, one))).certificate, "order does not matter"
    assert refusal(net, fresh(named(request, one))) == "household_incomplete"
    fewer = [item for item in terms_of(request)["datasets"] if item["dataset"] != "tax.owner"]
    assert refusal(net, with_terms(fresh(request), datasets=fewer)) == "already_asked"


def test_questions_without_a_total_do_not_count(net: Network) -> None:
    request = asked(net, stranger(32))
    send(net, "desk", "Certify", with_terms(fresh(request), protocol="check"))
    assert send(net, "desk", "Certify", request).certificate
    assert send(net, "desk", "Certify", fresh(with_terms(request, datasets=[]))).certificate
    assert send(net, "desk", "Certify", fresh(with_terms(request, datasets=[], protocol="check"))).certificate


def allowance(net: Network, case: str, *signers: str, month: str | None = None) -> tuple[Any, Any]:
    """A reason, and signatures of these people of the registrar."""
    document = QuestionAllowance(case=case, month=month or net.services["desk"].month(), reason="remarried")
    keys = [net.key("desk", name) for name in signers]
    return document, [sign(key, document.message()).to_json() for key in keys]


def test_two_people_allow_a_second_question(net: Network) -> None:
    one, two = stranger(33), stranger(34)
    send(net, "desk", "Certify", asked(net, one))
    case = net.case(one, two)
    request = hold(net, case, "desk", "Certify")
    assert refusal(net, request) == "already_asked"
    another = net.case(two).case
    net.registrar.subjects.allow(*allowance(net, another, "operator-a", "operator-b"))
    net.registrar.subjects.allow(*allowance(net, case.case, "operator-a", "operator-b", month="2020-01"))
    assert refusal(net, request) == "already_asked"
    net.registrar.subjects.allow(*allowance(net, case.case, "operator-a", "operator-b"))
    assert send(net, "desk", "Certify", request).certificate


def test_a_reason_is_for_a_known_case_and_a_real_month(net: Network) -> None:
    case = net.case(stranger(36)).case
    for number, month, code in (
        ("no case", "", "unknown_case"),
        (case, "2026-13", "malformed"),
        (case, "2026-1", "malformed"),
        (case, "November", "malformed"),
    ):
        with pytest.raises(RefusalError) as caught:
            net.registrar.subjects.allow(*allowance(net, number, "operator-a", "operator-b", month=month))
        assert caught.value.code == code
    assert net.services["desk"].store.one(tables.allowed_question, case_number=case) is None


def test_nobody_allows_alone(net: Network) -> None:
    case = net.case(stranger(35)).case
    document, (first, second) = allowance(net, case, "operator-a", "operator-b")
    for signatures, code in (
        ([], "missing_signer"),
        ([first], "missing_signer"),
        ([first, first], "missing_signer"),
        ([first, sign(net.key("desk"), document.message()).to_json()], "surplus_signer"),
        (
            [first, sign(net.key("office", "operator-b"), document.message()).to_json()],
            "surplus_signer",
        ),
    ):
        with pytest.raises(RefusalError) as caught:
            net.registrar.subjects.allow(document, signatures)
        assert caught.value.code == code
    with pytest.raises(BadSignatureError):
        net.registrar.subjects.allow(document.model_copy(update={"reason": "other"}), [first, second])
    assert net.services["desk"].store.one(tables.allowed_question, case_number=case) is None


def test_a_question_must_fit_the_ledger(net: Network) -> None:
    request = asked(net, stranger(40))
    terms = terms_of(request)
    [first, *rest] = terms["datasets"]
    for changed, code in (
        (with_terms(request, office="tax"), "not_an_office"),
        (with_terms(request, network="other"), "wrong_registrar"),
        (with_terms(request, registrar="audit"), "wrong_registrar"),
        (with_terms(request, rules={**terms["rules"], "digest": "00" * 32}), "rules"),
        (with_terms(request, rules={**terms["rules"], "version": "2027.1"}), "rules"),
        (with_terms(request, datasets=[{**first, "publication": "2026-11.9"}, *rest]), "publication"),
        (with_terms(request, datasets=[{**first, "key": "00" * 32}, *rest]), "publication"),
        (with_terms(request, datasets=[{**first, "dataset": "tax.nothing"}, *rest]), "publication"),
        (with_terms(request, query="AB" * 16), "query_id"),
        (with_terms(request, query="ab" * 15), "query_id"),
        (with_terms(request, query="../" * 10 + "ab"), "query_id"),
    ):
        refused(net, "desk", "Certify", changed, code)
    for caller in ("tax", "trust", "desk"):
        refused(net, "desk", "Certify", with_terms(request, office=caller), "not_an_office", caller)


def test_malformed_requests_are_refused_and_nothing_breaks(net: Network) -> None:
    request = asked(net, stranger(41))
    terms = terms_of(request)
    beyond = copied(request)
    beyond.persons[0].case_index = 1
    cut = copied(request)
    cut.persons[0].blind = b"\1" * 31
    zero = copied(request)
    zero.persons[0].blind = bytes(32)
    cases: list[tuple[Any, str]] = [
        (copied(request, terms=b"{}"), "malformed"),
        (copied(request, terms=b"[]"), "malformed"),
        (copied(request, terms=b"{ }"), "malformed"),
        (copied(request, terms=b""), "malformed"),
        *(
            (
                copied(request, terms=canonical.encode({k: v for k, v in terms.items() if k != name})),
                "malformed",
            )
            for name in terms
        ),
        (with_terms(request, rules=None), "malformed"),
        (with_terms(request, datasets=[{}]), "malformed"),
        (with_terms(request, datasets=["tax.income"]), "malformed"),
        (with_terms(request, datasets=[{**terms["datasets"][0], "key": "zz"}]), "malformed"),
        (beyond, "malformed"),
        (cut, "group"),
        (zero, "group"),
        (copied(request, persons=[]), "certificate"),
    ]
    for changed, code in cases:
        refused(net, "desk", "Certify", changed, code)
    assert send(net, "desk", "Certify", request).certificate


# Renewal.


def answered(net: Network, *ids: str) -> Any:
    """The office's request to a department, its intent logged."""
    return hold(net, net.case(*ids), "tax", "Answer")


def renewal(request: Any) -> Any:
    return check_pb2.RenewRequest(certificate=request.certificate, signature=request.signature)


def test_a_renewal_changes_the_validity_and_nothing_else(net: Network) -> None:
    request = answered(net, stranger(50))
    net.advance(60)
    renewed = send(net, "desk", "Renew", renewal(request))
    old, new = certificate_of(request), certificate_of(renewed)
    assert {name for name in old if old[name] != new[name]} == {"not_before", "not_after"}
    assert certificate_digest(old) == certificate_digest(new)
    assert parse_time(new["not_after"]) == net.now + 900
    value = SignatureValue.parse(json.loads(renewed.signature))
    check_signature(net.services["tax"].view, "desk", value, certificate_message(new))
    again = check_pb2.RenewRequest(certificate=renewed.certificate, signature=renewed.signature)
    assert send(net, "desk", "Renew", again).certificate == renewed.certificate


def test_what_is_not_renewed(net: Network) -> None:
    who = stranger(51)
    request = answered(net, who)
    refused(net, "desk", "Renew", renewal(request), "unknown_certificate", "tax")
    forged = signed_certificate(request, net.key("office"), purpose="other")
    refused(net, "desk", "Renew", renewal(forged), "bad_signature")
    changed = copied(request, certificate=canonical.encode(certificate_of(request) | {"cases": 2}))
    refused(net, "desk", "Renew", renewal(changed), "bad_signature")
    unlogged = send(net, "desk", "Certify", asked(net, stranger(52)))
    refused(net, "desk", "Renew", renewal(unlogged), "too_late")


def test_no_renewal_after_a_consent_is_withdrawn(net: Network) -> None:
    who = stranger(53)
    case = net.case(who)
    request = hold(net, case, "tax", "Answer")
    consents.withdraw(net.services["desk"], case.case, who)
    refused(net, "desk", "Renew", renewal(request), "revoked")


def test_no_renewal_where_only_the_store_knows_of_the_withdrawal(net: Network) -> None:
    """The consent is looked up again even before its revocation is on the ledger."""
    case = net.case(stranger(54))
    request = hold(net, case, "tax", "Answer")
    store = net.services["desk"].store
    with store.writing() as connection:
        connection.execute(
            update(tables.consent).where(tables.consent.c.case_number == case.case).values(kind="none")
        )
    refused(net, "desk", "Renew", renewal(request), "no_consent")


def test_no_renewal_seven_days_after_the_intent(net: Network) -> None:
    request = answered(net, stranger(55))
    net.advance(7 * 86400)
    assert send(net, "desk", "Renew", renewal(request)).certificate
    net.advance(1)
    refused(net, "desk", "Renew", renewal(request), "too_late")
