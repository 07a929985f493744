"""Keeping a node's replica near the newest checkpoint of the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ledger.errors import LedgerError
from node.errors import NodeError
from node.tlog.client import LedgerClient

FOLLOW_SECONDS = 10.0
"""Pause between two looks at the ledger."""
FIRST_FOLLOW_SECONDS = 0.25
"""The same while the replica is empty, or while the node waits for an entry of its own."""

log = logging.getLogger("hedui.member")


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
