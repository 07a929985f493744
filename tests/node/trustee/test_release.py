"""The trustee over its own edge: it opens a proven list once, and nothing else however it is asked."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from ledger import canonical
from node.errors import RefusalError
from node.member_keys import sign
from node.registrar.recent_subjects import QuestionAllowance
from node.rpc.untrusted_json import openings_to_wire
from node.store import tables
from node.trustee.release import exception_salt
from protocols.check.openings import Openings
from protocols.check.terms import list_digest, list_message
from protocols.encoding import commit
from protocols.psi import group
from protocols.wire import check_pb2
from tests.node.network_in_memory import ANNA, CHEN, DENG, FANG, Network, shared, stranger
from tests.node.question_steps import certificate_of, check, copied, hold, refused, send, signed_certificate


@pytest.fixture
def net() -> Network:
    return shared()


def request(net: Network, *ids: str) -> Any:
    """What the office sends the trustee about these people; persons of a total may be asked again."""
    return hold(net, net.case(*ids), "trust", "Open")


def signed_list(
    net: Network, message: Any, change: Callable[[dict[str, Any]], None], who: str = "office"
) -> Any:
    """The message with another list, signed."""
    document: Any = canonical.decode(message.list, max_bytes=1 << 20, max_depth=16)
    change(document)
    value = sign(net.key(who), list_message(document))
    return copied(message, list=canonical.encode(document), list_signature=canonical.encode(value.to_json()))


def evidence(message: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """The message with other evidence."""
    value: Any = copy.deepcopy(canonical.decode(message.evidence, max_bytes=1 << 20, max_depth=16))
    change(value)
    return copied(message, evidence=canonical.encode(value))


def test_a_share_is_given_once_and_repeated_as_it_was(net: Network) -> None:
    message = request(net, ANNA, CHEN)
    query = str(certificate_of(message)["query"])
    first = send(net, "trust", "Open", message)
    assert net.services["trust"].view.release(query, 0, "trust") is not None, "recorded before it is given"
    assert send(net, "trust", "Open", message).share == first.share
    closed = copied(message, list=b"", evidence=b"", list_signature=b"")
    refused(net, "trust", "Open", closed, "already_released")
    assert send(net, "trust", "Open", message).share == first.share


def test_a_case_closed_without_a_list_stays_closed(net: Network) -> None:
    message = request(net, ANNA, CHEN)
    closed = copied(message, list=b"", evidence=b"", list_signature=b"")
    assert send(net, "trust", "Open", closed).share == b""
    assert send(net, "trust", "Open", closed).share == b""
    refused(net, "trust", "Open", message, "already_released")


def test_lists_other_than_the_proven_one(net: Network) -> None:
    message = request(net, ANNA, CHEN)

    def change(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
        return lambda document: document.update({name: value})

    def drop(document: dict[str, Any]) -> None:
        document["terms"].pop()

    def twice(document: dict[str, Any]) -> None:
        document["terms"].append(document["terms"][0])

    def turn(document: dict[str, Any]) -> None:
        document["terms"][0]["sign"] *= -1

    for cheat in (
        drop,
        twice,
        turn,
        change("terms", []),
        change("terms", None),
        change("terms", 7),
        change("query", "0" * 32),
        change("case", 1),
        change("network", "other"),
        change("rules", {}),
        change("note", "x"),
        lambda document: document["terms"].reverse(),
    ):
        refused(net, "trust", "Open", signed_list(net, message, cheat), "term_list")
    for who in ("tax", "desk"):
        refused(net, "trust", "Open", signed_list(net, message, lambda _: None, who), "bad_signature")
    refused(net, "trust", "Open", copied(message, list_signature=b"{}"), "bad_signature")
    refused(net, "trust", "Open", copied(message, list_signature=b""), "malformed")
    refused(net, "trust", "Open", copied(message, list=b"[]"), "malformed")
    assert send(net, "trust", "Open", message).share


def test_evidence_that_does_not_hold(net: Network) -> None:
    message = request(net, ANNA, CHEN)

    def without(*path: Any) -> Callable[[dict[str, Any]], None]:
        def change(value: dict[str, Any]) -> None:
            place: Any = value
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]

        return change

    def beta(value: dict[str, Any]) -> None:
        betas = value["answers"]["tax.income"]["betas"]
        betas[0], betas[1] = betas[1], betas[0]

    for cheat, code in (
        (without("answers", "tax.income"), "evidence"),
        (without("answers", "tax.income", "proof"), "evidence"),
        (without("lines", 0), "evidence"),
        (without("proofs", 0), "evidence"),
        (beta, "proof"),
        (without("answers"), "malformed"),
        (without("lines"), "malformed"),
        (without("proofs"), "malformed"),
        (lambda value: value.update(answers=[]), "malformed"),
        (lambda value: value.update(lines=3), "malformed"),
        (lambda value: value.update(lines=[3]), "evidence"),
        (lambda value: value.update(proofs=[None]), "evidence"),
    ):
        refused(net, "trust", "Open", evidence(message, cheat), code)
    refused(net, "trust", "Open", copied(message, evidence=b""), "malformed")
    assert send(net, "trust", "Open", message).share


def test_openings_that_are_not_certified(net: Network) -> None:
    message = request(net, ANNA, CHEN)

    def opened(name: str, value: Any) -> Any:
        made = copied(message)
        made.openings.CopyFrom(copied(message.openings, **{name: value}))
        return made

    held = message.openings
    other = group.multiply_base([5])[0]
    for changed, code in (
        (opened("elements", list(held.elements)[::-1]), "certificate"),
        (opened("rlist", [other, *list(held.rlist)[1:]]), "certificate"),
        (opened("rlist", []), "certificate"),
        (opened("casemap", [0] * len(held.casemap)), "certificate"),
        (opened("casemap", [9] * len(held.casemap)), "certificate"),
        (opened("casemap_salt", bytes(32)), "certificate"),
        (opened("elements_salt", b""), "encoding"),
        (copied(message, case_index=1), "case"),
    ):
        refused(net, "trust", "Open", changed, code)
    assert send(net, "trust", "Open", message).share


def test_the_question_is_verified_as_a_department_does(net: Network) -> None:
    message, other = request(net, ANNA, CHEN), request(net, ANNA, CHEN)
    refused(net, "trust", "Open", message, "not_the_office", "tax")
    refused(net, "trust", "Open", copied(message, receipt=other.receipt), "receipt")
    refused(net, "trust", "Open", copied(message, certificate=other.certificate), "certificate")
    refused(net, "trust", "Open", signed_certificate(message, net.key("desk"), cases=2), "certificate")
    refused(net, "trust", "Open", copied(message, intent=b""), "malformed")
    net.advance(1021)
    refused(net, "trust", "Open", message, "expired")


def closing(net: Network, asked: Any) -> Any:
    """A request to close the case of a question, without a list."""
    query = str(certificate_of(asked)["query"])
    held = net.services["office"].store.one(tables.office_check, query=query)
    assert held is not None
    openings = Openings.parse(json.loads(held["document"])["openings"])
    return check_pb2.OpenRequest(
        certificate=asked.certificate,
        signature=asked.signature,
        intent=asked.intent,
        receipt=asked.receipt,
        openings=openings_to_wire(openings),
    )


def test_no_release_before_every_department_has_answered(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.trustee.release.ANSWER_WAIT_SECONDS", 0.05)
    asked = hold(net, net.case(stranger(300)), "police", "Answer")
    message = closing(net, asked)
    refused(net, "trust", "Open", message, "not_answered")
    send(net, "police", "Answer", asked)
    monkeypatch.setattr("node.trustee.release.ANSWER_WAIT_SECONDS", 10)
    assert send(net, "trust", "Open", message).share == b""


def test_a_row_opens_again_only_in_the_same_term_set(net: Network) -> None:
    """With another person's row beside it two people of registrar and of trustee must agree."""
    send(net, "trust", "Open", request(net, DENG))
    send(net, "trust", "Open", request(net, DENG))
    case = net.case(DENG, FANG)
    document = QuestionAllowance(case=case.case, month=net.services["desk"].month(), reason="married")
    net.registrar.subjects.allow(
        document, [sign(key, document.message()).to_json() for key in net.people("desk")]
    )
    message = hold(net, case, "trust", "Open")
    refused(net, "trust", "Open", message, "row_released")
    query = str(certificate_of(message)["query"])
    assert net.services["trust"].store.one(tables.release, query=query) is None, "nothing was kept"
    first, second = net.people("trust")
    other = {"query": query, "case": 0, "list": "ab" * 32, "reason": "married"}
    salt = exception_salt(net.services["trust"].keys.vault.get("exceptions"), query, 0)
    digest = list_digest(canonical.decode(message.list, max_bytes=1 << 20, max_depth=16))
    exception = {**other, "list": commit(salt, b"list", digest).hex()}
    with pytest.raises(RefusalError):
        net.submit("trust", "share.exception", exception, first)
    refused(net, "trust", "Open", message, "row_released")
    net.submit("trust", "share.exception", exception, first, second)
    assert send(net, "trust", "Open", message).share


def test_a_total_of_too_few_rows(net: Network) -> None:
    name = f"g-{secrets.token_hex(4)}"
    net.grant(name, "tax", min_terms=3)
    try:
        refused(net, "trust", "Open", request(net, ANNA, CHEN), "min_terms")
    finally:
        net.submit("tax", "grant.revoke", {"grant": name, "reason": "test"}, *net.people("tax"))


def test_a_household_without_rows_opens_nothing(net: Network) -> None:
    found = check(net, net.case(stranger(310)))
    assert found.total is None
    assert (found.verdict.outcome, found.verdict.net_fen) == ("dibao", 0)


def test_a_total_is_right_and_leaves_no_identity_at_the_trustee(net: Network) -> None:
    found = check(net, net.case(ANNA, CHEN))
    assert (found.verdict.net_fen, found.verdict.heads) == (1_200_000, 1)
    text = str([net.services["trust"].store.all(table) for table in tables.metadata.sorted_tables])
    assert ANNA not in text
    assert CHEN not in text
