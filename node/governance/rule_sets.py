"""Rule sets in a node's own hands: published by the office, compared with the ledger by those who approve.

The ledger holds digest and dataset ids; the text stays with the office and the approvers and goes into every
report. An approver compares the lists on the ledger with the text it read before it approves.
"""

from __future__ import annotations

import secrets
from typing import Any

from ledger.contract.view import View
from node.errors import RefusalError
from node.rules.ruleset import RuleSet, parse
from node.services import Services
from node.store import tables
from node.store.database import put


def publish(services: Services, text: bytes) -> dict[str, Any]:
    """Publish a rule set unless the ledger has this very text, and keep its text."""
    rules = parse(text)
    services.ledger.sync()
    recorded = services.view.rules(rules.id, rules.version)
    if recorded is None:
        body = {
            "rules": rules.id,
            "version": rules.version,
            "digest": rules.digest,
            "region": rules.region,
            "effective": rules.effective.isoformat(),
            "income": list(rules.income),
            "deduct": list(rules.deduct),
            "veto": list(rules.veto),
            "exclude": list(rules.exclude),
        }
        services.ledger.submit("rules.publish", secrets.token_hex(16), body)
        services.ledger.sync()
    compare(services.view, rules)
    _keep(services, rules)
    return {"rules": rules.key, "digest": rules.digest}


def approve(services: Services, text: bytes) -> dict[str, Any]:
    """Compare a rule set's text with the ledger and approve it."""
    rules = parse(text)
    services.ledger.sync()
    compare(services.view, rules)
    _keep(services, rules)
    if not services.view.approved_by(rules.id, rules.version, services.member):
        body = {"rules": rules.id, "version": rules.version, "digest": rules.digest}
        services.ledger.submit("rules.approve", secrets.token_hex(16), body)
    return {"rules": rules.key, "digest": rules.digest}


def compare(view: View, rules: RuleSet) -> None:
    """The ledger's record is that of this text, list by list.

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

    Raises:
        RefusalError: ``rules``: this node has not got it.
    """
    row = services.store.one(tables.rule_text, rules=key)
    if row is None:
        raise RefusalError("rules", f"this node has no text of {key}: publish it with `hedui rules publish`")
    return parse(bytes(row["text"]))


def _keep(services: Services, rules: RuleSet) -> None:
    """Store the text."""
    with services.store.writing() as connection:
        put(connection, tables.rule_text, {"rules": rules.key}, {"text": rules.source})
