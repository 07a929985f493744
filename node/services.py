"""Parts that the roles of one node share: configuration, keys, store, ledger, channels to peers, a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from keys.errors import KeysError
from ledger.contract.view import View
from ledger.fault_points import Observe, unobserved
from node.config import Configuration
from node.errors import RefusalError
from node.member_keys import MemberKeys
from node.rpc.channels import Channels
from node.rpc.server import Peers
from node.store.database import Store
from node.times import CHINA, Timings, system_clock
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from node.tlog.restore_fence import RestoreFence
from protocols.check.json_form import SignatureValue
from protocols.errors import EncodingError


@dataclass
class Services:
    """Shared parts of one running node, passed to its roles."""

    configuration: Configuration
    keys: MemberKeys
    store: Store
    ledger: LedgerClient
    outbox: Outbox
    channels: Channels
    peers: Peers
    clock: Callable[[], int] = field(default=system_clock)
    timings: Timings = field(default_factory=Timings)
    observe: Observe = unobserved

    @cached_property
    def restore_fence(self) -> RestoreFence:
        """Which stored state a restored node may trust, and from which ledger entry on."""
        return RestoreFence(self.store, self.ledger, self.outbox)

    @property
    def member(self) -> str:
        """This member's id."""
        return self.configuration.member

    @property
    def network(self) -> str:
        """The network's name."""
        return self.ledger.network

    @property
    def view(self) -> View:
        """Typed view of the ledger as this node has replayed it."""
        return self.ledger.view

    def publication_folder(self, dataset: str, publication: str) -> Path:
        """Folder of one published set in this home."""
        return self.configuration.home.publication(dataset, publication)

    def require_role(self, role: str) -> None:
        """Check that this node has a role.

        Raises:
            RefusalError: ``role``.
        """
        if role not in self.configuration.roles:
            raise RefusalError("role", f"this node does not have the role {role}")

    def today(self) -> str:
        """Calendar date in UTC+8 by this node's clock."""
        return datetime.fromtimestamp(self.clock(), CHINA).date().isoformat()

    def month_of(self, seconds: int) -> str:
        """Calendar month in UTC+8 of a second since 1970."""
        return datetime.fromtimestamp(seconds, CHINA).strftime("%Y-%m")

    def month(self) -> str:
        """Calendar month in UTC+8 by this node's clock."""
        return self.month_of(self.clock())


def check_signature(view: View, member: str, value: SignatureValue, message: bytes) -> None:
    """Check that a signature object verifies under the node key that a member has on the ledger now.

    Args:
        view: of the ledger.
        member: id of the member whose signature it is to be.
        value: the signature.
        message: the signed bytes.

    Raises:
        RefusalError: ``bad_signature``.
    """
    found = view.member(member)
    key = found.key_for("node") if found is not None and found.active else None
    try:
        if key is None or (value.key, value.alg) != (key.id, key.alg):
            raise RefusalError("bad_signature", f"the signature is not by {member}'s node key on the ledger")
        key.verifier().verify(message, value.raw)
    except (KeysError, EncodingError) as error:
        raise RefusalError("bad_signature", f"the signature given as {member}'s does not verify") from error
