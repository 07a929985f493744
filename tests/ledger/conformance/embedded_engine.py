"""The embedded engine for the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ledger import contract
from ledger.formats.receipt import Receipt
from tests.ledger.contract.contract_cases import NOW
from tests.ledger.sequencer.log_cases import World, admit_all


class EmbeddedEngine:
    """A sequencer with six witnesses, in this process."""

    def __init__(self, folder: Path) -> None:
        self._world = World(folder, contract.apply)
        self._log = self._world.started()

    @property
    def public(self) -> Path:
        return self._world.public

    def now(self) -> str:
        return NOW

    def append(self, leaf: bytes) -> Receipt:
        return self._log.submit(leaf)

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        return self._log.read(begin, end)

    def head(self) -> bytes:
        note = self._log.head
        assert note is not None
        return note

    def restart(self) -> None:
        self._log.stop()
        self._log = self._world.started()

    def order_anyway(self, leaf: bytes) -> None:
        self._log.stop()
        self._world.admit = admit_all
        dishonest = self._world.started()
        dishonest.submit(leaf)
        dishonest.stop()
        self._world.admit = contract.apply
        self._log = self._world.started()

    def close(self) -> None:
        self._world.close()
