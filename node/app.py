"""One member's process put together: keys, store, replica, ledger, roles, port.

Start order: database and migrations → replica → after a restore its fence (``node.tlog.restore_fence``) →
port (so that
the log finds its witnesses) → the ledger's engine (``node.tlog.engine``), genesis first where the log runs
here
→ outbox → a follower thread that keeps the replica near the head. Stop order is the reverse. Every member
but the one with the log key is a witness.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from functools import partial

import grpc

from ledger.contract.view import View
from ledger.errors import ForkError, LedgerError
from ledger.fault_points import Observe, unobserved
from ledger.periodic import Surviving
from ledger.replica.replica import Replica
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.storage.database import open_database
from ledger.storage.witness_store import SqlWitnessStore
from ledger.wire import log_pb2_grpc
from node.config import Configuration
from node.department import refusal_counts
from node.department.answer import Department
from node.department.publication_keys import retire_unused_publications
from node.department.publish import Publisher
from node.edges.check import DepartmentEdge, RegistrarEdge, TrusteeEdge
from node.edges.ledger import LogEdge, WitnessEdge
from node.edges.operator import OperatorEdge
from node.errors import ConfigurationError, NodeError
from node.member_keys import MemberKeys, open_keys
from node.membership.network import NetworkFile, genesis_contacts
from node.monitoring.health import LedgerHealth, ledger_health
from node.office.check import Office
from node.registrar.certify import Registrar
from node.rpc.channels import Channels
from node.rpc.directory import Contact, Directory
from node.rpc.server import Peers, require_free, start_server
from node.services import Services
from node.store.database import Store, check_database
from node.store.opening import open_store
from node.times import system_clock
from node.tlog.client import LedgerClient
from node.tlog.engine import Engine, EngineParts
from node.tlog.gossip import Gossip
from node.tlog.opening import open_ledger
from node.tlog.outbox import Outbox
from node.tlog.restore_fence import GuardedWitnessStore
from node.tlog.split_views import SplitViewEvidence
from node.tlog.timestamps import Stamper
from node.tlog.witness import CosignedNotes, WitnessDesk, open_witness
from node.trustee.release import Trustee
from node.upkeep.rejoin import rejoin
from node.web.server import WebServer, open_web
from node.wire import operator_pb2_grpc
from protocols.wire import check_pb2_grpc

FOLLOW_SECONDS = 10.0
FIRST_FOLLOW_SECONDS = 0.25

log = logging.getLogger("hedui.member")


class Node:
    """A running node. ``start`` it, ``wait`` for it, ``stop`` it."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], int] = system_clock,
        observe: Observe = unobserved,
    ) -> None:
        """Open everything that needs no network.

        Args:
            configuration: of the home.
            clock: seconds since 1970, UTC.
            observe: told each point of the work (``ledger.fault_points``).

        Raises:
            ConfigurationError, KeysError, StoreError: the home is not as it should be.
            LogError: the log's database is damaged beyond what can be rebuilt from it.
        """
        self._configuration = configuration
        self._observe = observe
        self._network = NetworkFile.read(configuration.home.network)
        keys = open_keys(configuration)
        self._database = database = open_database(configuration.store_url)
        check_database(database)
        open_store(configuration.home, database, clock())
        network, policy = self._network, self._network.policy
        self._replica = Replica(database, network.network, network.genesis, policy, observe=observe)
        self._evidence = SplitViewEvidence(configuration.home.evidence, policy, clock)
        self._members_at: tuple[int, list[Contact]] = (-1, [])
        self._genesis = _genesis_leaf(configuration)
        bootstrap = [self._network.first, *([] if self._genesis is None else genesis_contacts(self._genesis))]
        own = Contact(configuration.member, configuration.endpoint, keys.authority.certificate_der)
        self._directory = Directory(bootstrap, self._contacts, own)
        self._channels = Channels(self._directory, keys.tls)
        self._cosigned = CosignedNotes()
        self._engine = self._open_engine(keys, clock)
        ledger = LedgerClient(
            self._network.network,
            self._network.policy,
            self._replica,
            self._engine.transport,
            keys.node,
            self._cosigned.notes,
            clock,
            self._evidence,
        )
        store = Store(database)
        self._witnessed = SqlWitnessStore(database)
        outbox = Outbox(store, ledger, observe)
        peers = Peers(self._directory)
        self.services = Services(
            configuration, keys, store, ledger, outbox, self._channels, peers, clock, observe=observe
        )
        self._desk = None if self._engine.own is not None else self._open_desk()
        self._stamper = self._make_stamper(clock)
        self._server: grpc.Server | None = None
        self._web: WebServer | None = None
        self._stopping = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="follower", daemon=True)
        self.stopped = threading.Event()

    def start(self) -> None:
        """Open the port, start the log where this member runs it, follow the ledger.

        Raises:
            ConfigurationError: the port cannot be opened.
            LogError: the log may not start: quarantine, or too few witnesses.
        """
        configuration = self._configuration
        require_free(configuration.listen)
        self._server = start_server(
            configuration.listen,
            self.services.keys.tls,
            self._directory,
            self._register,
            configuration.threads,
        )
        self._web = open_web(configuration, self._desk)
        self._engine.start()
        if self._stamper is not None:
            self._stamper.start()
        self.services.restore_fence.begin(self.services.clock())
        self.services.outbox.start()
        self._follower.start()
        log.info("node %s listens on %s", configuration.member, configuration.listen)

    def stop(self) -> None:
        """End everything in order; what waits in the outbox is sent by the next run."""
        self._stopping.set()
        if self._web is not None:
            self._web.stop()
        if self._stamper is not None:
            self._stamper.close()
        if self._server is not None:
            self._server.stop(grace=1.0).wait()
        self.services.outbox.close()
        self._engine.stop()
        self._channels.close()
        self._database.dispose()
        self.stopped.set()

    def _open_engine(self, keys: MemberKeys, clock: Callable[[], int]) -> Engine:
        """The engine of the ledger, as the configuration names it."""

        def refusal_entry(digest: bytes, code: str) -> bytes:
            body = {"entry": digest.hex(), "code": code}
            return self.services.ledger.compose("query.refused", secrets.token_hex(16), body)

        settings = FinalizerSettings(
            refusal_entry=refusal_entry, observe=self._observe, evidence=self._keep_evidence
        )
        return open_ledger(
            EngineParts(
                self._configuration,
                self._network,
                keys,
                self._genesis,
                self._database,
                self._channels,
                clock,
                settings,
            )
        )

    def _keep_evidence(self, first: bytes, second: bytes) -> None:
        self._evidence.keep(first, second)

    def _make_stamper(self, clock: Callable[[], int]) -> Stamper | None:
        """Time-stamps of this member's log, where an authority is configured."""
        configuration = self._configuration
        if configuration.timestamps is None:
            return None
        if self._engine.own is None:
            raise ConfigurationError(
                "[timestamps] is for the member that runs the log, which this one does not: remove it here"
            )
        root = configuration.home.public_log
        return Stamper(root, self._network.policy, configuration.timestamps, clock)

    def _register(self, server: grpc.Server) -> None:
        """Services of this member's roles."""
        services, roles = self.services, self._configuration.roles
        peers = services.peers
        if self._engine.own is not None:
            log_pb2_grpc.add_LogServicer_to_server(LogEdge(peers, self._engine.transport), server)
        if self._desk is not None:
            edge = WitnessEdge(peers, self._desk, self._network.first.member)
            log_pb2_grpc.add_WitnessServicer_to_server(edge, server)
        if "registrar" in roles:
            registrar = RegistrarEdge(peers, Registrar(services))
            check_pb2_grpc.add_RegistrarServicer_to_server(registrar, server)
        if "department" in roles:
            department = DepartmentEdge(peers, services, Department(services))
            check_pb2_grpc.add_DepartmentServicer_to_server(department, server)
        if "trustee" in roles:
            check_pb2_grpc.add_TrusteeServicer_to_server(TrusteeEdge(peers, Trustee(services)), server)
        operator = OperatorEdge(peers, services, Publisher(services), Office(services), self._standing)
        operator_pb2_grpc.add_OperatorServicer_to_server(operator, server)

    def _standing(self) -> LedgerHealth:
        """How the ledger stands here."""
        policy, replica = self._network.policy, self._replica
        return ledger_health(self._engine, policy, replica.checkpoint, self.services.clock())

    def _open_desk(self) -> WitnessDesk:
        """This member's witness."""
        web, services = self._configuration.web, self.services
        key = services.keys.signing("witness")
        witness = open_witness(
            services.member,
            key,
            self._network.policy,
            () if web is None else web.logs,
            partial(self._engine.witness_type, observe=self._observe),
            GuardedWitnessStore(self._witnessed, services.restore_fence),
        )
        return WitnessDesk(
            witness, self._network.policy.origin, self._cosigned, services.clock, services.ledger.compare
        )

    def _contacts(self) -> list[Contact]:
        """Active members of the replayed ledger; read again when the replica has grown."""
        size = self._replica.size
        if self._members_at[0] != size:
            members = View(self._replica.state).members()
            contacts = [Contact(member.id, member.endpoint, bytes.fromhex(member.tls)) for member in members]
            self._members_at = (size, contacts)
        return self._members_at[1]

    def _follow(self) -> None:
        """Keep the replica near the head; every hour count refusals without a valid intent."""
        counter = refusal_counts.RefusalCounter(self.services)
        ledger, first = self.services.ledger, self._network.first.member
        gossip = Gossip(self._configuration.member, first, self._channels, ledger)
        lost = False
        while not self._stopping.is_set():
            pause = FOLLOW_SECONDS
            with Surviving(log, "following the ledger"):
                try:
                    ledger.sync()
                    if lost:
                        log.info("the ledger is followed again, up to entry %d", self._replica.size)
                    lost = False
                    pause = self._rejoin(pause)
                    if counter.count_due() is not None and "department" in self._configuration.roles:
                        retire_unused_publications(self.services)
                    gossip.compare_next()
                except (NodeError, LedgerError) as error:
                    lost = True
                    log.info("the ledger cannot be followed: %s", error)
                    pause = FIRST_FOLLOW_SECONDS if self._replica.size == 0 else FOLLOW_SECONDS
            self._stopping.wait(pause)

    def _rejoin(self, pause: float) -> float:
        """Come back after a restore; seconds to the next look, short until then."""
        fence = self.services.restore_fence
        if fence.state() == "rejoining":
            try:
                rejoin(self.services, self._witnessed)
            except ForkError as error:
                log.error("this node cannot rejoin: %s", error)  # noqa: TRY400  expected: no trace
        return FIRST_FOLLOW_SECONDS if fence.state() == "rejoining" else pause


def _genesis_leaf(configuration: Configuration) -> bytes | None:
    """The genesis leaf in the sequencer's home."""
    path = configuration.home.root / "genesis.leaf"
    return path.read_bytes() if path.is_file() else None
