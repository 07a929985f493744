"""Cases of refused entries: datasets, the sum key, rules, grants and consents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.entries import bodies
from ledger.entries.entry import Entry
from tests.ledger.contract.contract_cases import Net, digest, founded, operators, ready, signer
from tests.ledger.contract.refusal_cases import RETIRE, case, requested, simple

# Datasets.


def published(code: str, name: str, dataset: str = "tax.owner", revision: int = 2, **changes: Any) -> None:
    simple(
        code,
        name,
        ready,
        "dataset.publish",
        "tax",
        lambda net: net.publish_body(dataset, revision, **changes),
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
VERIFY = bodies.dataset_verified("tax.owner", "2026-11.1", digest("root", "tax.owner", 1))
simple("already_verified", "the auditor again", ready, "dataset.verified", "audit", VERIFY)
simple(
    "publication_unknown",
    "verification of nothing",
    ready,
    "dataset.verified",
    "audit",
    {**VERIFY, "publication": "2026-11.9"},
)
simple("not_owner", "another's retirement", ready, "dataset.retired", "housing", RETIRE)
simple(
    "publication_unknown",
    "retiring nothing",
    ready,
    "dataset.retired",
    "tax",
    {**RETIRE, "publication": "2026-11.9"},
)


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


def summed(
    code: str, name: str, stage: Callable[[], Net] = founded, co: str = "trust", **changes: Any
) -> None:
    simple(
        code, name, stage, "sumkey.publish", "office", lambda net: net.sumkey_body(**changes), [signer(co)]
    )


summed("suite_mismatch", "another suite", suite="paillier-3072")
summed(
    "sumkey_holders",
    "another office",
    office="desk",
    verification=dict.fromkeys(["desk", "trust"], digest("v")),
)
summed(
    "sumkey_holders",
    "a trustee without the role",
    co="audit",
    trustees=["audit"],
    verification=dict.fromkeys(["office", "audit"], digest("v")),
)
summed("sumkey_holders", "no value for the office", verification={"trust": digest("v")})
summed(
    "sumkey_holders",
    "a value for a stranger",
    verification=dict.fromkeys(["office", "trust", "tax"], digest("v")),
)
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
simple(
    "rules_digest",
    "approval of another text",
    ready,
    "rules.approve",
    "audit",
    {**APPROVAL, "digest": digest(1)},
)
simple("not_approver", "the owner of bits only", ready, "rules.approve", "housing", APPROVAL)
simple("already_approved", "the owner again", ready, "rules.approve", "tax", APPROVAL)


# Grants.


def asking(code: str, name: str, owner: str = "tax", **changes: Any) -> None:
    fields: dict[str, Any] = {"grant": "g-2", **changes}
    simple(code, name, ready, "grant.request", "office", lambda net: {**net.grant_body(owner), **fields})


ONE = {"dataset": "tax.owner", "definition": digest(1)}
asking("grant_requester", "for another office", requester="audit")
asking(
    "grant_owner", "an owner who is no department", owner="audit", datasets=[{**ONE, "dataset": "audit.x"}]
)
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
       bodies.grant_decide("g-tax", "reject"), operators("tax"))  # fmt: skip
simple("grant_not_approved", "revoked before", requested, "grant.revoke", "tax",
       bodies.grant_revoke("g-2", "x"), operators("tax"))  # fmt: skip
simple("grant_not_approved", "reviewed before", requested, "grant.review", "tax",
       bodies.grant_review("g-2", "x"), operators("tax"))  # fmt: skip


# Consents and certificates.


def consented() -> Net:
    net = founded()
    net.do("consent.commit", "desk", bodies.consent_commit([digest("c", 1), digest("c", 2)]))
    net.do("consent.revoke", "desk", bodies.consent_revoke(digest("c", 1)))
    net.do("certificate.revoke", "desk", bodies.certificate_revoke(digest("cert")))
    return net


simple(
    "consent_exists",
    "committed twice",
    consented,
    "consent.commit",
    "desk",
    bodies.consent_commit([digest("c", 2)]),
)
simple(
    "consent_unknown",
    "never committed",
    consented,
    "consent.revoke",
    "desk",
    bodies.consent_revoke(digest("c", 3)),
)
simple(
    "consent_revoked",
    "revoked twice",
    consented,
    "consent.revoke",
    "desk",
    bodies.consent_revoke(digest("c", 1)),
)
simple(
    "certificate_revoked",
    "twice",
    consented,
    "certificate.revoke",
    "desk",
    bodies.certificate_revoke(digest("cert")),
)
