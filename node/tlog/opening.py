"""Opening the ledger engine that a node's configuration names: embedded, over the wire, or Fabric."""

from __future__ import annotations

from ledger.sequencer.sequencer import Sequencer
from node.config import EMBEDDED
from node.times import system_clock
from node.tlog.engine import Engine, EngineParts
from node.tlog.transport import LocalTransport


def open_ledger(parts: EngineParts) -> Engine:
    """The engine that the configuration names.

    Raises:
        LogError: the log may not be opened here, or its connection profile cannot be read.
    """
    if parts.configuration.ledger != EMBEDDED:
        from node.tlog.fabric import open_fabric  # noqa: PLC0415  builds on this module, and loads what only it needs

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
