"""Preview of what a founder signs: members, roles, addresses, digests of cards, and who has signed.

A card's digest is the first 16 bytes of SHA-256 over its canonical JSON (``ledger.canonical``), in hex, in
groups of four. `hedui node init` prints it for the card's own member; the founders compare it by telephone,
so that no one between them can replace a card in a proposal.

Everything printed has passed the ledger's schema before: it has no control characters and no form that the
contract would refuse.
"""

from __future__ import annotations

import hashlib
from typing import Any

from keys.errors import KeysError
from keys.signing import PublicKey
from ledger import canonical
from ledger.entries import body_schema
from ledger.entries import entry as entries
from ledger.errors import LedgerError
from node.errors import ConfigurationError
from node.membership.network import GENESIS, NetworkFile, policy_of
from node.messages.catalogue import Messages, mark

DIGEST_BYTES = 16


def card_digest(card: dict[str, Any]) -> str:
    """A card's digest for comparison by people: 32 hex characters in groups of four."""
    text = hashlib.sha256(canonical.encode(card)).digest()[:DIGEST_BYTES].hex()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def proposal_lines(proposal: dict[str, Any], messages: Messages) -> list[str]:
    """Lines that describe what a founder signs with a proposal.

    Raises:
        ConfigurationError: the ledger would refuse the proposal.
    """
    body = proposal["body"]
    _require_form("network.genesis", body)
    try:
        policy = policy_of(body["members"], body["params"])
    except (LedgerError, StopIteration, IndexError) as error:
        raise ConfigurationError("no trust policy can be made of these members: do not sign it") from error
    pilot = mark("yes") if body["pilot"] else mark("no")
    head = messages.translate(
        "network {network}, epoch {epoch}, pilot: {pilot}",
        network=repr(proposal["network"]),
        epoch=body["epoch"],
        pilot=messages.translate(pilot),
    )
    quorum = messages.translate(
        "quorum: {quorum} of {count} witnesses", quorum=policy.quorum, count=len(policy.witnesses)
    )
    cards = [line for card in body["members"] for line in _member_lines(card, messages)]
    return [head, *cards, *(f"{name}: {value}" for name, value in sorted(body["params"].items())), quorum]


def admission_lines(draft: dict[str, Any], messages: Messages) -> list[str]:
    """Lines that describe what a founder signs with the draft of an admission.

    Raises:
        ConfigurationError: the ledger would refuse the draft.
    """
    _require_form("member.admit", draft["body"])
    return [
        messages.translate(
            "network {network} admits, version {version}:",
            network=repr(draft["network"]),
            version=draft["body"]["version"],
        ),
        *_member_lines(draft["body"]["member"], messages),
    ]


def proposal_signed(proposal: dict[str, Any], messages: Messages) -> str:
    """How many founders have signed a proposal; only valid signatures are counted."""
    message = entries.body_message(proposal["network"], "network.genesis", GENESIS, proposal["body"])
    cards = proposal["body"]["members"]
    done = sum(any(_holds(card, item, message) for item in proposal["sigs"]) for card in cards)
    text = mark("signed by {done} of {count}: pass it on")
    if done == len(cards):
        text = mark("signed by {done} of {count}: the sequencer seals it")
    return messages.translate(text, done=done, count=len(cards))


def admission_signed(draft: dict[str, Any], network: NetworkFile, messages: Messages) -> str:
    """How many founders have signed an admission: the policy's witnesses and the sequencer are founders."""
    founders, done = len(network.policy.witnesses) + 1, len({item["key"] for item in draft["sigs"]})
    text = mark("signed by {done} of {count}, more than half are needed: pass it on")
    if 2 * done > founders:
        text = mark("signed by {done} of {count}, more than half are needed: one of them admits it")
    return messages.translate(text, done=done, count=founders)


def _require_form(kind: str, body: Any) -> None:
    try:
        body_schema.check_body(kind, body)
    except LedgerError as error:
        raise ConfigurationError(f"the ledger would refuse it ({error}): do not sign it") from error


def _member_lines(card: dict[str, Any], messages: Messages) -> list[str]:
    digest = messages.translate("card {digest}", digest=card_digest(card))
    return [
        f"{card['id']}  {card['name']}  {', '.join(card['roles'])}  {card['endpoint']}",
        f"    {digest}",
    ]


def _holds(card: dict[str, Any], item: dict[str, str], message: bytes) -> bool:
    """Whether a signature object is a valid one by the card's node key."""
    raw = next((key["public"] for key in card["keys"] if key["use"] == "node"), None)
    if raw is None:
        return False
    key = PublicKey("ed25519", bytes.fromhex(raw))
    try:
        key.verify(message, bytes.fromhex(item["sig"]))
    except (KeysError, ValueError):
        return False
    return item["key"] == key.id
