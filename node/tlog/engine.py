"""The ledger's engine at one node, as ``[ledger] uri`` selects it; its users need not know which one it is.

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
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Engine as Database

from ledger import canonical
from ledger.errors import LedgerError, LogError, LogUnavailableError, OutcomeUnknownError
from ledger.formats.note import NoteSigner
from ledger.formats.policy import WitnessKey
from ledger.sequencer.final_log import LocalLog
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.http_witness import HttpWitness
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.witness import Witness
from node.config import Configuration
from node.member_keys import MemberKeys
from node.membership.network import NetworkFile, witness_names
from node.rpc.channels import Channels
from node.tlog.transport import LocalTransport, RemoteTransport, Transport
from node.tlog.witness import WitnessOverWire

START_SECONDS = 60.0
"""Seconds that witnesses may be missing after a start before that is logged."""
GATE_SECONDS = 1.0
"""Seconds that one attempt to found the log waits for the start gate; bounds the time that a stop takes."""
RETRY_SECONDS = 0.25
NOT_YET = "the ledger does not start yet: %s"
log = logging.getLogger("hedui.engine")


class RunningPart(Protocol):
    """What an engine runs at this node: the log itself, or the node's own reading of it."""

    def start(self) -> None:
        """Start its threads."""
        ...

    def stop(self) -> None:
        """End them."""
        ...


@dataclass(frozen=True)
class Engine:
    """An engine opened at one node. ``start`` it after the port is open, ``stop`` it before the database.

    Attributes:
        transport: the ledger as the roles see it.
        own: the log that runs here; None at a member without the log key.
        part: what is started and stopped with the engine; None if nothing runs here.
        genesis: leaf with which ``own`` is founded if it is empty.
        witnesses: clients of the witnesses that ``own`` asks; those over HTTP are closed with the engine.
        fault: why this node's ledger may not go on without its operator, or None.
        witness_type: makes this node's witness, with the arguments of ``Witness``.
    """

    transport: Transport
    own: LocalLog | None = None
    part: RunningPart | None = None
    genesis: bytes | None = None
    witnesses: Sequence[WitnessClient] = ()
    fault: Callable[[], LedgerError | None] = lambda: None
    witness_type: Callable[..., Witness] = Witness

    @classmethod
    def of_log(cls, own: LocalLog, genesis: bytes | None, witnesses: Iterable[WitnessClient]) -> Engine:
        """The engine of the member with the log key, whose log runs here."""
        return cls(LocalTransport(own), own, own, genesis, tuple(witnesses), lambda: own.quarantined)

    @property
    def quarantined(self) -> LedgerError | None:
        """Why this node's ledger may not go on without its operator, or None."""
        return self.fault()

    def start(self) -> None:
        """Start what runs here."""
        if self.part is not None:
            self.part.start()

    def stop(self) -> None:
        """End what runs here."""
        if self.part is not None:
            self.part.stop()
        for witness in self.witnesses:
            if isinstance(witness, HttpWitness):
                witness.close()


class Founding:
    """Appends the genesis entry to this member's empty log, as soon as the witnesses answer.

    ``attempt`` is the work of a ``PeriodicTask`` and ``pause`` its period; both belong to the task's thread.
    """

    def __init__(self, own: LocalLog, genesis: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``own`` is the log, ``genesis`` its first leaf, ``clock`` seconds that never go back."""
        self._own = own
        self._genesis = genesis
        self._clock = clock
        # Used by the task's thread only.
        self._begun = clock()
        self._is_done = False

    def attempt(self) -> None:
        """Wait a little for the start gate, and found the log where it is empty."""
        try:
            self._own.wait_ready(GATE_SECONDS)
            if self._own.size == 0:
                self._own.submit(self._genesis)
        except LogUnavailableError as error:
            if isinstance(error, OutcomeUnknownError) or self._clock() - self._begun >= START_SECONDS:
                log.warning(NOT_YET, error)
        except LedgerError as error:
            log.warning(NOT_YET, error)
        else:
            self._is_done = True

    def pause(self) -> float | None:
        """Seconds to the next attempt; None once the log is founded."""
        return None if self._is_done else RETRY_SECONDS


@dataclass(frozen=True)
class EngineParts:
    """What a node's engine is made of.

    Attributes:
        configuration, network, keys: those of the home.
        genesis: the genesis leaf; at the member with the log key only.
        database: the member's database, its tables made.
        channels: ways to the other members.
        clock: POSIX seconds.
        settings: settings of the finalizer, used if the log runs at this node.
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
