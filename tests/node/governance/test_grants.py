"""Grants as use cases: requested with the definitions on the ledger, decided and revoked by two people."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import EntryRefusedError
from node.errors import RefusalError
from node.governance.entry_drafts import EntryDraft, sign_draft, submit_entry
from node.governance.grants import Decision, GrantDecision, GrantRequest, GrantRevocation, request_grant
from tests.node.network_in_memory import NETWORK, Network, shared

ASKED = GrantRequest(
    owner="tax",
    datasets=("tax.owner", "tax.income"),
    protocol="sum",
    reveal="total",
    purpose="dibao",
    basis="社会救助暂行办法 58",
    first="2026-11-01",
    last="2027-10-31",
    period="month",
    slots=3,
    elements=8,
    min_terms=0,
)


@pytest.fixture
def net() -> Network:
    return shared()


def by_two(net: Network, member: str, draft: EntryDraft) -> None:
    """Submit a draft with the signatures of two people of its submitter."""
    submit_entry(net.services[member], draft, sign_draft(draft, NETWORK, net.people(member)))


def test_a_grant_is_requested_approved_and_revoked(net: Network) -> None:
    office, tax = net.services["office"], net.services["tax"]
    grant = request_grant(office, ASKED)
    tax.ledger.sync()
    found = tax.view.grant(grant)
    assert found is not None
    assert found.status == "requested"
    assert found.datasets == {
        name: office.view.definition(name, "2026-11.1") for name in ("tax.income", "tax.owner")
    }
    same = ("owner", "protocol", "reveal", "purpose", "basis", "first", "last", "period")
    for name in (*same, "slots", "elements", "min_terms"):
        assert getattr(found, name) == getattr(ASKED, name)
    assert found.requester == "office"
    decided = GrantDecision(grant, Decision.APPROVE).draft()
    by_two(net, "tax", decided)
    by_two(net, "tax", decided)  # again after a lost answer: the same entry
    assert tax.view.is_active(grant, net.time())
    by_two(net, "tax", GrantRevocation(grant, "audit").draft())
    revoked = tax.view.grant(grant)
    assert revoked is not None
    assert revoked.status == "revoked"


def test_a_rejected_grant_stays_rejected(net: Network) -> None:
    grant = request_grant(net.services["office"], ASKED)
    by_two(net, "tax", GrantDecision(grant, Decision.REJECT).draft())
    found = net.services["tax"].view.grant(grant)
    assert found is not None
    assert found.status == "rejected"
    with pytest.raises((RefusalError, EntryRefusedError)):
        by_two(net, "tax", GrantDecision(grant, Decision.APPROVE).draft())


def test_one_person_decides_nothing(net: Network) -> None:
    grant = request_grant(net.services["office"], ASKED)
    draft = GrantDecision(grant, Decision.APPROVE).draft()
    signed = sign_draft(draft, NETWORK, [net.key("tax", "operator-a")])
    with pytest.raises((RefusalError, EntryRefusedError)) as caught:
        submit_entry(net.services["tax"], draft, signed)
    assert caught.value.code == "missing_signer"
    net.sync()
    found = net.services["office"].view.grant(grant)
    assert found is not None
    assert found.status == "requested"


def test_only_an_office_asks_and_only_about_verified_publications(net: Network) -> None:
    with pytest.raises(RefusalError) as caught:
        request_grant(net.services["police"], ASKED)
    assert caught.value.code == "role"
    with pytest.raises(RefusalError) as caught:
        request_grant(
            net.services["office"], ASKED.model_copy(update={"datasets": ("tax.income", "tax.unknown")})
        )
    assert caught.value.code == "unpublished"


def test_the_json_form_is_read_back() -> None:
    value = ASKED.to_json()
    assert (value["from"], value["until"]) == ("2026-11-01", "2027-10-31")
    assert GrantRequest.parse(value) == ASKED


@pytest.mark.parametrize(
    "change",
    [
        {"from": None},
        {"slots": "3"},
        {"slots": True},
        {"datasets": "tax.income"},
        {"datasets": ["tax.income", 1]},
        {"note": "x"},
        {"first": "2026-11-01"},
    ],
)
def test_a_malformed_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusalError) as caught:
        GrantRequest.parse({**ASKED.to_json(), **change})
    assert caught.value.code == "malformed"
    assert all(name in str(caught.value) for name in change)


def test_every_fault_of_a_request_is_named() -> None:
    value = {**ASKED.to_json(), "slots": "3", "datasets": ["tax.income", 1], "first": "2026-11-01"}
    del value["from"]
    with pytest.raises(RefusalError) as caught:
        GrantRequest.parse(value)
    assert [part.split(": ")[1] for part in caught.value.remedy.split("; ")] == [
        "datasets[2]",
        "from",
        "slots",
        "first",
    ]


@pytest.mark.parametrize("name", sorted(ASKED.to_json()))
def test_a_request_without_a_field_is_refused(name: str) -> None:
    value = ASKED.to_json()
    del value[name]
    with pytest.raises(RefusalError, match=f"{name}: is missing: give") as caught:
        GrantRequest.parse(value)
    assert caught.value.code == "malformed"
