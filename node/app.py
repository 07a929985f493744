"""The process of one member: it opens keys, database, ledger, roles and ports, and runs the periodic tasks.

Opened first, without the network: database and migrations → the ledger's side (``node.tlog.opening``) → what
the roles share → the witness, which every member has but the one with the log key.

Start order: the gRPC port, so that the log finds its witnesses → the HTTP port, where ``[web]`` opens one →
the ledger's engine → after a restore its fence (``node.tlog.restore_fence``) → the outbox → the other
periodic tasks.

Stop order: the periodic tasks are told to end → the HTTP port → the gRPC port → the outbox → the engine →
the channels to other members → the periodic tasks are waited for → the database.

Each factory below opens one part and knows nothing of the others: a further role goes into
``node.edges.registration``, further periodic work into ``Node._schedule``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

import grpc
from sqlalchemy import Engine as Database

from ledger.errors import LedgerError
from ledger.fault_points import Observe, unobserved
from ledger.periodic import PeriodicTask
from ledger.storage.database import open_database
from ledger.storage.witness_store import SqlWitnessStore
from node.config import Configuration
from node.department.own_publications import retire_unused_publications
from node.department.refusal_counts import RefusalCounter
from node.edges.registration import register_services
from node.errors import ConfigurationError, NodeError
from node.member_keys import MemberKeys, open_keys
from node.rpc.server import Peers, require_free, start_server
from node.services import Services
from node.store.database import Store, check_database
from node.store.opening import open_store
from node.times import system_clock
from node.tlog.engine import Founding
from node.tlog.following import Gossip, LedgerFollower
from node.tlog.opening import LedgerSide, open_ledger_side
from node.tlog.outbox import Outbox
from node.tlog.restore_fence import GuardedWitnessStore
from node.tlog.timestamps import Stamper
from node.tlog.witness import WitnessDesk, open_witness
from node.upkeep.rejoin import Rejoining
from node.web.server import WebServer, open_web

COUNT_SECONDS = 10.0
"""How often the refusal counter looks at the clock; it counts each hour."""
RETIRE_SECONDS = 3600.0
TASK_STOP_SECONDS = 1.0
"""How long a stop waits for each periodic task once its calls to others have ended."""

log = logging.getLogger("hedui.member")


class Node:
    """A running node. ``start`` it, ``stop`` it; ``stopped`` is set at the end."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], int] = system_clock,
        observe: Observe = unobserved,
    ) -> None:
        """Open everything that needs no network.

        Args:
            configuration: of the home.
            clock: POSIX seconds.
            observe: told each point of the work (``ledger.fault_points``).

        Raises:
            ConfigurationError, KeysError, StoreError: the home is not as it should be.
            LogError: the log's database is damaged beyond what can be rebuilt from it.
        """
        self._configuration = configuration
        keys = open_keys(configuration)
        self.database = open_home_database(configuration, clock)
        self.ledger_side = open_ledger_side(configuration, keys, self.database, clock, observe)
        self.services = open_services(configuration, keys, self.database, self.ledger_side, clock, observe)
        self._witness_store = SqlWitnessStore(self.database)
        self._desk = open_desk(self.services, self.ledger_side, self._witness_store)
        # Set by the thread that starts and stops the node, and used by it alone.
        self._server: grpc.Server | None = None
        self.web: WebServer | None = None
        self._tasks = self._schedule()
        self.stopped = threading.Event()

    def start(self) -> None:
        """Open the port, start the log where this member runs it, follow the ledger.

        Raises:
            ConfigurationError: the port cannot be opened.
            LogError: the log may not start: quarantine, or too few witnesses.
        """
        configuration, side, services = self._configuration, self.ledger_side, self.services
        require_free(configuration.listen)
        self._server = start_server(
            configuration.listen,
            services.keys.tls,
            side.directory,
            lambda server: register_services(server, services, side, self._desk),
            configuration.threads,
        )
        self.web = open_web(configuration, self._desk)
        side.engine.start()
        services.restore_fence.begin(services.clock())
        services.outbox.start()
        for task in self._tasks:
            task.start()
        log.info("node %s listens on %s", configuration.member, configuration.listen)

    def stop(self) -> None:
        """End everything in order; what waits in the outbox is sent by the next run."""
        for task in self._tasks:
            task.stop(seconds=0)
        if self.web is not None:
            self.web.stop()
        if self._server is not None:
            self._server.stop(grace=1.0).wait()
        self.services.outbox.close()
        self.ledger_side.engine.stop()
        self.ledger_side.channels.close()
        for task in self._tasks:
            task.stop(TASK_STOP_SECONDS)
        self.database.dispose()
        self.stopped.set()

    def _schedule(self) -> list[PeriodicTask]:
        """The periodic work of a node, each task in a thread of its own.

            name            pause between two runs      work
            follow          10 s, at a start 0.25 s     fetch and replay what is new on the ledger
            rejoin          0.25 s until rejoined       after a restore: load what the ledger knows
            gossip          10 s, at a start 0.25 s     compare checkpoints with the next member
            count-refusals  10 s, counts each hour      refusals without an intent onto the ledger
            retire          1 h                         destroy keys of publications no longer in use
            timestamps      as configured               have the log's checkpoint time-stamped
            found           0.25 s until founded        append the genesis entry to an empty log
            outbox          1 s, or when woken          send entries that wait (``node.tlog.outbox``)
            rpc-timeouts    1 s                         cancel late calls (``node.rpc.server``)

        The log and the Fabric engine have threads that wait for entries or blocks instead of a time:
        ``ledger.sequencer.sequencer``, ``ledger.fabric.follower``, ``ledger.fabric.assembler``.
        """
        services, side = self.services, self.ledger_side
        ledger, fence = services.ledger, services.restore_fence
        follower = LedgerFollower(ledger, lambda: fence.state() == "rejoining")
        rejoining = Rejoining(services, self._witness_store)
        gossip = Gossip(services.member, side.network.first.member, side.channels, ledger)
        compare = reported("checkpoints cannot be compared", gossip.compare_next)
        count = reported("refusals cannot be counted", RefusalCounter(services).count_due)
        tasks = [
            PeriodicTask("follow", follower.pause, follower.follow, log),
            PeriodicTask("rejoin", rejoining.pause, rejoining.attempt, log),
            PeriodicTask("gossip", gossip.pause, compare, log),
            PeriodicTask("count-refusals", COUNT_SECONDS, count, log),
        ]
        if "department" in self._configuration.roles:
            retire = reported("publications cannot be retired", lambda: retire_unused_publications(services))
            tasks.append(PeriodicTask("retire", RETIRE_SECONDS, retire, log, delay=RETIRE_SECONDS))
        stamper = open_stamper(self._configuration, side, services.clock)
        if stamper is not None:
            tasks.append(stamper.task())
        own, genesis = side.engine.own, side.engine.genesis
        if own is not None and genesis is not None:
            founding = Founding(own, genesis)
            tasks.append(PeriodicTask("found", founding.pause, founding.attempt, log))
        return tasks


def open_home_database(configuration: Configuration, clock: Callable[[], int]) -> Database:
    """The member's database, checked and with its tables at this version.

    Raises:
        StoreError, ConfigurationError: it cannot be used.
    """
    database = open_database(configuration.store_url)
    check_database(database)
    open_store(configuration.home, database, clock())
    return database


def open_services(
    configuration: Configuration,
    keys: MemberKeys,
    database: Database,
    side: LedgerSide,
    clock: Callable[[], int],
    observe: Observe,
) -> Services:
    """What the roles of this node share; nothing runs before ``outbox.start``."""
    store = Store(database)
    outbox = Outbox(store, side.client, observe)
    peers = Peers(side.directory)
    return Services(
        configuration, keys, store, side.client, outbox, side.channels, peers, clock, observe=observe
    )


def open_desk(services: Services, side: LedgerSide, records: SqlWitnessStore) -> WitnessDesk | None:
    """This member's witness; None at the member that runs the log.

    Raises:
        ConfigurationError: a further log of ``[[web.logs]]`` cannot be cosigned.
    """
    if side.engine.own is not None:
        return None
    web, policy = services.configuration.web, side.network.policy
    witness = open_witness(
        services.member,
        services.keys.signing("witness"),
        policy,
        () if web is None else web.logs,
        partial(side.engine.witness_type, observe=services.observe),
        GuardedWitnessStore(records, services.restore_fence),
    )
    return WitnessDesk(witness, policy.origin, side.cosigned, services.clock, services.ledger.compare)


def open_stamper(configuration: Configuration, side: LedgerSide, clock: Callable[[], int]) -> Stamper | None:
    """Time-stamps of this member's log; None where no authority is configured.

    Raises:
        ConfigurationError: this member does not run the log, or the authority's certificates cannot be read.
    """
    if configuration.timestamps is None:
        return None
    if side.engine.own is None:
        raise ConfigurationError(
            "[timestamps] is for the member that runs the log, which this one does not: remove it here"
        )
    return Stamper(configuration.home.public_log, side.network.policy, configuration.timestamps, clock)


def reported(what: str, work: Callable[[], object]) -> Callable[[], None]:
    """A run of periodic work whose expected errors are logged in one line, without a trace.

    Args:
        what: has failed, for the log line.
        work: one run.
    """

    def run() -> None:
        try:
            work()
        except (NodeError, LedgerError) as error:
            log.info("%s: %s", what, error)

    return run
