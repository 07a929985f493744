"""Which gRPC services a node offers: those of the roles it has, its operator's, and the ledger's."""

from __future__ import annotations

import grpc

from ledger.wire import log_pb2_grpc
from node.department.answer import Department
from node.department.publish import Publisher
from node.edges.check import DepartmentEdge, RegistrarEdge, TrusteeEdge
from node.edges.ledger import LogEdge, WitnessEdge
from node.edges.operator import OperatorEdge
from node.monitoring.health import LedgerHealth, ledger_health
from node.office.check import Office
from node.registrar.certify import Registrar
from node.services import Services
from node.tlog.opening import LedgerSide
from node.tlog.witness import WitnessDesk
from node.trustee.release import Trustee
from node.wire import operator_pb2_grpc
from protocols.wire import check_pb2_grpc


def register_services(
    server: grpc.Server, services: Services, side: LedgerSide, desk: WitnessDesk | None
) -> None:
    """Add this node's services to its server.

    Args:
        server: not yet started.
        services: shared parts of the node.
        side: its side of the ledger.
        desk: its witness; None at the member that runs the log.
    """
    _register_ledger(server, services, side, desk)
    _register_roles(server, services)

    def health() -> LedgerHealth:
        return ledger_health(side.engine, side.network.policy, side.replica.checkpoint, services.clock())

    operator = OperatorEdge(services.peers, services, Publisher(services), Office(services), health)
    operator_pb2_grpc.add_OperatorServicer_to_server(operator, server)


def _register_ledger(
    server: grpc.Server, services: Services, side: LedgerSide, desk: WitnessDesk | None
) -> None:
    """The log where it runs here, and this member's witness."""
    if side.engine.own is not None:
        log_pb2_grpc.add_LogServicer_to_server(LogEdge(services.peers, side.engine.transport), server)
    if desk is not None:
        witness = WitnessEdge(services.peers, desk, side.network.first.member)
        log_pb2_grpc.add_WitnessServicer_to_server(witness, server)


def _register_roles(server: grpc.Server, services: Services) -> None:
    """Registrar, department and trustee, as far as this member is one."""
    roles, peers = services.configuration.roles, services.peers
    if "registrar" in roles:
        registrar = RegistrarEdge(peers, Registrar(services))
        check_pb2_grpc.add_RegistrarServicer_to_server(registrar, server)
    if "department" in roles:
        department = DepartmentEdge(peers, services, Department(services))
        check_pb2_grpc.add_DepartmentServicer_to_server(department, server)
    if "trustee" in roles:
        check_pb2_grpc.add_TrusteeServicer_to_server(TrusteeEdge(peers, Trustee(services)), server)
