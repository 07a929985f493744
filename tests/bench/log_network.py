"""A log and its witnesses as processes of their own, as in production: gRPC under mutual TLS, SQLite on disk.

Each witness is a process with its own database behind the node's own ``WitnessEdge``; it cosigns and does
nothing else. The sequencer is a process with the node's ``LogEdge`` and the whole contract. Only the
directory of members is fixed instead of read from a replica.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from sqlalchemy import Engine

from keys.tls import Authority, Identity
from ledger.formats.policy import Policy, WitnessKey, quorum_size
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.storage.database import create_tables, open_database
from ledger.storage.witness_store import SqlWitnessStore
from ledger.wire import log_pb2, log_pb2_grpc
from ledger.witness import Witness
from node.config import prepare_transport
from node.demo.processes import free_ports
from node.edges.ledger import LogEdge, WitnessEdge
from node.rpc.channels import Channels
from node.rpc.directory import Contact, Directory
from node.rpc.server import Peers, start_server
from node.times import system_clock
from node.tlog.transport import LocalTransport
from node.tlog.witness import CosignedNotes, WitnessDesk, WitnessOverWire
from tests.bench.made_log import COSIGNERS, LOG, ROLES, founding

SEQUENCER = "seq"
SUBMITTER = "office"
WITNESS_THREADS = 16
ANY_CLOCK = 1 << 40
"""The founding entries carry the contract tests' time, not today's."""

START_SECONDS = 60.0


def policy_of(witnesses: int) -> Policy:
    """The policy of a log with so many witnesses; one alone is its own quorum, which no network allows."""
    members = tuple(WitnessKey(c.verifier.name, c.verifier) for c in COSIGNERS[:witnesses])
    return Policy(LOG.verifier, members, min(witnesses, quorum_size(witnesses)))


def witness_members(count: int) -> list[str]:
    """The first members that run a witness."""
    return [member for member in ROLES if member != SEQUENCER][:count]


@dataclass(frozen=True)
class Place:
    """What one process is told.

    Attributes:
        member: who it is.
        endpoint: where it listens.
        identity: its certificate and key.
        contacts: those of all members.
        folder: where its files go.
        witnesses: number of witnesses of the log.
        threads: of its gRPC server.
    """

    member: str
    endpoint: str
    identity: Identity
    contacts: list[Contact]
    folder: Path
    witnesses: int
    threads: int

    def directory(self) -> Directory:
        """All members; the list does not change."""
        return Directory(self.contacts, list)

    def engine(self) -> Engine:
        """The process's own database."""
        engine = open_database(f"sqlite:///{self.folder / self.member}.db")
        create_tables(engine)
        return engine

    def serve(self, register: Callable[[grpc.Server], None]) -> grpc.Server:
        """Open the port."""
        return start_server(self.endpoint, self.identity, self.directory(), register, self.threads)


def used() -> tuple[float, int]:
    """CPU seconds and greatest resident size in bytes of this process so far."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime, own.ru_maxrss * 1024


def answer_until_told(connection: Connection, sequencer: Sequencer | None = None) -> None:
    """Tell what was used, or append what is sent, whenever asked, until told to end."""
    connection.send("ready")
    while (told := connection.recv()) != "end":
        if told == "used":
            connection.send(used())
        else:
            assert sequencer is not None
            connection.send(append_here(sequencer, *told))


def append_here(sequencer: Sequencer, leaves: Sequence[bytes], under_way: int) -> float:
    """Seconds until as many submitters in the log's own process have their receipts."""
    with ThreadPoolExecutor(under_way) as pool:
        began = time.perf_counter()
        for _ in pool.map(sequencer.submit, leaves):
            pass
        return time.perf_counter() - began


def run_witness(place: Place, connection: Connection) -> None:
    """A witness process."""
    prepare_transport()
    cosigner = COSIGNERS[witness_members(len(COSIGNERS)).index(place.member)]
    witness = Witness(cosigner, [LOG.verifier], SqlWitnessStore(place.engine()))
    desk = WitnessDesk(witness, LOG.verifier.name, CosignedNotes(), system_clock)
    edge = WitnessEdge(Peers(place.directory()), desk, SEQUENCER)
    server = place.serve(lambda made: log_pb2_grpc.add_WitnessServicer_to_server(edge, made))
    answer_until_told(connection)
    server.stop(0).wait()


def run_sequencer(place: Place, connection: Connection) -> None:
    """The sequencer process: founds the network in an empty log, and serves."""
    prepare_transport()
    began = time.perf_counter()
    channels = Channels(place.directory(), place.identity)
    clients: dict[str, WitnessClient] = {
        COSIGNERS[number].verifier.name: WitnessOverWire(channels, member)
        for number, member in enumerate(witness_members(place.witnesses))
    }
    sequencer = Sequencer(
        place.engine(),
        LogParts(
            LOG,
            policy_of(place.witnesses),
            clients,
            place.folder / "public",
            FinalizerSettings(clock=ANY_CLOCK),
        ),
        system_clock,
    )
    sequencer.start()
    sequencer.wait_ready(START_SECONDS)
    connection.send(("restart", time.perf_counter() - began, sequencer.size))
    if not sequencer.size:
        for entry, _ in founding().entries:
            sequencer.submit(entry.leaf())
    edge = LogEdge(Peers(place.directory()), LocalTransport(sequencer), burst=1 << 40)
    server = place.serve(lambda made: log_pb2_grpc.add_LogServicer_to_server(edge, made))
    answer_until_told(connection, sequencer)
    server.stop(0).wait()
    sequencer.stop()
    channels.close()


class LogNetwork:
    """A running log with ``witnesses`` witness processes; a context manager."""

    def __init__(self, folder: Path, witnesses: int, threads: int) -> None:
        """Args: ``folder`` holds every database; ``threads`` is that of the sequencer's server."""
        members = [SEQUENCER, *witness_members(witnesses)]
        names = list(dict.fromkeys([*members, SUBMITTER]))
        authorities = {name: Authority.create(name) for name in names}
        ports = free_ports(len(names))
        contacts = [
            Contact(name, f"127.0.0.1:{port}", authorities[name].certificate_der)
            for name, port in zip(names, ports, strict=True)
        ]
        self._places = {
            contact.member: Place(
                contact.member,
                contact.endpoint,
                authorities[contact.member].issue(contact.member, ["127.0.0.1"]),
                contacts,
                folder,
                witnesses,
                threads if contact.member == SEQUENCER else WITNESS_THREADS,
            )
            for contact in contacts
        }
        self._running: dict[str, tuple[multiprocessing.process.BaseProcess, Connection]] = {}
        self._witnesses = members[1:]
        self.restart_seconds = self.started_seconds = 0.0
        self.size_at_start = 0

    def __enter__(self) -> LogNetwork:
        """Start the witnesses, then the log."""
        for member in self._witnesses:
            self._start(member, run_witness)
        for member in self._witnesses:
            self._running[member][1].recv()
        began = time.perf_counter()
        self._start(SEQUENCER, run_sequencer)
        _, self.restart_seconds, self.size_at_start = self._running[SEQUENCER][1].recv()
        self.started_seconds = time.perf_counter() - began
        self._running[SEQUENCER][1].recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process."""
        for member in (SEQUENCER, *self._witnesses):
            process, connection = self._running[member]
            if process.is_alive():
                connection.send("end")
            process.join(10)
            process.kill()

    def _start(self, member: str, target: Callable[[Place, Connection], None]) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=target, args=(self._places[member], there), daemon=True)
        process.start()
        self._running[member] = (process, here)

    def used(self) -> dict[str, tuple[float, int]]:
        """CPU seconds and peak memory so far, by process."""
        found = {}
        for member, (_, connection) in self._running.items():
            connection.send("used")
            found[member] = connection.recv()
        return found

    def append_here(self, leaves: Sequence[bytes], under_way: int) -> float:
        """Seconds that the log takes for these entries, submitted in its own process."""
        connection = self._running[SEQUENCER][1]
        connection.send((leaves, under_way))
        seconds: float = connection.recv()
        return seconds

    def submitter(self) -> Submitter:
        """A member that appends over the wire."""
        place = self._places[SUBMITTER]
        return Submitter(Channels(place.directory(), place.identity))


class Submitter:
    """Appends over the wire, one at a time or many at once."""

    def __init__(self, channels: Channels) -> None:
        self._stub = log_pb2_grpc.LogStub(channels.to(SEQUENCER))

    def append(self, leaf: bytes) -> None:
        """Append a leaf and wait until it is final."""
        self._stub.Append(log_pb2.AppendRequest(leaf=leaf), timeout=START_SECONDS)

    def begin(self, leaf: bytes) -> Any:
        """Append a leaf; the call's future."""
        return self._stub.Append.future(log_pb2.AppendRequest(leaf=leaf), timeout=START_SECONDS)
