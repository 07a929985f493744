"""Cases of refused entries: who signed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from keys.signing import SigningKey
from ledger.entries import bodies
from ledger.entries.entry import Body, Entry, draft, node_message, sign_body, sign_message
from tests.ledger.contract.contract_cases import (
    NETWORK,
    Net,
    answered,
    digest,
    empty,
    founded,
    genesis_body,
    key_objects,
    operators,
    ready,
    signer,
)
from tests.ledger.contract.refusal_cases import APPROVE, INCIDENT, QUERY, REMOVE, case, requested, simple

# Signers.

simple("unknown_signer", "a stranger's node", founded, "incident", signer("stranger"), INCIDENT)
simple(
    "unknown_signer", "a stranger co-signs", founded, "member.remove", "audit",
    bodies.member_remove("tax", 2, "x"), [signer("seq"), signer("audit"), signer("desk"), signer("stranger")],
)  # fmt: skip
simple("not_a_node_key", "an operator submits", founded, "incident", signer("tax", "operator"), INCIDENT)
simple("not_a_node_key", "a witness key submits", founded, "incident", signer("tax", "witness"), INCIDENT)
for co_code, co_name, co in [
    ("duplicate_signer", "one operator twice", [signer("tax", "operator"), signer("tax", "operator")]),
    ("missing_signer", "one operator", operators("tax")[:1]),
    ("missing_signer", "no operator", []),
    ("surplus_signer", "three signers", [*operators("tax"), signer("tax")]),
    ("surplus_signer", "another member's operators", operators("housing")),
    ("surplus_signer", "one of each", [signer("tax", "operator"), signer("housing", "operator")]),
    ("surplus_signer", "the witness key", [signer("tax", "operator"), signer("tax", "witness")]),
]:
    simple(co_code, co_name, requested, "grant.decide", "tax", APPROVE, co)
for co_code, co_name, co in [
    ("missing_signer", "half of the founders", Net().founders(3)),
    ("surplus_signer", "an operator of a founder", [*Net().founders(4), signer("tax", "operator")]),
    ("duplicate_signer", "a founder twice", [*Net().founders(3), signer("seq")]),
]:
    simple(co_code, co_name, founded, "member.remove", "audit", REMOVE, co)
simple(
    "surplus_signer",
    "a second signer where none is wanted",
    founded,
    "incident",
    "tax",
    INCIDENT,
    [signer("audit")],
)
simple(
    "missing_signer",
    "a sum key without its trustee",
    founded,
    "sumkey.publish",
    "office",
    lambda net: net.sumkey_body(),
)
simple(
    "surplus_signer", "a sum key with another's signature", founded, "sumkey.publish", "office",
    lambda net: net.sumkey_body(), [signer("trust"), signer("audit")],
)  # fmt: skip
simple(
    "missing_signer",
    "genesis without a founder",
    empty,
    "network.genesis",
    "seq",
    genesis_body(),
    Net().founders(6),
    id="genesis",
)
ROLES: list[tuple[str, str, Body | Callable[[Net], Body], Iterable[SigningKey]]] = [
    ("dataset.publish", "office", lambda net: net.publish_body("tax.owner"), ()),
    ("dataset.verified", "tax", bodies.dataset_verified("tax.owner", "2026-11.1", digest(1)), ()),
    ("dataset.retired", "audit", bodies.dataset_retired("tax.owner", "2026-11.1", "x"), ()),
    ("sumkey.publish", "trust", lambda net: net.sumkey_body(), [signer("trust")]),
    ("rules.publish", "audit", lambda net: net.rules_body(), ()),
    ("grant.request", "tax", lambda net: net.grant_body("tax"), ()),
    ("grant.decide", "office", bodies.grant_decide("g-tax", "approve"), operators("office")),
    ("grant.revoke", "office", bodies.grant_revoke("g-tax", "x"), operators("office")),
    ("grant.review", "office", bodies.grant_review("g-tax", "x"), operators("office")),
    ("consent.commit", "office", bodies.consent_commit([digest(1)]), ()),
    ("consent.revoke", "office", bodies.consent_revoke(digest(1)), ()),
    ("certificate.revoke", "office", bodies.certificate_revoke(digest(1)), ()),
    ("query.refused", "office", bodies.query_refused(digest(1), "x"), ()),
    ("query.answer", "office", bodies.query_answer(QUERY, "tax.owner", "answered", digest(1)), ()),
    ("query.close", "tax", bodies.query_close(QUERY, digest(1), digest(2)), ()),
    ("share.release", "office", bodies.share_release(QUERY, 0, digest(1)), ()),
    ("share.exception", "office", bodies.share_exception(QUERY, 0, digest(1), "x"), operators("office")),
    ("case.decision", "tax", bodies.committed(digest(1), "x"), ()),
]
for role_type, role_by, role_body, role_co in ROLES:
    simple("role_missing", f"{role_type} by {role_by}", answered, role_type, role_by, role_body, role_co)


@case("role_missing", "an intent by a department")
def _intent_by_department() -> tuple[Net, Entry]:
    net = ready()
    body = net.intent_body(net.certificate(QUERY, office="tax"), net.slots(0))
    return net, net.entry("query.intent", "tax", body, id=QUERY)


@case("role_missing", "genesis by another than the sequencer")
def _genesis_by_office() -> tuple[Net, Entry]:
    net = empty()
    return net, net.entry("network.genesis", "office", genesis_body(), net.founders(7), id="genesis")


@case("missing_signer", "a draft")
def _draft() -> tuple[Net, Entry]:
    net = founded()
    return net, draft(NETWORK, "incident", "a", net.now, INCIDENT)


def _resigned(net: Net, entry: Entry, number: int = 0, **changes: Any) -> tuple[Net, Entry]:
    sigs = list(entry.sigs)
    sigs[number] = dataclasses.replace(sigs[number], **changes)
    return net, dataclasses.replace(entry, sigs=tuple(sigs))


@case("bad_signature", "the node's over other bytes")
def _bad_node() -> tuple[Net, Entry]:
    net = founded()
    made = net.entry("incident", "tax", INCIDENT)
    return net, dataclasses.replace(made, body={**INCIDENT, "count": 2})


@case("bad_signature", "another time than signed")
def _bad_time() -> tuple[Net, Entry]:
    net = founded()
    return net, dataclasses.replace(net.entry("incident", "tax", INCIDENT), time="2026-11-22T01:59:59Z")


@case("bad_signature", "another algorithm's name")
def _bad_alg() -> tuple[Net, Entry]:
    net = founded()
    return _resigned(net, net.entry("incident", "tax", INCIDENT), alg="sm2")


@case("bad_signature", "a short signature")
def _short() -> tuple[Net, Entry]:
    net = founded()
    return _resigned(net, net.entry("incident", "tax", INCIDENT), sig="00" * 63)


@case("bad_signature", "a body signature where the node's belongs")
def _body_for_node() -> tuple[Net, Entry]:
    net = founded()
    made = net.entry("incident", "tax", INCIDENT)
    return net, dataclasses.replace(made, sigs=(sign_body(signer("tax"), made),))


@case("bad_signature", "an operator's over another body")
def _bad_operator() -> tuple[Net, Entry]:
    net = requested()
    other = net.entry("grant.decide", "tax", bodies.grant_decide("g-2", "reject"), operators("tax"), id="one")
    made = net.entry("grant.decide", "tax", APPROVE, operators("tax"), id="one")
    return net, dataclasses.replace(made, sigs=(*made.sigs[:2], other.sigs[2]))


@case("bad_signature", "an operator's from another entry")
def _moved_operator() -> tuple[Net, Entry]:
    net = requested()
    other = net.entry("grant.decide", "tax", APPROVE, operators("tax"))
    made = net.entry("grant.decide", "tax", APPROVE, operators("tax"))
    return net, dataclasses.replace(made, sigs=(*made.sigs[:2], other.sigs[2]))


@case("bad_signature", "an operator signed like a node")
def _operator_as_node() -> tuple[Net, Entry]:
    net = requested()
    made = net.entry("grant.decide", "tax", APPROVE, operators("tax"))
    wrong = sign_message(signer("tax", "operator", 1), node_message(made))
    return net, dataclasses.replace(made, sigs=(*made.sigs[:2], wrong))


@case("surplus_signer", "three operators of the member")
def _three_operators() -> tuple[Net, Entry]:
    net = requested()
    third = signer("tax", "operator", 2)
    keys = [*key_objects("tax"), bodies.key("operator", "ed25519", third.public.raw)]
    net.do("member.key", "audit", bodies.member_key("tax", 2, keys), net.founders())
    return net, net.entry("grant.decide", "tax", APPROVE, [*operators("tax"), third])


@case("unknown_signer", "a retired node key")
def _retired_key() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.key", "audit", bodies.member_key("tax", 2, key_objects("tax", 1)), net.founders())
    return net, net.entry("incident", "tax", INCIDENT)


@case("unknown_signer", "a removed member")
def _removed_member() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.remove", "audit", REMOVE, net.founders())
    return net, net.entry("incident", "tax", INCIDENT)
