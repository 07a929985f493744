"""Rule sets: published by the office, compared with the ledger by the members that approve them.

The ledger holds digest and dataset ids; the text stays with the office and the approvers and goes into every
report. An approver compares the lists on the ledger with the text it has read before it approves.
"""

from __future__ import annotations

import secrets

from ledger.contract.view import View
from ledger.entries import bodies
from node.errors import RefusalError
from node.rules.ruleset import RuleSet, parse
from node.services import Services
from node.store import tables
from node.store.database import put


def publish(services: Services, text: bytes) -> RuleSet:
    """Publish a rule set unless the ledger holds this text already, and keep the text.

    Raises:
        RulesError: the text is not a rule set.
        RefusalError: ``rules``: another text is on the ledger under this version; or the contract's refusal.
        ServiceUnavailableError: the ledger is out of reach.
    """
    rules = parse(text)
    services.ledger.sync()
    if services.view.rules(rules.id, rules.version) is None:
        body = bodies.rules_publish(
            rules=rules.id,
            version=rules.version,
            digest=rules.digest,
            region=rules.region,
            effective=rules.effective.isoformat(),
            income=rules.income,
            deduct=rules.deduct,
            veto=rules.veto,
            exclude=rules.exclude,
        )
        services.ledger.submit("rules.publish", secrets.token_hex(16), body)
        services.ledger.sync()
    compare(services.view, rules)
    _keep(services, rules)
    return rules


def approve(services: Services, text: bytes) -> RuleSet:
    """Compare a rule set's text with the ledger, approve it, and keep the text.

    Raises:
        RulesError: the text is not a rule set.
        RefusalError: ``rules``: the ledger does not hold this text; or the contract's refusal.
        ServiceUnavailableError: the ledger is out of reach.
    """
    rules = parse(text)
    services.ledger.sync()
    compare(services.view, rules)
    _keep(services, rules)
    if not services.view.approved_by(rules.id, rules.version, services.member):
        body = bodies.rules_approve(rules.id, rules.version, rules.digest)
        services.ledger.submit("rules.approve", secrets.token_hex(16), body)
    return rules


def compare(view: View, rules: RuleSet) -> None:
    """Check that the ledger's record is that of this text, list by list.

    Raises:
        RefusalError: ``rules``.
    """
    recorded = view.rules(rules.id, rules.version)
    if recorded is None:
        raise RefusalError("rules", f"{rules.key} is not on the ledger: the office publishes it first")
    lists = (recorded.income, recorded.deduct, recorded.veto, recorded.exclude)
    if recorded.digest != rules.digest or lists != (rules.income, rules.deduct, rules.veto, rules.exclude):
        raise RefusalError("rules", f"the text of {rules.key} is not the one on the ledger: do not use it")


def text_of(services: Services, key: str) -> RuleSet:
    """A rule set whose text this node keeps.

    Args:
        services: of the node.
        key: ``<id>@<version>``.

    Raises:
        RefusalError: ``rules``: this node does not keep it.
    """
    row = services.store.one(tables.rule_text, rules=key)
    if row is None:
        raise RefusalError("rules", f"this node has no text of {key}: publish it with `hedui rules publish`")
    return parse(bytes(row["text"]))


def _keep(services: Services, rules: RuleSet) -> None:
    """Store the text."""
    with services.store.writing() as connection:
        put(connection, tables.rule_text, {"rules": rules.key}, {"text": rules.source})
