"""Entries that people sign before their node submits them.

    draft ─▶ message ─▶ signatures of two operators, or of other members' nodes ─▶ submit_entry ─▶ receipt

The signatures are made outside the node, where the signers' keys are. They cover network, type, id and body,
not the time, so that they may be collected over hours. The node adds its own signature and the time. Whether
the right people have signed is the contract's decision.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keys.signing import SigningKey
from ledger.entries import entry as entries
from ledger.entries.entry import Body, Signature
from ledger.formats.receipt import Receipt
from node.services import Services


@dataclass(frozen=True)
class EntryDraft:
    """An entry as its signers see it.

    Attributes:
        type: entry type, such as ``grant.decide``.
        id: of the entry.
        body: as ``ledger.entries.bodies`` builds it; read-only.
    """

    type: str
    id: str
    body: Body

    @classmethod
    def new(cls, type: str, body: Body) -> EntryDraft:
        """A draft under a random id."""
        return cls(type, secrets.token_hex(16), body)

    def message(self, network: str) -> bytes:
        """The bytes that every signer but the submitting node signs.

        Args:
            network: name of the network.
        """
        return entries.body_message(network, self.type, self.id, self.body)


def sign_draft(draft: EntryDraft, network: str, keys: Iterable[SigningKey]) -> tuple[Signature, ...]:
    """A signature over a draft with each key, in the order of the keys."""
    message = draft.message(network)
    return tuple(entries.sign_message(key, message) for key in keys)


def submit_entry(services: Services, draft: EntryDraft, signatures: Sequence[Signature] = ()) -> Receipt:
    """Sign a draft with the node's key, append it, and wait until it is final.

    Repeating the call is safe: where the ledger holds the same network, type, id and body already, the
    receipt is that of the recorded entry.

    Args:
        services: of the node.
        draft: the entry.
        signatures: of people or other members over ``draft.message``.

    Raises:
        RefusalError, EntryRefusedError: the contract refuses the entry; ``id_used`` where the id belongs to
            another one.
        ServiceUnavailableError: the ledger or its quorum is out of reach.
    """
    receipt = services.ledger.submit_once(draft.type, draft.id, draft.body, signatures)
    services.ledger.sync()
    return receipt
