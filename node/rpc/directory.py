"""Who is who on the wire: members with their endpoints and certificate authorities, as the ledger pins them.

Every member has its own small certificate authority; its DER stands in the member's entry. A peer is member M
when its leaf was issued by M's authority, so no authority can speak for another member. Until a node's
replica holds the genesis entry, it knows itself and the first address of ``network.json``.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keys.errors import KeysError
from keys.tls import peer_member
from node.errors import Refusal, ServiceUnavailable


@dataclass(frozen=True)
class Contact:
    """How to reach and recognise one member.

    Attributes:
        member: id.
        endpoint: ``host:port``.
        authority: DER of the member's certificate authority.
    """

    member: str
    endpoint: str
    authority: bytes


class Directory:
    """Members by id, from the ledger where it is known, else from what the node was started with."""

    def __init__(self, bootstrap: list[Contact], members: Callable[[], list[Contact]]) -> None:
        """Args: ``bootstrap`` contacts that need no ledger; ``members`` reads the replica's newest state."""
        self._bootstrap = bootstrap
        self._members = members
        self._known: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def contacts(self) -> list[Contact]:
        """All members known now; the ledger's word goes before the bootstrap's."""
        found = {contact.member: contact for contact in self._bootstrap}
        found.update({contact.member: contact for contact in self._members()})
        return list(found.values())

    def contact(self, member: str) -> Contact:
        """One member.

        Raises:
            ServiceUnavailable: the ledger, as far as it is replayed here, knows no such member.
        """
        for contact in self.contacts():
            if contact.member == member:
                return contact
        raise ServiceUnavailable(f"member {member} is not on the ledger as far as it is known here")

    def trust_bundle(self) -> bytes:
        """PEM of all members' authorities."""
        return "".join(ssl.DER_cert_to_PEM_cert(contact.authority) for contact in self.contacts()).encode()

    def identify(self, leaf_pem: bytes) -> str:
        """Member whose authority issued this leaf.

        Raises:
            Refusal: ``unknown_peer``.
        """
        authorities = {contact.member: contact.authority for contact in self.contacts()}
        with self._lock:
            known = self._known.get(leaf_pem)
        if known is not None and known in authorities:
            return known
        try:
            member = peer_member(leaf_pem, authorities, at=datetime.now(UTC))
        except KeysError as error:
            raise Refusal("unknown_peer", "the certificate belongs to no member of this network") from error
        with self._lock:
            self._known[leaf_pem] = member
        return member
