"""Replay: ordered leaves through the contract, one after the other, the same for every node.

An ordered leaf that does not parse, or that the contract refuses, is *void*: it keeps its place in the
tree, changes no state and does not move the contract's time. The contract's time is the greatest ``time``
of the entries accepted so far, the current one included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ledger import contract
from ledger.contract.state import State
from ledger.contract.view import Remembered
from ledger.entries.entry import Entry, parse, reread
from ledger.errors import EntryError, EntryRefusedError

Apply: TypeAlias = Callable[[State, Entry, str], None]
"""The contract: changes the state by an entry at the contract's time, or raises ``EntryRefusedError``
only."""

NO_TIME = ""
"""The contract's time before the first entry: before every time."""


@dataclass(frozen=True)
class Step:
    """The result of replaying one leaf.

    Attributes:
        entry: the parsed entry; None if the leaf does not parse.
        void: code of the refusal; None where the entry counts.
    """

    entry: Entry | None
    void: str | None


ApplyProven: TypeAlias = Callable[[State, Entry, str, Remembered], None]
"""The contract for a proven entry."""


def apply_proven_for(apply: Apply) -> ApplyProven | None:
    """The contract for proven leaves if ``apply`` is the contract itself, else None."""
    return contract.apply_proven if apply is contract.apply else None


class Replay:
    """Applies leaves to a state and keeps the contract's time; one thread at a time."""

    def __init__(
        self, state: State, apply: Apply, time: str = NO_TIME, apply_proven: ApplyProven | None = None
    ) -> None:
        """Args: ``apply_proven`` is ``apply`` for proven leaves, as ``apply_proven_for`` returns it."""
        self._state = state
        self._apply = apply
        self._apply_proven = apply_proven
        self._remembered = Remembered()
        self.time = time

    def step(self, leaf: bytes) -> Step:
        """Replay one ordered leaf."""
        try:
            entry = parse(leaf)
        except EntryError as error:
            return Step(None, error.code)
        try:
            self.admit(entry)
        except EntryRefusedError as error:
            return Step(entry, error.code)
        return Step(entry, None)

    def step_proven(self, leaf: bytes) -> Step:
        """Replay one ordered leaf whose form and signatures are proven; the result is that of ``step``."""
        if self._apply_proven is None:
            return self.step(leaf)
        entry = reread(leaf)
        now = max(self.time, entry.time)
        try:
            self._apply_proven(self._state, entry, now, self._remembered)
        except EntryRefusedError as error:
            return Step(entry, error.code)
        self.time = now
        return Step(entry, None)

    def admit(self, entry: Entry) -> None:
        """Apply a parsed entry at the contract's time.

        Raises:
            EntryRefusedError: the contract refuses it; neither state nor time has changed.
        """
        now = max(self.time, entry.time)
        self._apply(self._state, entry, now)
        self.time = now
