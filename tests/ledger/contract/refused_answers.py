"""Cases of refused entries: what follows an intent."""

from __future__ import annotations

from ledger.entries import bodies
from ledger.entries.entry import Entry
from tests.ledger.contract.contract_cases import (
    Net,
    answered,
    asked,
    digest,
    founded,
    member_object,
    operators,
    ready,
)
from tests.ledger.contract.refusal_cases import QUERY, case, intent_entry, simple

# After an intent.

ANSWER = bodies.query_answer(QUERY, "tax.owner", "answered", digest("r"))
REFUSAL = {**ANSWER, "result": "refused:clock"}
CLOSE = bodies.query_close(QUERY, digest("t"), digest("r"))


def refused_once() -> Net:
    net = asked()
    net.do("query.answer", "tax", REFUSAL)
    return net


def closed() -> Net:
    net = answered()
    net.do("query.close", "office", CLOSE)
    return net


def recorded() -> Net:
    net = founded()
    net.do("query.refused", "seq", bodies.query_refused(digest("entry"), "slot_taken"))
    return net


simple("query_unknown", "an answer to nothing", ready, "query.answer", "tax", ANSWER)
simple("query_unknown", "a close of nothing", ready, "query.close", "office", CLOSE)
simple(
    "dataset_not_asked", "another dataset", asked, "query.answer", "tax", {**ANSWER, "dataset": "tax.other"}
)
simple("not_owner", "another owner answers", asked, "query.answer", "housing", ANSWER)
simple("already_answered", "answered twice", answered, "query.answer", "tax", ANSWER)
simple("already_answered", "refused after", answered, "query.answer", "tax", REFUSAL)
simple("already_refused", "refused twice", refused_once, "query.answer", "tax", REFUSAL)
simple("bad_field", "a result that is none", asked, "query.answer", "tax", {**ANSWER, "result": "match"})
simple("already_closed", "closed twice", closed, "query.close", "office", CLOSE)
simple(
    "already_recorded",
    "the same refused entry",
    recorded,
    "query.refused",
    "seq",
    bodies.query_refused(digest("entry"), "x"),
)


@case("not_the_office", "another office closes")
def _other_office_closes() -> tuple[Net, Entry]:
    net = answered()
    net.do("member.admit", "audit", bodies.member_admit(member_object("city", ["office"]), 1), net.founders())
    return net, net.entry("query.close", "city", CLOSE)


# Opening totals.

RELEASE = bodies.share_release(QUERY, 0, digest("list"))
EXCEPTION = bodies.share_exception(QUERY, 0, digest("list"), "appeal")


def released() -> Net:
    net = answered()
    net.do("share.release", "trust", RELEASE)
    net.do("share.exception", "trust", EXCEPTION, operators("trust"))
    return net


def half_answered() -> Net:
    net = refused_once()
    for name in ("housing.two", "tax.income"):
        net.do("query.answer", name.partition(".")[0], {**ANSWER, "dataset": name})
    return net


def checked() -> Net:
    net = ready()
    net.grant("tax", "g-2", protocol="check")
    certificate = net.certificate(QUERY, "tax.owner", protocol="check")
    certificate["datasets"][0]["grant"] = "g-2"
    net.apply(intent_entry(net, net.intent_body(certificate, net.slots(0, grants=["g-2"])))[1])
    net.do("query.answer", "tax", ANSWER)
    return net


simple("query_unknown", "a release for nothing", ready, "share.release", "trust", RELEASE)
simple("not_answered", "no answer yet", asked, "share.release", "trust", RELEASE)
simple("not_answered", "one dataset refused", half_answered, "share.release", "trust", RELEASE)
simple("protocol_not_sum", "a check has no total", checked, "share.release", "trust", RELEASE)
simple("case_range", "no such case", answered, "share.release", "trust", {**RELEASE, "case": 1})
simple(
    "already_released",
    "released twice",
    released,
    "share.release",
    "trust",
    {**RELEASE, "list": digest("other")},
)
simple(
    "case_range",
    "an exception for no such case",
    answered,
    "share.exception",
    "trust",
    {**EXCEPTION, "case": 1},
    operators("trust"),
)
simple(
    "exception_exists",
    "a second exception",
    released,
    "share.exception",
    "trust",
    EXCEPTION,
    operators("trust"),
)
simple(
    "missing_signer",
    "an exception by one person",
    answered,
    "share.exception",
    "trust",
    EXCEPTION,
    operators("trust")[:1],
)
