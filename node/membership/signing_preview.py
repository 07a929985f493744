"""What people see before they sign for a network: members, roles, addresses, digests of cards, who signed.

A card's digest is the first 16 bytes of SHA-256 over its canonical JSON (``ledger.canonical``), in hex, in
groups of four. `hedui node init` shows it to the card's own member; the founders compare it by telephone, so
that nobody between them can put another card into a proposal.

Whatever is shown has passed the ledger's schema before: no control characters, nothing the contract refuses
for its form.
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
    """A card's digest for people: 32 hex characters in groups of four."""
    text = hashlib.sha256(canonical.encode(card)).digest()[:DIGEST_BYTES].hex()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def proposal_lines(proposal: dict[str, Any], messages: Messages) -> list[str]:
    """What a founder signs with a proposal, in the language of ``messages``.

    Raises:
        ConfigurationError: it is no proposal that the ledger would take.
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
    """What a founder signs with the draft of an admission, in the language of ``messages``.

    Raises:
        ConfigurationError: it is no draft that the ledger would take.
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
    """How many founders have signed; only signatures that hold are counted."""
    message = entries.body_message(proposal["network"], "network.genesis", GENESIS, proposal["body"])
    cards = proposal["body"]["members"]
    done = sum(any(_holds(card, item, message) for item in proposal["sigs"]) for card in cards)
    text = mark("signed by {done} of {count}: pass it on")
    if done == len(cards):
        text = mark("signed by {done} of {count}: the sequencer seals it")
    return messages.translate(text, done=done, count=len(cards))


def admission_signed(draft: dict[str, Any], network: NetworkFile, messages: Messages) -> str:
    """How many have signed an admission; the founders are the policy's witnesses and the sequencer."""
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
    """Whether a signature is by the card's node key."""
    raw = next((key["public"] for key in card["keys"] if key["use"] == "node"), None)
    if raw is None:
        return False
    key = PublicKey("ed25519", bytes.fromhex(raw))
    try:
        key.verify(message, bytes.fromhex(item["sig"]))
    except (KeysError, ValueError):
        return False
    return item["key"] == key.id
