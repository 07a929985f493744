"""What the roles of one node share: configuration, keys, store, ledger, ways to others, and a clock.

This node's own share of the sum key, from its vault, checked once a process against the ledger's key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from keys.errors import KeysError
from ledger.contract.view import View
from ledger.fault_points import Observe, unobserved
from node.config import Configuration
from node.errors import RefusalError
from node.member_keys import MemberKeys
from node.membership.sum_key import sum_key
from node.monitoring.timings import Timings
from node.rpc.channels import Channels
from node.rpc.server import Peers
from node.store.database import Store
from node.times import CHINA, system_clock
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from node.tlog.restore_fence import RestoreFence
from protocols.sums.sumkey import Share, SumKey


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
    stopwatch: Timings = field(default_factory=Timings)
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
        """Typed view of this node's own replay."""
        return self.ledger.view

    def publication_folder(self, dataset: str, publication: str) -> Path:
        """Folder of one published set in this home."""
        return self.configuration.home.publication(dataset, publication)

    def today(self) -> str:
        """Calendar date in UTC+8 by this node's clock."""
        return datetime.fromtimestamp(self.clock(), CHINA).date().isoformat()

    def month_of(self, seconds: int) -> str:
        """Calendar month in UTC+8 of a second since 1970."""
        return datetime.fromtimestamp(seconds, CHINA).strftime("%Y-%m")

    def month(self) -> str:
        """Calendar month in UTC+8 by this node's clock."""
        return self.month_of(self.clock())


def check_signature(view: View, member: str, value: dict[str, str], message: bytes) -> None:
    """A signature object is that of a member's node key now on the ledger.

    Raises:
        RefusalError: ``bad_signature``.
    """
    found = view.member(member)
    key = found.key_for("node") if found is not None and found.active else None
    try:
        if key is None or value["key"] != key.id or value["alg"] != key.alg:
            raise RefusalError("bad_signature", f"the signature is not by {member}'s node key on the ledger")
        key.verifier().verify(message, bytes.fromhex(value["sig"]))
    except (KeysError, KeyError, ValueError, TypeError) as error:
        raise RefusalError("bad_signature", f"the signature said to be {member}'s does not verify") from error


def own_share(services: Services) -> Share:
    """This node's share of the sum key.

    Raises:
        SecretMissingError: this node was never given one.
    """
    return _checked_share(sum_key(services.view), services.keys.vault.get("sumshare"), services.member)


@lru_cache(maxsize=4)
def _checked_share(key: SumKey, data: bytes, holder: str) -> Share:
    """A share from its bytes; checked against its verification value once a process."""
    return key.share_from_bytes(data, holder)
