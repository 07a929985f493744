"""One member of a network in a process of its own, over its real home, to be killed at a point."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

from ledger.replica.replica import Replica
from ledger.storage.database import open_database
from node.case import Case, Person
from node.config import read_configuration
from node.department.answer import Department
from node.edges.check import DepartmentEdge, TrusteeEdge
from node.governance import rule_sets
from node.member_keys import open_keys
from node.membership import network
from node.membership.network import NetworkFile
from node.office.check import Office
from node.rpc.directory import Directory
from node.rpc.server import Peers
from node.services import Services
from node.store.database import Store
from node.store.opening import migrate
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from node.tlog.split_views import SplitViewEvidence
from node.tlog.transport import RemoteTransport
from node.trustee.release import Trustee
from protocols.wire import check_pb2_grpc
from tests.faults.fork_server import killer
from tests.faults.socket_wire import AwayChannels, Bridge
from tests.node.rpc.wire_in_memory import Port, Wire

RESULTS = {"final": 0, "waiting": 1}


def open_services(home: str, bridge: str, now: int, point: str, nth: int) -> Services:
    """The shared parts of a member's node, with a hook that kills it."""
    observe = killer(point, nth)
    configuration = read_configuration(Path(home))
    keys = open_keys(configuration)
    found = NetworkFile.read(configuration.home.network)
    contacts = network.genesis_contacts((configuration.home.root / "genesis.leaf").read_bytes())
    engine = open_database(configuration.store_url)
    migrate(engine)
    replica = Replica(engine, found.network, found.genesis, found.policy, observe=observe)
    channels = AwayChannels(bridge, directory := Directory(contacts, list), keys)

    def clock() -> int:
        return now

    evidence = SplitViewEvidence(configuration.home.evidence, found.policy, clock)
    transport = RemoteTransport(channels, lambda: found.first.member)
    ledger = LedgerClient(found.network, found.policy, replica, transport, keys.node, dict, clock, evidence)
    store = Store(engine)
    outbox = Outbox(store, ledger, observe)
    return Services(
        configuration, keys, store, ledger, outbox, channels, Peers(directory), clock, observe=observe
    )


def serve(home: str, bridge: str, socket: str, now: int, point: str, nth: int) -> None:
    """Answer as department or trustee until killed."""
    services = open_services(home, bridge, now, point, nth)
    wire, port = Wire(), Port()
    wire.ports[services.member] = port
    server: Any = port
    if "department" in services.configuration.roles:
        edge = DepartmentEdge(services.peers, services, Department(services))
        check_pb2_grpc.add_DepartmentServicer_to_server(edge, server)
    if "trustee" in services.configuration.roles:
        check_pb2_grpc.add_TrusteeServicer_to_server(TrusteeEdge(services.peers, Trustee(services)), server)
    bridge_here = Bridge(Path(socket), wire)
    Path(f"{socket}.ready").touch()
    services.outbox.start()
    bridge_here.serve()


def check(home: str, bridge: str, now: int, case: str, persons: list[str], point: str, nth: int) -> None:
    """Run one check as the office, from its application to its closing, and send all that waits."""
    services = open_services(home, bridge, now, point, nth)
    services.outbox.start()
    office, applied = Office(services), dt.date(2026, 11, 2)
    household = tuple(
        Person(name="王甲", id=one, relation="self", consent="signed", region="331022") for one in persons
    )
    application = Case(case=case, rules="dibao@2026.1", applied=applied, office="office", household=household)
    finished = office.to_verdict(application, rule_sets.text_of(services, application.rules), lambda _: None)
    office.close(finished, b"report")
    while services.outbox.waiting():
        time.sleep(0.01)
    services.outbox.close()  # what was sent is noted, too
    assert finished.verdict.outcome in {"dibao", "none"}, finished.verdict.outcome
