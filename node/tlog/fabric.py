"""A node on the Fabric engine: a ``Transport`` that appends and reads through the node's own peer.

Reading and the proofs come from the node's own derived log; from the member that assembles the log it
takes the checkpoint note alone, and believes it only where its own log has the same root
(``ledger.fabric.checkpoints``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from typing_extensions import override

from ledger.errors import (
    EntryRefusedError,
    LedgerError,
    LogUnavailableError,
    QuorumError,
    TransactionConflictError,
)
from ledger.fabric.assembler import Assembler
from ledger.fabric.backend import FabricBackend
from ledger.fabric.checkpoints import DerivedWitness
from ledger.fabric.profile import ConnectionProfile
from ledger.formats.receipt import Receipt
from ledger.sequencer.final_log import LogParts
from node.config import FABRIC
from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.tlog.engine import Engine, EngineParts
from node.tlog.transport import Transport

READ_AT_ONCE = 1024

log = logging.getLogger("hedui.fabric")


class FabricTransport(Transport):
    """The ledger through this node's own Fabric engine."""

    def __init__(self, backend: FabricBackend) -> None:
        """Args: ``backend`` of this process, started by its owner."""
        self._backend = backend

    @override
    def append(self, leaf: bytes) -> Receipt:
        try:
            return self._backend.append(leaf)
        except EntryRefusedError as refused:
            raise RefusalError(refused.code, refused.remedy) from refused
        except (LogUnavailableError, QuorumError, TransactionConflictError) as error:
            raise _unavailable(error) from error

    @override
    def head(self) -> bytes:
        try:
            note = self._backend.head()
        except (LogUnavailableError, QuorumError) as error:
            raise _unavailable(error) from error
        if note is None:
            raise ServiceUnavailableError(
                "the ledger has no final checkpoint yet: the member that assembles it and its witnesses "
                "must run"
            )
        return note

    @override
    def read(self, start: int, end: int) -> Iterator[bytes]:
        for begin in range(start, end, READ_AT_ONCE):
            leaves = self._backend.read(begin, min(end, begin + READ_AT_ONCE))
            if not leaves:
                return
            yield from leaves


def open_fabric(parts: EngineParts) -> Engine:
    """The engine of a node whose ``[ledger] uri`` names a connection profile.

    Raises:
        ProfileError, KeysError: the profile or the identity it names cannot be used.
        LogError: the log may not be opened here.
    """
    profile = ConnectionProfile.read(Path(parts.configuration.ledger.removeprefix(FABRIC)))
    policy = parts.network.policy
    if not parts.holds_key:
        head = head_of(parts.remote())
        return _own_reading(FabricBackend(profile, parts.database, policy, head, parts.clock), parts)
    signer = parts.signer()
    clients = parts.witnesses(signer, lambda: assembler.ordered)
    public = parts.configuration.home.public_log
    log_parts = LogParts(signer, policy, clients, public, parts.settings)
    assembler: Assembler = Assembler(profile, parts.database, log_parts, parts.clock)
    return Engine.of_log(assembler, parts.genesis, clients.values())


def _own_reading(backend: FabricBackend, parts: EngineParts) -> Engine:
    """The engine of a member without the log key: its own peer, its own log, a witness that compares."""

    def fault() -> LedgerError | None:
        return backend.fault

    witness_type = partial(DerivedWitness, own=parts.network.policy.log, derived=backend.derived, fault=fault)
    return Engine(FabricTransport(backend), part=backend, fault=fault, witness_type=witness_type)


def head_of(transport: Transport) -> Callable[[], bytes | None]:
    """The newest note of another member's log, for ``FabricBackend``; None where it does not answer.

    Callers ask many times a second: each reason is logged once, until there is an answer or another reason.
    """
    logged = [""]

    def head() -> bytes | None:
        try:
            note = transport.head()
        except (NodeError, LedgerError) as error:
            if str(error) != logged[0]:
                log.info("the assembler gives no checkpoint: %s", error)
            logged[0] = str(error)
            return None
        logged[0] = ""
        return note

    return head


def _unavailable(error: LedgerError) -> ServiceUnavailableError:
    return ServiceUnavailableError(str(error), error.code)
