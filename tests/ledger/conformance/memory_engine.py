"""The Fabric engine over the network in memory, with the real contract as its chaincode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import contract
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.entries.entry import Entry
from ledger.fabric.chaincode import Chaincode
from ledger.fabric.shim import ChaincodeServer
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import PACKAGE


class MemoryNetwork:
    """Peers in memory and a chaincode whose contract a test may exchange."""

    def __init__(self, apply: Apply = contract.apply, clock: Callable[[], int] | None = None) -> None:
        self.apply = apply
        self.network = Network(clock)
        self._server = ChaincodeServer(Chaincode(self.network.clock, self._run), PACKAGE)
        endpoint = f"127.0.0.1:{self._server.start('127.0.0.1:0')}"
        for peer in self.network.peers.values():
            peer.connect(endpoint)

    def engine(self, folder: Path, apply: Apply = contract.apply) -> FabricEngine:
        """An engine with a member for each organisation."""
        profiles = [self.network.profile(folder / name, name) for name in self.network.peers]
        return FabricEngine(folder, profiles, self.network.clock, apply=apply, dishonestly=self.dishonestly)

    @contextmanager
    def dishonestly(self) -> Iterator[None]:
        """A time in which the chaincode endorses everything."""
        kept, self.apply = self.apply, _anything
        yield
        self.apply = kept

    def close(self) -> None:
        self.network.close()
        self._server.stop()

    def _run(self, state: State, entry: Entry, now: str) -> None:
        self.apply(state, entry, now)


def _anything(state: State, entry: Entry, now: str) -> None:
    del state, entry, now
