"""Remedies of refused entries are addressed to the person who wrote the entry."""

from __future__ import annotations

import pytest

from ledger.contract import apply
from ledger.entries.body_schema import check_body, day, moment, text
from ledger.errors import EntryRefusedError
from tests.ledger.contract.contract_cases import ready


def test_number_in_text() -> None:
    """The identity number has to leave the text, and is not repeated."""
    with pytest.raises(EntryRefusedError) as refused:
        text(200)("户主331099194801020333", "body.basis")
    assert refused.value.code == "identifier_shaped"
    assert "leave the number out of the text" in refused.value.remedy
    assert "331099" not in str(refused.value)


@pytest.mark.parametrize("value", ["2026-13-01", "2026-02-30"])
def test_no_such_day(value: str) -> None:
    """A date outside the calendar is named as such, without words of Python's library."""
    with pytest.raises(EntryRefusedError) as refused:
        day(value, "body.until")
    assert refused.value.remedy == "body.until: there is no such day: check the month and the day"


def test_no_such_time() -> None:
    """A time on a day outside the calendar is named as such."""
    with pytest.raises(EntryRefusedError) as refused:
        moment("2026-02-30T08:00:00Z", "body.until")
    assert refused.value.remedy == "body.until: there is no such time: check the month and the day"


def test_unknown_type() -> None:
    """A type that this version does not know asks for an update."""
    with pytest.raises(EntryRefusedError) as refused:
        check_body("grant.unknown", {})
    assert refused.value.code == "unknown_type"


def test_role() -> None:
    """The roles that may submit a type are named."""
    net = ready()
    body = net.grant_body("tax")
    with pytest.raises(EntryRefusedError) as refused:
        apply(net.state, net.entry("grant.request", "tax", body), net.now)
    assert refused.value.code == "role_missing"
    assert refused.value.remedy == "only a member with the role office submits this type"
