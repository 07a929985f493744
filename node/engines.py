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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from sqlalchemy import Engine as Database

from ledger import canonical
from ledger.cosigning import WitnessClient
from ledger.embedded import Sequencer
from ledger.errors import LedgerError, LogError, QuorumError, Refused
from ledger.finishing import Settings
from ledger.http_witness import HttpWitness
from ledger.note import NoteSigner
from ledger.policy import WitnessKey
from ledger.proof import Receipt
from ledger.wire import log_pb2, log_pb2_grpc
from ledger.witness import Witness
from node.config import EMBEDDED, Configuration
from node.errors import NodeError, Refusal, ServiceUnavailable
from node.identity import MemberKeys
from node.ledger_client import RemoteTransport, Transport
from node.network import NetworkFile, witness_names
from node.repeated import Repeated
from node.rpc.channel import Channels
from node.services import system_clock

WITNESS_SECONDS = 5.0
READ_AT_ONCE = 1024
START_SECONDS = 60.0
RETRY_SECONDS = 0.25

_LOST = (grpc.RpcError, NodeError, ValueError)
"""What a call raises that is not answered; ``ValueError`` where its channel was closed meanwhile."""

log = logging.getLogger("hedui.engine")


class OwnLog(Protocol):
    """The log at the member with its key: ``ledger.embedded.Sequencer``, or the assembler on Fabric."""

    def start(self) -> None:
        """Start its threads."""

    def stop(self) -> None:
        """End them."""

    def wait_ready(self, seconds: float) -> None:
        """Wait for the start gate."""

    def submit(self, leaf: bytes) -> Receipt:
        """Append an entry; its receipt once it is final."""

    @property
    def head(self) -> bytes | None:
        """The last final checkpoint."""

    @property
    def size(self) -> int:
        """Number of final entries."""

    @property
    def short(self) -> QuorumError | None:
        """Why nothing becomes final now, or None."""

    @property
    def quarantined(self) -> LogError | None:
        """Why the log signs nothing, or None."""

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        """Final leaves of a range."""


class WitnessOverWire:
    """A member's witness as the log reaches it."""

    def __init__(self, channels: Channels, member: str) -> None:
        """Args: ``member`` runs the witness."""
        self._channels = channels
        self._member = member

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """See ``ledger.cosigning.WitnessClient``."""
        try:
            response = self._stub().AddCheckpoint(
                log_pb2.AddCheckpointRequest(body=body), timeout=WITNESS_SECONDS
            )
        except _LOST as error:
            raise LogError(f"the witness of {self._member} does not answer") from error
        return int(response.status), bytes(response.body)

    def latest(self) -> bytes | None:
        """See ``ledger.cosigning.WitnessClient``."""
        try:
            response = self._stub().Latest(log_pb2.LatestRequest(), timeout=WITNESS_SECONDS)
        except _LOST as error:
            raise LogError(f"the witness of {self._member} does not answer") from error
        return bytes(response.checkpoint) or None

    def _stub(self) -> log_pb2_grpc.WitnessStub:
        return log_pb2_grpc.WitnessStub(self._channels.to(self._member))


class LocalTransport:
    """The log of this process, for its member's other roles and for the wire."""

    def __init__(self, own: OwnLog) -> None:
        """Args: ``own`` runs here."""
        self._log = own

    def append(self, leaf: bytes) -> bytes:
        """See ``node.ledger_client.Transport``."""
        try:
            return self._log.submit(leaf).format()
        except Refused as refused:
            raise Refusal(refused.code, refused.remedy) from refused

    def head(self) -> bytes:
        """See ``node.ledger_client.Transport``."""
        note = self._log.head
        if note is None and self._log.quarantined is not None:
            raise ServiceUnavailable(
                "the log is in quarantine: its member must recover it, see the page Operate of its guides"
            )
        if note is None:
            raise ServiceUnavailable("the ledger has no final checkpoint yet: its witnesses must run")
        return note

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """See ``node.ledger_client.Transport``."""
        for begin in range(start, min(end, self._log.size), READ_AT_ONCE):
            yield from self._log.read(begin, min(end, begin + READ_AT_ONCE))


@dataclass(frozen=True)
class Parts:
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
    settings: Settings

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


class Engine:
    """An engine opened at one node."""

    witness_type: Callable[..., Witness] = Witness
    """Makes this node's witness, with the arguments of ``Witness``."""

    def __init__(
        self,
        transport: Transport,
        own: OwnLog | None = None,
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
        self._repeated = Repeated(log)
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
                self._repeated.warning(f"the ledger does not start yet: {error}")
                self._stopping.wait(RETRY_SECONDS)
            else:
                return


def open_ledger(parts: Parts) -> Engine:
    """The engine that the configuration names.

    Raises:
        LogError: the log may not be opened here, or its connection profile cannot be read.
    """
    if parts.configuration.ledger != EMBEDDED:
        from node.fabric import open_fabric  # noqa: PLC0415  builds on this module, and loads what only it needs

        return open_fabric(parts)
    if not parts.holds_key:
        return Engine(parts.remote())
    signer = parts.signer()
    clients = parts.witnesses(signer, lambda: sequencer.ordered)
    public, policy = parts.configuration.home.public_log, parts.network.policy
    sequencer: Sequencer = Sequencer(
        parts.database, signer, policy, clients, public, system_clock, settings=parts.settings
    )
    return Engine(LocalTransport(sequencer), sequencer, parts.genesis, clients.values())
