"""Following the ledger: a replica near its newest checkpoint, compared with the other members' checkpoints.

**Gossip**, so that a log cannot show two histories for long. In every round this node looks at what its own
witness has cosigned last, and asks one other member in turn for the same. Both checkpoints must be part of
this node's own replica. A pair that cannot belong to one history is kept as evidence by the node that
compares (``node.tlog.split_views``). As both sides ask, both find out. A question carries the office's
checkpoint too, in the receipt of its intent (``node.question``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import grpc

from ledger.errors import ForkError, LedgerError
from ledger.wire import log_pb2, log_pb2_grpc
from node.errors import NodeError
from node.rpc.channels import Channels
from node.tlog.client import LedgerClient

log = logging.getLogger("hedui.gossip")
SECONDS = 5.0
"""How long the other member may take to answer."""
GOSSIP_SECONDS = 10.0
"""Pause between two comparisons."""
FIRST_GOSSIP_SECONDS = 0.25
"""The same while nothing is replayed here yet, so that the first comparison follows the first replay."""
FOLLOW_SECONDS = 10.0
"""Pause between two looks at the ledger."""
FIRST_FOLLOW_SECONDS = 0.25
"""The same while the replica is empty, or while the node waits for an entry of its own."""


class Gossip:
    """One node's comparisons; one thread at a time."""

    def __init__(self, member: str, sequencer: str, channels: Channels, ledger: LedgerClient) -> None:
        """Args: ``member`` is this node; ``sequencer`` runs the log and is no witness."""
        self._apart = (member, sequencer)
        self._channels = channels
        self._ledger = ledger
        # The number of comparisons so far; of the one thread that compares.
        self._turn = 0

    def compare_next(self) -> str | None:
        """Compare with this node's own witness, and with the next member in turn.

        Returns:
            Its id if its checkpoint is part of this node's history; None if it gave nothing comparable.

        Raises:
            ForkError: the log has shown two histories; the notes are kept.
        """
        self._ledger.compare_own()
        others = sorted(one.id for one in self._ledger.view.members() if one.id not in self._apart)
        if not others:
            return None
        self._turn += 1
        peer = others[self._turn % len(others)]
        try:
            stub = log_pb2_grpc.WitnessStub(self._channels.to(peer))
            note = bytes(stub.Latest(log_pb2.LatestRequest(), timeout=SECONDS).checkpoint)
            if note:
                self._ledger.compare(note)
                return peer
        except ForkError:
            raise
        except (grpc.RpcError, NodeError, LedgerError) as error:
            log.debug("no comparison with %s: %s", peer, error)
        return None

    def pause(self) -> float:
        """Seconds to the next comparison."""
        return FIRST_GOSSIP_SECONDS if self._ledger.replica.size == 0 else GOSSIP_SECONDS


class LedgerFollower:
    """Fetches and replays what is new on the ledger; ``follow`` and ``pause`` make a ``PeriodicTask``."""

    def __init__(self, ledger: LedgerClient, is_waiting: Callable[[], bool]) -> None:
        """Args: ``is_waiting`` says whether this node waits for an entry, such as its restore fence."""
        self._ledger = ledger
        self._is_waiting = is_waiting
        # The task's thread alone: whether the last attempt has failed.
        self._is_lost = False

    def follow(self) -> None:
        """Fetch the newest checkpoint and replay up to it; a ledger that cannot be followed is logged."""
        try:
            self._ledger.sync()
        except (NodeError, LedgerError) as error:
            self._is_lost = True
            log.info("the ledger cannot be followed: %s", error)
            return
        if self._is_lost:
            log.info("the ledger is followed again, up to entry %d", self._ledger.replica.size)
        self._is_lost = False

    def pause(self) -> float:
        """Seconds to the next attempt."""
        is_urgent = self._ledger.replica.size == 0 or (not self._is_lost and self._is_waiting())
        return FIRST_FOLLOW_SECONDS if is_urgent else FOLLOW_SECONDS
