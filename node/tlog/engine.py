"""The ledger's engine at one node: what ``[ledger] uri`` decides, and nothing above it has to know.

    embedded:         the member with the log key orders, signs and publishes; every other one appends and
                      reads over the wire, and witnesses
    fabric:PROFILE    every member appends through its own peer, derives the log from that peer's blocks, and
                      witnesses what agrees with it; the one with the log key signs and publishes

Either way the member with the log key serves checkpoints to the others, and the roles of a node see one
``Transport``. An engine is opened with the node's parts, started with its port and stopped before its
database is closed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine as Database

from ledger import canonical
from ledger.errors import LedgerError, LogError
from ledger.formats.note import NoteSigner
from ledger.formats.policy import WitnessKey
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.http_witness import HttpWitness
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.witness import Witness
from node.config import Configuration
from node.member_keys import MemberKeys
from node.membership.network import NetworkFile, witness_names
from node.rpc.channels import Channels
from node.tlog.transport import LocalLog, RemoteTransport, Transport
from node.tlog.witness import WitnessOverWire

START_SECONDS = 60.0
RETRY_SECONDS = 0.25
log = logging.getLogger("hedui.engine")


class Engine:
    """An engine opened at one node."""

    witness_type: Callable[..., Witness] = Witness
    """Makes this node's witness, with the arguments of ``Witness``."""

    def __init__(
        self,
        transport: Transport,
        own: LocalLog | None = None,
        genesis: bytes | None = None,
        witnesses: Iterable[WitnessClient] = (),
    ) -> None:
        """An engine.

        Args:
            transport: what the roles see.
            own: the log that runs here.
            genesis: what it is founded with where it is empty.
            witnesses: those it asks.
        """
        self.transport = transport
        self._foreign = [witness for witness in witnesses if isinstance(witness, HttpWitness)]
        self.own = own
        self._genesis = genesis
        self._stopping = threading.Event()

    @property
    def quarantined(self) -> LedgerError | None:
        """Why this node's ledger may not go on without a person, or None."""
        return None if self.own is None else self.own.quarantined

    def start(self) -> None:
        """Start what runs here; after the port, so that the witnesses find each other."""
        if self.own is not None:
            self.own.start()
            threading.Thread(target=self._found, name="founding", daemon=True).start()

    def stop(self) -> None:
        """End what runs here."""
        self._stopping.set()
        if self.own is not None:
            self.own.stop()
        for witness in self._foreign:
            witness.close()

    def _found(self) -> None:
        """Append the genesis entry to an empty log, as soon as the witnesses answer."""
        assert self.own is not None
        assert self._genesis is not None
        while not self._stopping.is_set():
            try:
                self.own.wait_ready(START_SECONDS)
                if self.own.size == 0:
                    self.own.submit(self._genesis)
            except LedgerError as error:
                log.warning("the ledger does not start yet: %s", error)
                self._stopping.wait(RETRY_SECONDS)
            else:
                return


@dataclass(frozen=True)
class EngineParts:
    """What a node's engine is made of.

    Attributes:
        configuration, network, keys: of the home.
        genesis: the genesis leaf; at the member with the log key only.
        database: the member's database, its tables made.
        channels: ways to the other members.
        clock: POSIX seconds.
        settings: of the finishing of a log, where it runs here.
    """

    configuration: Configuration
    network: NetworkFile
    keys: MemberKeys
    genesis: bytes | None
    database: Database
    channels: Channels
    clock: Callable[[], int]
    settings: FinalizerSettings

    @property
    def holds_key(self) -> bool:
        """Whether this member holds the log key."""
        return "sequencer" in self.configuration.roles

    def remote(self) -> RemoteTransport:
        """The log of the member with its key, over the wire."""
        return RemoteTransport(self.channels, lambda: self.network.first.member)

    def signer(self) -> NoteSigner:
        """The log key."""
        return NoteSigner(self.network.policy.origin, self.keys.signing("log"))

    def witnesses(self, signer: NoteSigner, ordered: Callable[[], int]) -> dict[str, WitnessClient]:
        """Every witness the policy lists, members over the wire and others over HTTP.

        Args:
            signer: the log key.
            ordered: entries under a signed head.

        Raises:
            LogError: the founding files or a witness's address are missing.
        """
        if self.genesis is None:
            raise LogError(
                "this home holds the log key and lacks genesis.leaf: join with the network's founding files"
            )
        value: Any = canonical.decode(self.genesis)
        members = witness_names(value["body"]["members"])

        def client(witness: WitnessKey) -> WitnessClient:
            if witness.name in members:
                return WitnessOverWire(self.channels, members[witness.name])
            if witness.url is None:
                raise LogError(
                    f"the policy's witness {witness.name} is no member and has no URL: add its URL"
                )
            return HttpWitness(witness.url, signer, ordered)

        return {witness.name: client(witness) for witness in self.network.policy.listed}
