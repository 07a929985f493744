"""Directory of members: their endpoints and certificate authorities, as the ledger records them.

Every member has its own certificate authority; its DER encoding is part of the member's entry. A peer is
member M if its certificate was issued by M's authority, so that no authority can speak for another member.
Until a node's replica holds the genesis entry, the node knows itself and the first address of
``network.json``.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from keys.errors import KeysError
from keys.tls import check_profile, peer_member
from node.errors import RefusalError, ServiceUnavailableError

log = logging.getLogger("hedui.rpc")
REMEMBERED = 1024
"""Certificates whose issuer is cached; bounded, since a member may issue itself any number of them."""


@lru_cache(maxsize=REMEMBERED)
def _is_sound(member: str, authority: bytes) -> bool:
    """Whether an authority can be part of the trust bundle."""
    try:
        check_profile(authority, member=member)
    except KeysError:
        return False
    return True


@dataclass(frozen=True)
class Contact:
    """How to reach and recognise one member.

    Attributes:
        member: the member's id.
        endpoint: ``host:port``.
        authority: DER of the member's certificate authority.
    """

    member: str
    endpoint: str
    authority: bytes


class Directory:
    """Members by id: from the ledger once it is replayed, before that from what the node was started with."""

    def __init__(
        self, bootstrap: list[Contact], members: Callable[[], list[Contact]], own: Contact | None = None
    ) -> None:
        """Open the directory.

        Args:
            bootstrap: contacts until the ledger is known.
            members: reads the replica's newest state.
            own: this node, known even while the ledger does not name it.
        """
        self._bootstrap = bootstrap
        self._members = members
        self._own = own
        self._known: dict[bytes, Contact] = {}
        self._lock = threading.Lock()

    @property
    def own(self) -> str:
        """This node's member; empty where there is none."""
        return "" if self._own is None else self._own.member

    def contacts(self) -> list[Contact]:
        """All members known now; without those that the ledger has removed, once it is replayed."""
        own = [] if self._own is None else [self._own]
        known = self._members() or self._bootstrap
        return list({contact.member: contact for contact in [*own, *known]}.values())

    def contact(self, member: str) -> Contact:
        """One member.

        Raises:
            ServiceUnavailableError: the ledger, as far as it is replayed here, knows no such member.
        """
        for contact in self.contacts():
            if contact.member == member:
                return contact
        raise ServiceUnavailableError(
            f"member {member} is not on the ledger, as far as this node has replayed it"
        )

    def trust_bundle(self) -> bytes:
        """PEM of all members' authorities.

        An authority outside the certificate profile is left out, whatever its validity: gRPC reads the bundle
        up to the first certificate that it cannot parse, and would trust none of the members after it.
        """
        sound = []
        for contact in self.contacts():
            if _is_sound(contact.member, contact.authority):
                sound.append(ssl.DER_cert_to_PEM_cert(contact.authority))
            else:
                log.error(
                    "the ledger holds no usable certificate authority for %s: its calls are refused until it "
                    "is admitted with another card",
                    contact.member,
                )
        return "".join(sound).encode()

    def identify(self, leaf_pem: bytes) -> str:
        """Id of the member whose authority issued this certificate.

        Raises:
            RefusalError: ``unknown_peer``.
        """
        contacts = {contact.member: contact for contact in self.contacts()}
        authorities = {member: contact.authority for member, contact in contacts.items()}
        with self._lock:
            known = self._known.get(leaf_pem)
        if known is not None and authorities.get(known.member) == known.authority:
            return known.member
        try:
            member = peer_member(leaf_pem, authorities, at=datetime.now(UTC))
        except KeysError as error:
            raise RefusalError(
                "unknown_peer", "the certificate belongs to no member of this network"
            ) from error
        with self._lock:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[leaf_pem] = contacts[member]
        return member
