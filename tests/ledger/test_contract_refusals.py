"""Every way an entry is refused: each code of the contract has at least one case, and a refusal changes nothing.

A case prepares a network and returns the entry that must be refused.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import ledger.contract
import ledger.schema
from keys.signing import SigningKey
from ledger import drafts
from ledger.certificate import certificate_message
from ledger.entry import Body, Entry, draft, node_message, sign_message, signed
from ledger.errors import Refused
from ledger.state import MemoryState
from tests.ledger.contract_cases import (
    NETWORK,
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

Case = tuple[str, str, Callable[[], tuple[Net, Entry]]]
CASES: list[Case] = []
QUERY = query_id(1)


def case(code: str, name: str) -> Callable[[Callable[[], tuple[Net, Entry]]], Callable[[], tuple[Net, Entry]]]:
    """Add a case under the code it must be refused with."""

    def add(make: Callable[[], tuple[Net, Entry]]) -> Callable[[], tuple[Net, Entry]]:
        CASES.append((code, name, make))
        return make

    return add


def simple(
    code: str,
    name: str,
    stage: Callable[[], Net],
    type: str,
    by: str | SigningKey,
    body: Body | Callable[[Net], Body],
    co: Iterable[SigningKey] = (),
    **more: Any,
) -> None:
    """Add a case that is one entry on a stage."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        made = body(net) if callable(body) else body
        return net, net.entry(type, by, made, co, **more)

    CASES.append((code, name, make))


def tampered(code: str, name: str, change: Callable[[Net, Body], Any], stage: Callable[[], Net] = ready) -> None:
    """Add a case whose certificate differs before the registrar signs it."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        certificate = net.certificate(QUERY)
        change(net, certificate)
        body = net.intent_body(certificate, net.slots(0))
        return net, net.entry("query.intent", "office", body, id=QUERY)

    CASES.append((code, name, make))


def slotted(code: str, name: str, slots: list[tuple[str, str, int]], stage: Callable[[], Net] = ready) -> None:
    """Add a case of an intent with these slots."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        query = query_id("slots")
        body = net.intent_body(net.certificate(query), slots)
        return net, net.entry("query.intent", "office", body, id=query)

    CASES.append((code, name, make))


def granted(code: str, name: str, **changes: Any) -> None:
    """Add a case of an intent under a second grant of tax that differs so."""

    def make() -> tuple[Net, Entry]:
        net = ready()
        net.grant("tax", "g-2", **changes)
        certificate = net.certificate(QUERY, "tax.owner")
        certificate["datasets"][0]["grant"] = "g-2"
        body = net.intent_body(certificate, net.slots(0, grants=["g-2"]))
        return net, net.entry("query.intent", "office", body, id=QUERY)

    CASES.append((code, name, make))


# Every entry.

INCIDENT = drafts.incident("no_intent", 1)
simple("time_ahead", "a time after the contract's", founded, "incident", "tax", INCIDENT, time="2026-11-22T02:00:01Z")
simple("no_genesis", "another type first", empty, "incident", "tax", INCIDENT)
simple("genesis_exists", "a second genesis", founded, "network.genesis", "seq", genesis_body(), id="genesis")
simple("id_used", "the id of another type", asked, "incident", "tax", INCIDENT, id=QUERY)
simple("id_used", "the genesis id", founded, "incident", "tax", INCIDENT, id="genesis")
simple("identifier_shaped", "an identity number as id", founded, "incident", "tax", INCIDENT, id="110105194912310021")


@case("wrong_network", "an entry of another network")
def _wrong_network() -> tuple[Net, Entry]:
    net = founded()
    return net, signed(draft("t-county", "incident", digest("x")[:32], net.now, INCIDENT), signer("tax"))


@case("id_used", "the same entry again")
def _replayed() -> tuple[Net, Entry]:
    net = ready()
    return net, net.apply(net.intent())


# Form of the body.

simple("unknown_type", "a type of the future", founded, "query.batch", "office", {})
simple("unknown_field", "a field too many", founded, "incident", "tax", {**INCIDENT, "note": "x"})
simple("missing_field", "a field too few", founded, "incident", "tax", {"code": "x"})
simple("missing_field", "no suite", empty, "network.genesis", "seq", {**genesis_body(), "params": {"x": 1}}, id="genesis")
for bad_name, bad in {
    "a boolean for a number": {**INCIDENT, "count": True},
    "text for a number": {**INCIDENT, "count": "1"},
    "a negative count": {**INCIDENT, "count": -1},
    "upper case in a code": {**INCIDENT, "code": "No"},
    "upper-case hex": {**INCIDENT, "commitment": digest(1).upper()},
    "short hex": {**INCIDENT, "commitment": digest(1)[2:]},
    "null": {**INCIDENT, "commitment": None},
}.items():
    simple("bad_field", bad_name, founded, "incident", "tax", bad)
for bad_name, changes in {
    "no such day": {"as_of": "2026-02-30"},
    "a list for an object": {"coverage": []},
    "an object for a list": {"coverage": {"title": "x", "regions": {}}},
    "a region twice": {"coverage": {"title": "x", "regions": ["33", "33"]}},
    "control characters": {"secrecy": "a\nb"},
    "empty text": {"secrecy": ""},
    "a dot in the epoch": {"epoch": "2026.11"},
    "a slash in the dataset": {"dataset": "tax.a/b"},
    "another kind": {"kind": "bits"},
    "a number for text": {"dataset": 7},
    "a number for a date": {"as_of": 20261031},
}.items():
    simple(
        "bad_field", bad_name, founded, "dataset.publish", "tax", lambda net, c=changes: {**net.publish_body("tax.owner"), **c}
    )
simple("bad_field", "a repeated commitment", founded, "consent.commit", "desk", {"commitments": [digest(1), digest(1)]})
simple(
    "bad_field", "a name outside the pattern", founded, "sumkey.publish", "office",
    lambda net: net.sumkey_body(verification={"Office": "00"}),
)  # fmt: skip
simple(
    "bad_field", "verification is no object", founded, "sumkey.publish", "office",
    lambda net: {**net.sumkey_body(), "verification": []},
)  # fmt: skip
simple("bad_field", "pilot is text", empty, "network.genesis", "seq", {**genesis_body(), "pilot": "no"}, id="genesis")
for text in ("11010519491231002X", "申请人 440524188001010014", "440524880101001", "３３１０２２１９８００１０１００１４"):
    body_with = {"grant": "g-tax", "reason": text}
    simple("identifier_shaped", f"text of {len(text)}", ready, "grant.revoke", "tax", body_with, operators("tax"))

# Signers.

simple("unknown_signer", "a stranger's node", founded, "incident", signer("stranger"), INCIDENT)
simple(
    "unknown_signer", "a stranger co-signs", founded, "member.remove", "audit",
    drafts.member_remove("tax", 2, "x"), [signer("seq"), signer("audit"), signer("desk"), signer("stranger")],
)  # fmt: skip
simple("not_a_node_key", "an operator submits", founded, "incident", signer("tax", "operator"), INCIDENT)
simple("not_a_node_key", "a witness key submits", founded, "incident", signer("tax", "witness"), INCIDENT)
APPROVE = drafts.grant_decide("g-2", "approve")


def requested() -> Net:
    net = ready()
    net.do("grant.request", "office", net.grant_body("tax", "g-2"))
    return net


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
REMOVE = drafts.member_remove("tax", 2, "x")
for co_code, co_name, co in [
    ("missing_signer", "half of the founders", Net().founders(3)),
    ("surplus_signer", "an operator of a founder", [*Net().founders(4), signer("tax", "operator")]),
    ("duplicate_signer", "a founder twice", [*Net().founders(3), signer("seq")]),
]:
    simple(co_code, co_name, founded, "member.remove", "audit", REMOVE, co)
simple("surplus_signer", "a second signer where none is wanted", founded, "incident", "tax", INCIDENT, [signer("audit")])
simple("missing_signer", "a sum key without its trustee", founded, "sumkey.publish", "office", lambda net: net.sumkey_body())
simple(
    "surplus_signer", "a sum key with another's signature", founded, "sumkey.publish", "office",
    lambda net: net.sumkey_body(), [signer("trust"), signer("audit")],
)  # fmt: skip
simple(
    "missing_signer", "genesis without a founder", empty, "network.genesis", "seq", genesis_body(), Net().founders(6), id="genesis"
)
for role_type, role_by, role_body, role_co in [
    ("dataset.publish", "office", lambda net: net.publish_body("tax.owner"), ()),
    ("dataset.verified", "tax", drafts.dataset_verified("tax.owner", "2026-11.1", digest(1)), ()),
    ("dataset.retired", "audit", drafts.dataset_retired("tax.owner", "2026-11.1", "x"), ()),
    ("sumkey.publish", "trust", lambda net: net.sumkey_body(), [signer("trust")]),
    ("rules.publish", "audit", lambda net: net.rules_body(), ()),
    ("grant.request", "tax", lambda net: net.grant_body("tax"), ()),
    ("grant.decide", "office", drafts.grant_decide("g-tax", "approve"), operators("office")),
    ("grant.revoke", "office", drafts.grant_revoke("g-tax", "x"), operators("office")),
    ("grant.review", "office", drafts.grant_review("g-tax", "x"), operators("office")),
    ("consent.commit", "office", drafts.consent_commit([digest(1)]), ()),
    ("consent.revoke", "office", drafts.consent_revoke(digest(1)), ()),
    ("certificate.revoke", "office", drafts.certificate_revoke(digest(1)), ()),
    ("query.refused", "office", drafts.query_refused(digest(1), "x"), ()),
    ("query.answer", "office", drafts.query_answer(QUERY, "tax.owner", "answered", digest(1)), ()),
    ("query.close", "tax", drafts.query_close(QUERY, digest(1), digest(2)), ()),
    ("share.release", "office", drafts.share_release(QUERY, 0, digest(1)), ()),
    ("share.exception", "office", drafts.share_exception(QUERY, 0, digest(1), "x"), operators("office")),
    ("case.decision", "tax", drafts.committed(digest(1), "x"), ()),
]:
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
    net = requested()
    made = net.entry("grant.decide", "tax", APPROVE, [signer("tax", "operator"), signer("tax")])
    return _resigned(net, made, sig=made.sigs[2].sig)[0], dataclasses.replace(
        made, sigs=(made.sigs[2], made.sigs[1], net.entry("incident", "tax", INCIDENT, operators("tax")).sigs[2])
    )


@case("bad_signature", "an operator's over another body")
def _bad_operator() -> tuple[Net, Entry]:
    net = requested()
    other = net.entry("grant.decide", "tax", drafts.grant_decide("g-2", "reject"), operators("tax"), id="one")
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


@case("unknown_signer", "a retired node key")
def _retired_key() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.key", "audit", drafts.member_key("tax", 2, key_objects("tax", 1)), net.founders())
    return net, net.entry("incident", "tax", INCIDENT)


@case("unknown_signer", "a removed member")
def _removed_member() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.remove", "audit", REMOVE, net.founders())
    return net, net.entry("incident", "tax", INCIDENT)


# Members.


def admission(code: str, name: str, member: Body, version: int = 1) -> None:
    """Add a case of an admission with enough founders."""
    body = drafts.member_admit(member, version)
    simple(code, name, founded, "member.admit", "audit", body, Net().founders())


def keyed(*keys: Body) -> Body:
    return {**member_object("sib", ["department"]), "keys": list(keys)}


NODE, OPERATOR, _OTHER, WITNESS, SEAL = key_objects("sib")
admission("role_conflict", "office and trustee", member_object("sib", ["office", "trustee"]))
admission("role_conflict", "office and registrar", member_object("office", ["office", "registrar"]), 2)
admission("second_registrar", "two registrars", member_object("sib", ["registrar"]))
admission("second_sequencer", "two sequencers", member_object("sib", ["sequencer"]))
admission("member_keys", "no node key", keyed(OPERATOR, WITNESS))
admission("member_keys", "two node keys", keyed(NODE, {**OPERATOR, "use": "node"}, WITNESS))
admission("member_keys", "no witness key", keyed(NODE, OPERATOR))
admission("member_keys", "a log key without the role", keyed(NODE, WITNESS, {**OPERATOR, "use": "log", "name": "x"}))
admission("member_keys", "a witness key without a name", keyed(NODE, {k: v for k, v in WITNESS.items() if k != "name"}))
admission("member_keys", "two seal keys", keyed(NODE, WITNESS, SEAL, {**SEAL, "public": digest(9)}))
admission("member_keys", "a node key that only seals", keyed({**NODE, "alg": "x25519"}, WITNESS))
admission("member_keys", "a seal key that signs", keyed(NODE, WITNESS, {**SEAL, "alg": "ed25519"}))
admission("malformed_key", "a key of small order", keyed(NODE, WITNESS, {**OPERATOR, "public": "01" + "00" * 31}))
admission("malformed_key", "a key that is not canonical", keyed(NODE, WITNESS, {**OPERATOR, "public": "ff" * 32}))
admission("key_taken", "one key for two uses", keyed(NODE, {**WITNESS, "public": NODE["public"]}))
admission("key_taken", "another member's key", keyed(NODE, WITNESS, key_objects("tax")[1]))
admission("key_name_taken", "another witness's name", keyed(NODE, {**WITNESS, "name": f"{NETWORK}/tax"}))
admission("version_not_higher", "the version before", member_object("tax", ["department"]))


def about_members(code: str, name: str, type: str, body: Body) -> None:
    simple(code, name, founded, type, "audit", body, Net().founders())


about_members("version_not_higher", "removal", "member.remove", drafts.member_remove("tax", 1, "x"))
about_members("version_not_higher", "keys", "member.key", drafts.member_key("tax", 1, key_objects("tax", 1)))
about_members("member_unknown", "removal of a stranger", "member.remove", drafts.member_remove("sib", 1, "x"))
about_members("member_unknown", "keys of a stranger", "member.key", drafts.member_key("sib", 1, key_objects("sib")))
about_members("member_keys", "keys without a node key", "member.key", drafts.member_key("tax", 2, key_objects("tax", 1)[1:]))
simple("not_the_member", "another's endpoint", founded, "member.endpoint", "tax", drafts.member_endpoint("office", 2, "x:1"))
simple("version_not_higher", "endpoint", founded, "member.endpoint", "tax", drafts.member_endpoint("tax", 1, "x:1"))


@case("key_taken", "a retired key comes back")
def _key_back() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.key", "audit", drafts.member_key("tax", 2, key_objects("tax", 1)), net.founders())
    body = drafts.member_key("tax", 3, key_objects("tax"))
    return net, net.entry("member.key", "audit", body, net.founders())


@case("key_taken", "a key changes its use")
def _key_use() -> tuple[Net, Entry]:
    net = founded()
    keys = key_objects("tax")
    keys[0], keys[1] = {**keys[1], "use": "node"}, {**keys[0], "use": "operator"}
    return net, net.entry("member.key", "audit", drafts.member_key("tax", 2, keys), net.founders())


THREE = {"seq": ("sequencer",), "office": ("office",), "desk": ("registrar",)}


def founding(code: str, name: str, body: Body, id: str = "genesis") -> None:
    ids = dict.fromkeys(member["id"] for member in body["members"])
    simple(code, name, empty, "network.genesis", "seq", body, [signer(member) for member in ids], id=id)


founding("genesis_id", "another id", genesis_body(), "first")
founding("too_few_members", "two members", genesis_body({"seq": ("sequencer",), "office": ("office",)}))
founding("role_conflict", "genesis of no pilot", genesis_body({**THREE, "a": ("office", "trustee")}))
TWICE = genesis_body(THREE)
TWICE["members"].append(member_object("office", ["office"]))
founding("member_exists", "a founder named twice", TWICE)


@case("too_few_members", "a removal from three")
def _remove_from_three() -> tuple[Net, Entry]:
    net = empty().genesis(genesis_body(THREE))
    body = drafts.member_remove("office", 2, "x")
    return net, net.entry("member.remove", "seq", body, [signer("seq"), signer("desk")])


@case("last_founder", "removal of the last founder")
def _last_founder() -> tuple[Net, Entry]:
    net = empty().genesis(genesis_body(THREE))
    for name in ("a", "b", "c"):
        body = drafts.member_admit(member_object(name, ["auditor"]), 1)
        net.do("member.admit", "seq", body, [signer("seq"), signer("desk")])
    both = [signer("seq"), signer("desk")]
    net.do("member.remove", "seq", drafts.member_remove("office", 2, "x"), both)
    net.do("member.remove", "seq", drafts.member_remove("desk", 2, "x"), both)
    return net, net.entry("member.remove", "a", drafts.member_remove("seq", 2, "x"), [signer("seq")])


# Datasets.


def published(code: str, name: str, dataset: str = "tax.owner", revision: int = 2, **changes: Any) -> None:
    simple(
        code, name, ready, "dataset.publish", "tax", lambda net: net.publish_body(dataset, revision, **changes)
    )


published("not_owner", "another's dataset", "housing.two")
published("suite_mismatch", "amounts under another suite", "tax.income", suite="paillier-3072")
published("suite_mismatch", "bits with amounts' suite", suite="paillier-2048-test")
for rows in (10, 12, 13, 24, 70, 90, 126, 1250001):
    published("rows_not_padded", f"{rows} leaves", count=rows)
published("kind_changed", "amounts of a member dataset", kind="amount", suite="paillier-2048-test")
published("publication_exists", "the same publication", revision=1, key=digest("fresh"))
published("key_reused", "the key of the revision before", key=digest("K", "tax.owner", 1))
published("key_reused", "the key of another dataset", key=digest("K", "housing.two", 1))
VERIFY = drafts.dataset_verified("tax.owner", "2026-11.1", digest("root", "tax.owner", 1))
simple("already_verified", "the auditor again", ready, "dataset.verified", "audit", VERIFY)
simple(
    "publication_unknown", "verification of nothing", ready, "dataset.verified", "audit", {**VERIFY, "publication": "2026-11.9"}
)
RETIRE = drafts.dataset_retired("tax.owner", "2026-11.1", "key destroyed")
simple("not_owner", "another's retirement", ready, "dataset.retired", "housing", RETIRE)
simple("publication_unknown", "retiring nothing", ready, "dataset.retired", "tax", {**RETIRE, "publication": "2026-11.9"})


@case("root_differs", "another root")
def _root() -> tuple[Net, Entry]:
    net = founded()
    net.do("dataset.publish", "tax", net.publish_body("tax.owner"))
    return net, net.entry("dataset.verified", "audit", {**VERIFY, "root": digest("other")})


def retired() -> Net:
    net = ready()
    net.do("dataset.retired", "tax", RETIRE)
    return net


simple("publication_retired", "retired twice", retired, "dataset.retired", "tax", RETIRE)
simple("publication_retired", "verified after", retired, "dataset.verified", "audit", VERIFY)

# The sum key.


def summed(code: str, name: str, stage: Callable[[], Net] = founded, co: str = "trust", **changes: Any) -> None:
    simple(
        code, name, stage, "sumkey.publish", "office", lambda net: net.sumkey_body(**changes), [signer(co)]
    )


summed("suite_mismatch", "another suite", suite="paillier-3072")
summed("sumkey_holders", "another office", office="desk")
summed("sumkey_holders", "a trustee without the role", co="audit", trustees=["audit"])
summed("sumkey_holders", "no value for the office", verification={"trust": digest("v")})
summed("sumkey_holders", "a value for a stranger", verification=dict.fromkeys(["office", "trust", "tax"], digest("v")))
summed("sumkey_threshold", "more than the holders", threshold=3)
summed("sumkey_modulus", "a bit less", modulus="7" + "f" * 511)
summed("sumkey_modulus", "another size", bits=3072)
summed("sumkey_exists", "a second key", ready)

# Rules.

simple("rules_exist", "the same version", ready, "rules.publish", "office", lambda net: net.rules_body())
simple("rules_overlap", "one dataset twice", ready, "rules.publish", "office",
       lambda net: net.rules_body(version="2", deduct=["tax.income"]))  # fmt: skip
APPROVAL = founded().approve_body()
simple("rules_unknown", "approval of nothing", ready, "rules.approve", "audit", {**APPROVAL, "version": "2"})
simple("rules_digest", "approval of another text", ready, "rules.approve", "audit", {**APPROVAL, "digest": digest(1)})
simple("not_approver", "the owner of bits only", ready, "rules.approve", "housing", APPROVAL)
simple("already_approved", "the owner again", ready, "rules.approve", "tax", APPROVAL)

# Grants.


def asking(code: str, name: str, owner: str = "tax", **changes: Any) -> None:
    fields: dict[str, Any] = {"grant": "g-2", **changes}
    simple(code, name, ready, "grant.request", "office", lambda net: {**net.grant_body(owner), **fields})


ONE = {"dataset": "tax.owner", "definition": digest(1)}
asking("grant_requester", "for another office", requester="audit")
asking("grant_owner", "an owner who is no department", owner="audit", datasets=[{**ONE, "dataset": "audit.x"}])
asking("grant_owner", "an owner who is no member", owner="sib", datasets=[{**ONE, "dataset": "sib.x"}])
asking("grant_owner", "two owners", datasets=[ONE, {**ONE, "dataset": "housing.two"}])
asking("grant_dataset", "one dataset twice", datasets=[ONE, {**ONE, "definition": digest(2)}])
asking("grant_dates", "until before from", until="2026-10-31")
asking("grant_exists", "an id in use", grant="g-tax")
for owner_type, owner_word in (("decide", "approve"), ("revoke", "x"), ("review", "x")):
    word = {"decide": "decision", "revoke": "reason", "review": "result"}[owner_type]
    simple("grant_unknown", f"{owner_type} of nothing", ready, f"grant.{owner_type}", "tax",
           {"grant": "g-9", word: owner_word}, operators("tax"))  # fmt: skip
    simple("not_owner", f"{owner_type} by another owner", ready, f"grant.{owner_type}", "housing",
           {"grant": "g-tax", word: owner_word}, operators("housing"))  # fmt: skip
simple("grant_decided", "decided twice", ready, "grant.decide", "tax",
       drafts.grant_decide("g-tax", "reject"), operators("tax"))  # fmt: skip
simple("grant_not_approved", "revoked before", requested, "grant.revoke", "tax",
       drafts.grant_revoke("g-2", "x"), operators("tax"))  # fmt: skip
simple("grant_not_approved", "reviewed before", requested, "grant.review", "tax",
       drafts.grant_review("g-2", "x"), operators("tax"))  # fmt: skip

# Consents and certificates.


def consented() -> Net:
    net = founded()
    net.do("consent.commit", "desk", drafts.consent_commit([digest("c", 1), digest("c", 2)]))
    net.do("consent.revoke", "desk", drafts.consent_revoke(digest("c", 1)))
    net.do("certificate.revoke", "desk", drafts.certificate_revoke(digest("cert")))
    return net


simple("consent_exists", "committed twice", consented, "consent.commit", "desk", drafts.consent_commit([digest("c", 2)]))
simple("consent_unknown", "never committed", consented, "consent.revoke", "desk", drafts.consent_revoke(digest("c", 3)))
simple("consent_revoked", "revoked twice", consented, "consent.revoke", "desk", drafts.consent_revoke(digest("c", 1)))
simple("certificate_revoked", "twice", consented, "certificate.revoke", "desk", drafts.certificate_revoke(digest("cert")))

# Intents: the certificate.

tampered("certificate_network", "another network", lambda net, c: c.update(network="t-county"))
tampered("certificate_office", "another office", lambda net, c: c.update(office="desk"))
tampered("certificate_query", "another query", lambda net, c: c.update(query=query_id(2)))
tampered("certificate_early", "not yet valid", lambda net, c: c.update(not_before="2026-11-22T02:00:01Z"))
tampered("certificate_expired", "no longer valid", lambda net, c: c.update(not_after="2026-11-22T01:59:59Z"))
tampered("registrar_role", "another role", lambda net, c: c.update(registrar="audit"))
tampered("registrar_role", "no member", lambda net, c: c.update(registrar="nobody"))
tampered("unknown_field", "a field too many", lambda net, c: c.update(name="x"))
tampered("missing_field", "no consents", lambda net, c: c.pop("consents"))


def _intent(net: Net, body: Body) -> tuple[Net, Entry]:
    return net, net.entry("query.intent", "office", body, id=QUERY)


@case("certificate_digest", "another digest")
def _digest() -> tuple[Net, Entry]:
    net = ready()
    body = net.intent().body
    return _intent(net, {**body, "digest": digest("other")})


@case("certificate_revoked", "revoked before its intent")
def _revoked_before() -> tuple[Net, Entry]:
    net = ready()
    made = net.intent()
    net.do("certificate.revoke", "desk", drafts.certificate_revoke(made.body["digest"]))
    return net, made


@case("registrar_key", "the office signs for the registrar")
def _office_signs() -> tuple[Net, Entry]:
    net = ready()
    return _intent(net, net.intent_body(net.certificate(QUERY), net.slots(0), signer("office")))


@case("registrar_key", "an operator of the registrar")
def _operator_signs() -> tuple[Net, Entry]:
    net = ready()
    return _intent(net, net.intent_body(net.certificate(QUERY), net.slots(0), signer("desk", "operator")))


@case("certificate_signature", "of another certificate")
def _other_certificate() -> tuple[Net, Entry]:
    net = ready()
    other = net.certificate(QUERY, elements=digest("other"))
    signature = sign_message(signer("desk"), certificate_message(other))
    return _intent(net, {**net.intent_body(net.certificate(QUERY), net.slots(0)), "signature": signature.to_json()})


@case("certificate_signature", "an algorithm the key has not")
def _certificate_alg() -> tuple[Net, Entry]:
    net = ready()
    body = net.intent().body
    return _intent(net, {**body, "signature": {**body["signature"], "alg": "sm2"}})


@case("registrar_role", "no longer the registrar")
def _registrar_gone() -> tuple[Net, Entry]:
    net = ready()
    net.do("member.admit", "audit", drafts.member_admit(member_object("desk", ["auditor"]), 2), net.founders())
    return net, net.intent()


# Intents: what is asked.


def traced(count: int, length: int, width: int = 32) -> Callable[[Net, Body], None]:
    def change(net: Net, certificate: Body) -> None:
        tags = sorted(digest("trace", index)[:width] for index in range(length))
        certificate.update(count=count, trace=tags)

    return change


for elements in (1, 2, 3, 5, 12, 1000):
    tampered("elements_not_padded", f"{elements} elements", traced(elements, min(elements, 256)))
tampered("elements_not_padded", "1025 elements", lambda net, c: c.update(count=1025, trace=[digest(1)]))
tampered("case_count", "more cases than elements", lambda net, c: c.update(cases=5))
tampered("trace_count", "one tag too few", traced(8, 7))
tampered("trace_count", "one tag too many", traced(4, 5))
tampered("trace_count", "long tags", traced(4, 4, 64))
tampered("trace_count", "tags where the root belongs", traced(512, 256))
tampered("trace_count", "a short root", traced(512, 1))
tampered("trace_order", "unsorted", lambda net, c: c["trace"].reverse())
tampered("bad_field", "one tag twice", lambda net, c: c.update(trace=[c["trace"][0]] * 4))
tampered("rules_unknown", "another version", lambda net, c: c["rules"].update(version="2"))
tampered("rules_digest", "another text", lambda net, c: c["rules"].update(digest=digest("other")))
tampered("datasets_order", "unsorted", lambda net, c: c["datasets"].reverse())
tampered("datasets_order", "one twice", lambda net, c: c["datasets"].append(c["datasets"][-1]))
tampered("dataset_not_in_rules", "one that the rules do not name", lambda net, c: c["datasets"][2].update(dataset="tax.z"))
tampered("publication_key", "another key", lambda net, c: c["datasets"][0].update(key=digest("other")))
tampered("publication_not_current", "a publication that is not", lambda net, c: c["datasets"][0].update(publication="2026-11.2"))
tampered("protocol_not_sum", "a check of amounts", lambda net, c: c.update(protocol="check"))
tampered("grant_unknown", "no such grant", lambda net, c: c["datasets"][0].update(grant="g-9"))
tampered("grant_reveal", "another result", lambda net, c: c.update(reveal="bits"))
tampered("grant_purpose", "another purpose", lambda net, c: c.update(purpose="housing"))
tampered("grant_dataset", "under the other owner's grant", lambda net, c: c["datasets"][0].update(grant="g-tax"))


def staged(code: str, name: str, stage: Callable[[Net], object]) -> None:
    """Add a case of a valid intent after something happened."""

    def make() -> tuple[Net, Entry]:
        net = ready()
        stage(net)
        return net, net.intent()

    CASES.append((code, name, make))


def unverified(net: Net, *by: str) -> None:
    net.do("dataset.publish", "tax", net.publish_body("tax.owner", 2))
    for member in by:
        net.verify(member, "tax.owner", 2)


def asks_unverified(*by: str) -> Callable[[], tuple[Net, Entry]]:
    def make() -> tuple[Net, Entry]:
        net = ready()
        unverified(net, *by)
        certificate = net.certificate(QUERY)
        certificate["datasets"][2:] = net.lines("tax.owner", revision=2)
        return _intent(net, net.intent_body(certificate, net.slots(0)))

    return make


staged("publication_not_current", "a newer one is verified", lambda net: unverified(net, "audit", "office"))
CASES.append(("publication_not_current", "the auditor alone verified it", asks_unverified("audit")))
CASES.append(("publication_not_current", "the office alone verified it", asks_unverified("office")))
staged("publication_not_current", "retired", lambda net: net.do("dataset.retired", "tax", RETIRE))
staged("definition_changed", "a new definition", lambda net: net.publish("tax.owner", 1, epoch="x", definition=digest(1), key=digest(2))
       if False else _redefine(net))  # fmt: skip
staged("grant_revoked", "revoked", lambda net: net.do(
    "grant.revoke", "tax", drafts.grant_revoke("g-tax", "x"), operators("tax")))  # fmt: skip
staged("owner_gone", "the owner was removed", lambda net: net.do("member.remove", "audit", REMOVE, net.founders()))
