"""Cases of refused intents: the certificate and what is asked."""

from __future__ import annotations

from collections.abc import Callable

from ledger.entries import bodies
from ledger.entries.entry import Body, Entry, certificate_message, sign_message
from tests.ledger.contract.contract_cases import (
    Net,
    digest,
    founded,
    member_object,
    operators,
    query_id,
    ready,
    signer,
)
from tests.ledger.contract.refusal_cases import CASES, QUERY, REMOVE, RETIRE, case, intent_entry, tampered

# Intents: the certificate.

tampered("certificate_network", "another network", lambda net, c: c.update(network="t-county"))
tampered("certificate_office", "another office", lambda net, c: c.update(office="desk"))
tampered("certificate_query", "another query", lambda net, c: c.update(query=query_id(2)))
tampered("certificate_early", "not yet valid", lambda net, c: c.update(not_before="2026-11-22T02:00:01Z"))
tampered("certificate_expired", "no longer valid", lambda net, c: c.update(not_after="2026-11-22T01:59:59Z"))
tampered("bad_field", "valid until dates end", lambda net, c: c.update(not_after="9999-12-31T23:59:59Z"))
tampered("registrar_role", "another role", lambda net, c: c.update(registrar="audit"))
tampered("registrar_role", "no member", lambda net, c: c.update(registrar="nobody"))
tampered("unknown_field", "a field too many", lambda net, c: c.update(name="x"))
tampered("missing_field", "no consents", lambda net, c: c.pop("consents"))


@case("certificate_digest", "another digest")
def _digest() -> tuple[Net, Entry]:
    net = ready()
    body = net.intent().body
    return intent_entry(net, {**body, "digest": digest("other")})


@case("certificate_revoked", "revoked before its intent")
def _revoked_before() -> tuple[Net, Entry]:
    net = ready()
    made = net.intent()
    net.do("certificate.revoke", "desk", bodies.certificate_revoke(made.body["digest"]))
    return net, made


@case("registrar_key", "the office signs for the registrar")
def _office_signs() -> tuple[Net, Entry]:
    net = ready()
    return intent_entry(net, net.intent_body(net.certificate(QUERY), net.slots(0), signer("office")))


@case("registrar_key", "an operator of the registrar")
def _operator_signs() -> tuple[Net, Entry]:
    net = ready()
    return intent_entry(
        net, net.intent_body(net.certificate(QUERY), net.slots(0), signer("desk", "operator"))
    )


@case("certificate_signature", "of another certificate")
def _other_certificate() -> tuple[Net, Entry]:
    net = ready()
    other = net.certificate(QUERY, elements=digest("other"))
    signature = sign_message(signer("desk"), certificate_message(other))
    return intent_entry(
        net, {**net.intent_body(net.certificate(QUERY), net.slots(0)), "signature": signature.to_json()}
    )


@case("certificate_signature", "an algorithm the key has not")
def _certificate_alg() -> tuple[Net, Entry]:
    net = ready()
    body = net.intent().body
    return intent_entry(net, {**body, "signature": {**body["signature"], "alg": "sm2"}})


@case("registrar_role", "no longer the registrar")
def _registrar_gone() -> tuple[Net, Entry]:
    net = ready()
    net.do(
        "member.admit", "audit", bodies.member_admit(member_object("desk", ["auditor"]), 2), net.founders()
    )
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
tampered(
    "dataset_not_in_rules",
    "one that the rules do not name",
    lambda net, c: c["datasets"][2].update(dataset="tax.z"),
)
tampered("publication_key", "another key", lambda net, c: c["datasets"][0].update(key=digest("other")))
tampered(
    "publication_not_current",
    "a publication that is not",
    lambda net, c: c["datasets"][0].update(publication="2026-11.2"),
)
tampered("protocol_not_sum", "a check of amounts", lambda net, c: c.update(protocol="check"))
tampered("grant_unknown", "no such grant", lambda net, c: c["datasets"][0].update(grant="g-9"))
tampered("grant_reveal", "another result", lambda net, c: c.update(reveal="bits"))
tampered("grant_purpose", "another purpose", lambda net, c: c.update(purpose="housing"))
tampered(
    "grant_dataset", "under the other owner's grant", lambda net, c: c["datasets"][0].update(grant="g-tax")
)


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
        return intent_entry(net, net.intent_body(certificate, net.slots(0)))

    return make


staged("publication_not_current", "a newer one is verified", lambda net: unverified(net, "audit", "office"))
CASES.append(("publication_not_current", "the auditor alone verified it", asks_unverified("audit")))
CASES.append(("publication_not_current", "the office alone verified it", asks_unverified("office")))
staged("publication_not_current", "retired", lambda net: net.do("dataset.retired", "tax", RETIRE))
staged("grant_revoked", "revoked", lambda net: net.do(
    "grant.revoke", "tax", bodies.grant_revoke("g-tax", "x"), operators("tax")))  # fmt: skip
staged(
    "owner_gone",
    "the owner was removed",
    lambda net: net.do("member.remove", "audit", REMOVE, net.founders()),
)


@case("definition_changed", "a new definition under the old grant")
def _redefined() -> tuple[Net, Entry]:
    net = ready()
    net.publish("tax.owner", 2, definition=digest("wider"))
    certificate = net.certificate(QUERY)
    certificate["datasets"][2:] = net.lines("tax.owner", revision=2)
    return intent_entry(net, net.intent_body(certificate, net.slots(0)))


@case("sumkey_missing", "before the sum key")
def _no_sumkey() -> tuple[Net, Entry]:
    net = founded()
    net.do("rules.publish", "office", net.rules_body(income=[]))
    net.do("rules.approve", "audit", net.approve_body())
    return net, net.intent(datasets=net.lines("tax.owner"))


def approved_by(*members: str) -> Callable[[], tuple[Net, Entry]]:
    def make() -> tuple[Net, Entry]:
        net = ready()
        net.do("rules.publish", "office", net.rules_body(version="2"))
        for member in members:
            net.do("rules.approve", member, net.approve_body(version="2"))
        rules = {"id": "dibao", "version": "2", "digest": digest("rules")}
        return net, net.intent(rules=rules)

    return make


CASES.append(("rules_not_approved", "the auditor alone", approved_by("audit")))
CASES.append(("rules_not_approved", "the owner alone", approved_by("tax")))
