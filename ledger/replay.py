"""Replay: ordered leaves through the contract, one after the other, the same for every node.

An ordered leaf that does not parse, or that the contract refuses, is *void*: it keeps its place in the
tree, changes no state and does not move the contract's time. The contract's time is the greatest ``time``
of the entries accepted so far, the one at hand included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ledger.entry import Entry, parse
from ledger.errors import EntryError, Refused
from ledger.state import State

Apply: TypeAlias = Callable[[State, Entry, str], None]
"""The contract: changes the state by an entry at the contract's time, or raises ``Refused`` only."""

NO_TIME = ""
"""The contract's time before the first entry: before every time."""


@dataclass(frozen=True)
class Step:
    """What replaying one leaf gave.

    Attributes:
        entry: the parsed entry, None where the leaf is none.
        void: code of the refusal; None where the entry counts.
    """

    entry: Entry | None
    void: str | None


class Replay:
    """Applies leaves to a state and keeps the contract's time; one thread at a time."""

    def __init__(self, state: State, apply: Apply, time: str = NO_TIME) -> None:
        self._state = state
        self._apply = apply
        self.time = time

    def step(self, leaf: bytes) -> Step:
        """Replay one ordered leaf."""
        try:
            entry = parse(leaf)
        except EntryError as error:
            return Step(None, error.code)
        try:
            self.admit(entry)
        except Refused as error:
            return Step(entry, error.code)
        return Step(entry, None)

    def admit(self, entry: Entry) -> None:
        """Apply a parsed entry at the contract's time.

        Raises:
            Refused: the contract refuses it; neither state nor time has changed.
        """
        now = max(self.time, entry.time)
        self._apply(self._state, entry, now)
        self.time = now
