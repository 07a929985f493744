"""What the roles of one node share: configuration, keys, store, ledger, ways to others, and a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

from keys.errors import KeysError
from ledger.points import Observe, unobserved
from ledger.view import View
from node.config import Configuration
from node.errors import Refusal
from node.identity import MemberKeys
from node.ledger_client import LedgerClient
from node.memory import Memory
from node.outbox import Outbox
from node.rpc.channel import Channels
from node.rpc.server import Peers
from node.stopwatch import Stopwatch
from node.store.database import Store

CHINA = timezone(timedelta(hours=8))
"""Periods and dates of the law are calendar days and months in UTC+8."""


def system_clock() -> int:
    """Seconds since 1970, UTC."""
    return int(time.time())


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
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    observe: Observe = unobserved

    @cached_property
    def memory(self) -> Memory:
        """What a node that was put back from a backup must not trust."""
        return Memory(self.store, self.ledger, self.outbox)

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


def instant(text: str) -> int:
    """Seconds since 1970 of an RFC 3339 UTC time."""
    return int(datetime.fromisoformat(text).timestamp())


def instant_text(seconds: int) -> str:
    """RFC 3339 UTC of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_signature(view: View, member: str, value: dict[str, str], message: bytes) -> None:
    """A signature object is that of a member's node key now on the ledger.

    Raises:
        Refusal: ``bad_signature``.
    """
    found = view.member(member)
    key = found.key_for("node") if found is not None and found.active else None
    try:
        if key is None or value["key"] != key.id or value["alg"] != key.alg:
            raise Refusal("bad_signature", f"the signature is not by {member}'s node key on the ledger")
        key.verifier().verify(message, bytes.fromhex(value["sig"]))
    except (KeysError, KeyError, ValueError, TypeError) as error:
        raise Refusal("bad_signature", f"the signature said to be {member}'s does not verify") from error
