"""Cases of refused intents: grants and slots."""

from __future__ import annotations

from collections.abc import Callable

from ledger.entries import bodies
from ledger.entries.entry import Entry
from tests.ledger.contract.contract_cases import Net, asked, digest, member_object, operators, ready
from tests.ledger.contract.refusal_cases import CASES, QUERY, case, granted, intent_entry, requested, slotted

# Intents: grants and slots.

granted("grant_dates", "from tomorrow", first="2026-11-23")
granted("grant_dates", "until yesterday", last="2026-11-21")
granted("grant_protocol", "a grant for checks", protocol="check")
granted("grant_reveal", "a grant for bits", reveal="bits")
granted("grant_purpose", "a grant for another purpose", purpose="housing")
granted(
    "grant_dataset",
    "a grant that lists another dataset",
    definitions={"tax.income": digest("definition", "tax.income")},
)
granted("definition_changed", "a grant of another definition", definitions={"tax.owner": digest("other")})
granted("slot_period", "a grant by day", period="day")
granted("slot_count", "a grant of fewer elements a slot", elements=3)


@case("grant_requester", "another office's grant")
def _other_office() -> tuple[Net, Entry]:
    net = ready()
    second = member_object("city", ["office"])
    net.do("member.admit", "audit", bodies.member_admit(second, 1), net.founders())
    body = net.grant_body("tax", "g-city", requester="city")
    net.do("grant.request", "city", body)
    net.do("grant.decide", "tax", bodies.grant_decide("g-city", "approve"), operators("tax"))
    certificate = net.certificate(QUERY, "tax.owner")
    certificate["datasets"][0]["grant"] = "g-city"
    return intent_entry(net, net.intent_body(certificate, net.slots(0, grants=["g-city"])))


def undecided(decision: str | None) -> Callable[[], tuple[Net, Entry]]:
    def make() -> tuple[Net, Entry]:
        net = requested()
        if decision is not None:
            net.do("grant.decide", "tax", bodies.grant_decide("g-2", decision), operators("tax"))
        certificate = net.certificate(QUERY, "tax.owner")
        certificate["datasets"][0]["grant"] = "g-2"
        return intent_entry(net, net.intent_body(certificate, net.slots(0, grants=["g-2"])))

    return make


CASES.append(("grant_not_approved", "undecided", undecided(None)))
CASES.append(("grant_not_approved", "rejected", undecided("reject")))
MONTH = "2026-11"
HOUSING, TAX = ("g-housing", MONTH, 0), ("g-tax", MONTH, 0)
slotted("slot_count", "none for one grant", [HOUSING])
slotted("slot_count", "one too many", [HOUSING, TAX, ("g-tax", MONTH, 1)])
slotted("slot_grant", "of a grant not asked under", [HOUSING, TAX, ("g-9", MONTH, 0)])
slotted("slot_period", "next month", [HOUSING, ("g-tax", "2026-12", 0)])
slotted("slot_period", "last month", [HOUSING, ("g-tax", "2026-10", 0)])
slotted("slot_range", "beyond the grant", [HOUSING, ("g-tax", MONTH, 3)])
slotted("slot_twice", "named twice", [HOUSING, TAX, TAX])
slotted("slot_taken", "another query's", [HOUSING, TAX], asked)
slotted("slot_taken", "one of two", [("g-housing", MONTH, 1), TAX], asked)
slotted("bad_field", "a negative slot", [HOUSING, ("g-tax", MONTH, -1)])
