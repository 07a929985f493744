"""Opening this node's side of the ledger: its replica, its engine, and the client that the roles use."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine as Database

from ledger.contract.view import View
from ledger.entries import bodies
from ledger.fault_points import Observe
from ledger.replica.replica import Replica
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from node.config import EMBEDDED, Configuration
from node.member_keys import MemberKeys
from node.membership.network import NetworkFile, genesis_contacts
from node.rpc.channels import Channels
from node.rpc.directory import Contact, Directory
from node.tlog.client import LedgerClient
from node.tlog.engine import Engine, EngineParts
from node.tlog.split_views import SplitViewEvidence
from node.tlog.witness import CosignedNotes


@dataclass(frozen=True)
class LedgerSide:
    """What one node has of the ledger.

    Attributes:
        network: the network's founding file.
        replica: the verified, replayed copy of the log.
        evidence: pairs of checkpoints that show two histories.
        directory: addresses and certificate authorities of the members, from the replica.
        channels: gRPC channels to them.
        cosigned: checkpoints that this node's own witness has cosigned.
        engine: what orders the ledger, as far as it runs here.
        client: the replica with the ways to extend it and to append.
    """

    network: NetworkFile
    replica: Replica
    evidence: SplitViewEvidence
    directory: Directory
    channels: Channels
    cosigned: CosignedNotes
    engine: Engine
    client: LedgerClient


class MemberContacts:
    """Contacts of the active members on the replayed ledger; read again when the replica has grown."""

    def __init__(self, replica: Replica) -> None:
        """Args: ``replica`` of this node."""
        self._replica = replica
        # Replaced as a whole by whichever thread finds that the replica has grown; two at once do the same.
        self._at: tuple[int, list[Contact]] = (-1, [])

    def __call__(self) -> list[Contact]:
        """The contacts after the last replayed entry."""
        known, size = self._at, self._replica.size
        if known[0] != size:
            members = View(self._replica.state).members()
            contacts = [Contact(member.id, member.endpoint, bytes.fromhex(member.tls)) for member in members]
            self._at = known = (size, contacts)
        return known[1]


def open_ledger_side(
    configuration: Configuration,
    keys: MemberKeys,
    database: Database,
    clock: Callable[[], int],
    observe: Observe,
) -> LedgerSide:
    """Open everything of the ledger that needs no network; nothing runs before ``engine.start``.

    Args:
        configuration: of the home.
        keys: of this member.
        database: of this member, its tables made.
        clock: POSIX seconds.
        observe: told each point of the work.

    Raises:
        ConfigurationError: the founding files are not as they should be.
        LogError: the log may not be opened here, or its database is damaged beyond what can be rebuilt.
    """
    network, genesis = NetworkFile.read(configuration.home.network), _genesis_leaf(configuration)
    replica = Replica(database, network.network, network.genesis, network.policy, observe=observe)
    evidence = SplitViewEvidence(configuration.home.evidence, network.policy, clock)
    bootstrap = [network.first, *([] if genesis is None else genesis_contacts(genesis))]
    own = Contact(configuration.member, configuration.endpoint, keys.authority.certificate_der)
    directory = Directory(bootstrap, MemberContacts(replica), own)
    channels = Channels(directory, keys.tls)

    def refusal_entry(digest: bytes, code: str) -> bytes:
        body = bodies.query_refused(digest.hex(), code)
        return client.compose("query.refused", secrets.token_hex(16), body)

    def keep(first: bytes, second: bytes) -> None:
        evidence.keep(first, second)

    settings = FinalizerSettings(refusal_entry=refusal_entry, observe=observe, evidence=keep)
    engine = open_ledger(
        EngineParts(configuration, network, keys, genesis, database, channels, clock, settings)
    )
    cosigned = CosignedNotes()
    client = LedgerClient(
        network.network,
        network.policy,
        replica,
        engine.transport,
        keys.node,
        cosigned.notes,
        clock,
        evidence,
    )
    return LedgerSide(network, replica, evidence, directory, channels, cosigned, engine, client)


def open_ledger(parts: EngineParts) -> Engine:
    """The engine that the configuration names: embedded, over the wire, or Fabric.

    Raises:
        LogError: the log may not be opened here, or its connection profile cannot be read.
    """
    if parts.configuration.ledger != EMBEDDED:
        from node.tlog.fabric import open_fabric  # noqa: PLC0415  loads what only a node on Fabric needs

        return open_fabric(parts)
    if not parts.holds_key:
        return Engine(parts.remote())
    signer = parts.signer()
    clients = parts.witnesses(signer, lambda: sequencer.ordered)
    public, policy = parts.configuration.home.public_log, parts.network.policy
    log_parts = LogParts(signer, policy, clients, public, parts.settings)
    sequencer: Sequencer = Sequencer(parts.database, log_parts, parts.clock)
    return Engine.of_log(sequencer, parts.genesis, clients.values())


def _genesis_leaf(configuration: Configuration) -> bytes | None:
    """The genesis leaf in the sequencer's home."""
    path = configuration.home.root / "genesis.leaf"
    return path.read_bytes() if path.is_file() else None
