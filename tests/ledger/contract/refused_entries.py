"""Cases of refused entries: what every entry must be, the form of bodies."""

from __future__ import annotations

from typing import Any

from ledger.entries.entry import Entry, draft, signed
from tests.ledger.contract.contract_cases import (
    Net,
    asked,
    digest,
    empty,
    founded,
    genesis_body,
    operators,
    ready,
    signer,
)
from tests.ledger.contract.refusal_cases import INCIDENT, QUERY, case, simple

# Every entry.

simple(
    "time_ahead",
    "a time after the contract's",
    founded,
    "incident",
    "tax",
    INCIDENT,
    time="2026-11-22T02:00:01Z",
)
simple("no_genesis", "another type first", empty, "incident", "tax", INCIDENT)
simple("genesis_exists", "a second genesis", founded, "network.genesis", "seq", genesis_body(), id="genesis")
simple("id_used", "the id of another type", asked, "incident", "tax", INCIDENT, id=QUERY)
simple("id_used", "the genesis id", founded, "incident", "tax", INCIDENT, id="genesis")
simple(
    "identifier_shaped",
    "an identity number as id",
    founded,
    "incident",
    "tax",
    INCIDENT,
    id="110105194912310021",
)


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
simple(
    "missing_field",
    "no suite",
    empty,
    "network.genesis",
    "seq",
    {**genesis_body(), "params": {"x": 1}},
    id="genesis",
)
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
PUBLICATIONS: dict[str, dict[str, Any]] = {
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
}
for bad_name, changes in PUBLICATIONS.items():
    simple(
        "bad_field",
        bad_name,
        founded,
        "dataset.publish",
        "tax",
        {**Net().publish_body("tax.owner"), **changes},
    )
simple(
    "bad_field",
    "a repeated commitment",
    founded,
    "consent.commit",
    "desk",
    {"commitments": [digest(1), digest(1)]},
)
simple(
    "bad_field", "a name outside the pattern", founded, "sumkey.publish", "office",
    lambda net: net.sumkey_body(verification={"Office": "00"}),
)  # fmt: skip
simple(
    "bad_field", "verification is no object", founded, "sumkey.publish", "office",
    lambda net: {**net.sumkey_body(), "verification": []},
)  # fmt: skip
simple(
    "bad_field",
    "pilot is text",
    empty,
    "network.genesis",
    "seq",
    {**genesis_body(), "pilot": "no"},
    id="genesis",
)
for text in (
    "11010519491231002X",
    "申请人 440524188001010014",
    "440524880101001",
    "３３１０２２１９８００１０１００１４",
):
    body_with = {"grant": "g-tax", "reason": text}
    simple(
        "identifier_shaped", f"text of {len(text)}", ready, "grant.revoke", "tax", body_with, operators("tax")
    )
