"""Identifies the signers of an entry, and checks that they are exactly those that its type requires.

The first signature is the submitting node's, by an active ``node`` key, over the whole entry. Every further
signature is over the body. Each type names a policy for the further ones; a signer more than the policy wants
is refused as much as one too few, so that every accepted entry has one meaning:

- ``nobody``: none.
- ``founders``: node keys of more than half of the founders that are still members.
- ``every_founder``: node keys of all members of the genesis entry itself, the submitter's included.
- ``two_operators``: exactly two different operator keys of the submitting member.
- ``trustees``: node keys of exactly the trustees the body names.

The submitter's own node key may sign the body too where the policy wants it: the two signatures say different
things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from keys import bulk
from keys.errors import KeysError
from ledger.contract.context import require
from ledger.contract.records import Member, MemberKey
from ledger.contract.view import View
from ledger.entries.entry import Entry, Signature, body_message, node_message
from ledger.errors import EntryRefusedError

Signer: TypeAlias = tuple[Member, MemberKey]
Resolve: TypeAlias = Callable[[str], "Signer | None"]
"""From a key id to the active member and key it names, or None."""


@dataclass(frozen=True)
class Signing:
    """Input of a signer rule: the state before the entry, the entry, its submitter and further signers."""

    view: View
    entry: Entry
    submitter: Member
    cosigners: tuple[Signer, ...]


SignerRule: TypeAlias = Callable[[Signing], None]
"""Check of an entry's signers; raises ``EntryRefusedError`` (``surplus_signer``, ``missing_signer``)."""


def identify(entry: Entry, resolve: Resolve) -> tuple[Signer, ...]:
    """The signers in the order of the signatures, the submitting node first; nothing is verified yet.

    Raises:
        EntryRefusedError: ``missing_signer``, ``unknown_signer``, ``not_a_node_key``, ``duplicate_signer``.
    """
    require(len(entry.sigs) > 0, "missing_signer", "sign the entry with the submitting node's key first")
    found = tuple(_known(signature, resolve) for signature in entry.sigs)
    require(found[0][1].use == "node", "not_a_node_key", "the first signature must be by an active node key")
    ids = [signature.key for signature in entry.sigs[1:]]
    require(len(set(ids)) == len(ids), "duplicate_signer", "each further signer signs the body once")
    return found


def verify(entry: Entry, found: tuple[Signer, ...]) -> None:
    """Verify every signature with the keys ``identify`` found.

    Raises:
        EntryRefusedError: ``bad_signature``.
    """
    verify_signature(found[0][1], entry.sigs[0], node_message(entry), "bad_signature")
    if len(found) == 1:
        return
    message = body_message(entry.network, entry.type, entry.id, entry.body)
    for (_member, key), signature in zip(found[1:], entry.sigs[1:], strict=True):
        verify_signature(key, signature, message, "bad_signature")


def verify_signature(key: MemberKey, signature: Signature, message: bytes, code: str) -> None:
    """Verify one signature with a key from the state.

    Raises:
        EntryRefusedError: ``code``.
    """
    require(signature.alg == key.alg, code, "name the algorithm the key has on the ledger")
    try:
        bulk.verify(key.verifier(), message, signature.raw)
    except KeysError as error:
        raise EntryRefusedError(
            code, "a signature does not verify: sign exactly these bytes with the named key"
        ) from error


def _known(signature: Signature, resolve: Resolve) -> Signer:
    found = resolve(signature.key)
    if found is None:
        raise EntryRefusedError(
            "unknown_signer", "sign with a key that is active on the ledger, or have it admitted first"
        )
    return found


def nobody(signing: Signing) -> None:
    """No further signer."""
    require(not signing.cosigners, "surplus_signer", "this type takes the submitting node's signature alone")


def founders(signing: Signing) -> None:
    """More than half of the founders that are members now."""
    for member, key in signing.cosigners:
        wanted = member.founder and key.use == "node"
        require(wanted, "surplus_signer", "only founders' node keys co-sign entries about members")
    enough = 2 * len(signing.cosigners) > len(signing.view.founders())
    require(enough, "missing_signer", "collect body signatures of more than half of the founders")


def every_founder(signing: Signing) -> None:
    """Every member of the genesis entry."""
    _exactly({member["id"] for member in signing.entry.body["members"]}, signing.cosigners)


def trustees(signing: Signing) -> None:
    """Every trustee the sum key names."""
    _exactly(set(signing.entry.body["trustees"]), signing.cosigners)


def two_operators(signing: Signing) -> None:
    """Two people of the submitting member."""
    for member, key in signing.cosigners:
        wanted = member.id == signing.submitter.id and key.use == "operator"
        require(wanted, "surplus_signer", "only operators of the submitting member sign here")
    require(len(signing.cosigners) >= 2, "missing_signer", "two different operators of the member must sign")
    require(len(signing.cosigners) == 2, "surplus_signer", "exactly two operators sign")


def _exactly(wanted: set[str], cosigners: tuple[Signer, ...]) -> None:
    for member, key in cosigners:
        named = member.id in wanted and key.use == "node"
        require(named, "surplus_signer", "only the node keys of the members named in the body co-sign")
    missing = wanted - {member.id for member, _key in cosigners}
    require(not missing, "missing_signer", "every member named in the body must sign it with its node key")
