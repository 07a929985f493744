"""Rule sets in a node's hands: nobody approves, keeps or checks under a text the ledger does not say."""

from __future__ import annotations

import secrets

import pytest

from node.errors import RefusalError
from node.governance import rule_sets
from node.rules.ruleset import parse
from tests.node.network_in_memory import RULES, Network, shared


@pytest.fixture
def net() -> Network:
    return shared()


def text(name: str, change: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    return RULES.replace(b'"dibao"\nversion', f'"{name}"\nversion'.encode()).replace(*change)


def test_publishing_and_approving_once_each(net: Network) -> None:
    name = f"r{secrets.token_hex(4)}"
    office, audit, tax = (net.services[member] for member in ("office", "audit", "tax"))
    with pytest.raises(RefusalError, match="the office publishes it first"):
        rule_sets.approve(tax, text(name))
    first = rule_sets.publish(office, text(name))
    size = office.ledger.replica.size
    assert rule_sets.publish(office, text(name)) == first
    assert office.ledger.replica.size == size, "the same text is not published twice"
    for services in (tax, audit, net.services["hib"]):
        assert rule_sets.approve(services, text(name)) == first
        assert rule_sets.approve(services, text(name)) == first
    office.ledger.sync()
    assert office.view.is_approved(name, "2026.1")
    assert rule_sets.text_of(tax, f"{name}@2026.1") == parse(text(name))


@pytest.mark.parametrize(
    "change",
    [
        (b"110000", b"990000"),
        (b'deduct = ["hib.selfpaid"]', b"deduct = []"),
        (b'veto = ["tax.owner"]', b"veto = []"),
        (b"per_head", b"# a note\nper_head"),
    ],
)
def test_another_text_under_the_same_version(net: Network, change: tuple[bytes, bytes]) -> None:
    name = f"r{secrets.token_hex(4)}"
    rule_sets.publish(net.services["office"], text(name))
    for services, action in (
        (net.services["office"], rule_sets.publish),
        (net.services["tax"], rule_sets.approve),
    ):
        with pytest.raises(RefusalError, match="not the one on the ledger"):
            action(services, text(name, change))
    assert rule_sets.text_of(net.services["office"], f"{name}@2026.1") == parse(text(name))
    with pytest.raises(RefusalError, match="hedui rules publish"):
        rule_sets.text_of(net.services["tax"], f"{name}@2026.1")


def test_only_those_concerned_approve(net: Network) -> None:
    name = f"r{secrets.token_hex(4)}"
    rule_sets.publish(net.services["office"], text(name))
    for member in ("police", "desk"):
        with pytest.raises(RefusalError):
            rule_sets.approve(net.services[member], text(name))
    with pytest.raises(RefusalError):
        rule_sets.publish(net.services["tax"], text(f"{name}x"))
