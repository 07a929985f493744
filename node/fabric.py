"""A node on the Fabric engine: the same ``Transport`` as every node's, over its own peer.

Reading and the proofs come from the node's own derived log; from the member that assembles the log it
takes the checkpoint note alone, and believes it only where its own log has the same root
(``ledger.fabric.heads``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ledger.errors import LedgerError, QuorumError, Raced, Refused, Unavailable
from ledger.fabric.backend import FabricBackend
from node.errors import NodeError, Refusal, ServiceUnavailable
from node.ledger_client import Transport

READ_AT_ONCE = 1024

log = logging.getLogger("hedui.fabric")


class FabricTransport:
    """A node's own Fabric engine as ``node.ledger_client.Transport``."""

    def __init__(self, backend: FabricBackend) -> None:
        """Args: ``backend`` of this process, started by its owner."""
        self._backend = backend

    def append(self, leaf: bytes) -> bytes:
        """See ``node.ledger_client.Transport``."""
        try:
            return self._backend.append(leaf).format()
        except Refused as refused:
            raise Refusal(refused.code, refused.remedy) from refused
        except (Unavailable, QuorumError, Raced) as error:
            raise _unavailable(error) from error

    def head(self) -> bytes:
        """See ``node.ledger_client.Transport``."""
        try:
            note = self._backend.head()
        except (Unavailable, QuorumError) as error:
            raise _unavailable(error) from error
        if note is None:
            raise ServiceUnavailable(
                "the ledger has no final checkpoint yet: the member that assembles it and its witnesses "
                "must run"
            )
        return note

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """See ``node.ledger_client.Transport``."""
        for begin in range(start, end, READ_AT_ONCE):
            leaves = self._backend.read(begin, min(end, begin + READ_AT_ONCE))
            if not leaves:
                return
            yield from leaves


def head_of(transport: Transport) -> Callable[[], bytes | None]:
    """The newest note of another member's log, for ``FabricBackend``; None where it does not answer."""

    def head() -> bytes | None:
        try:
            return transport.head()
        except (NodeError, LedgerError) as error:
            log.info("the assembler gives no checkpoint: %s", error)
            return None

    return head


def _unavailable(error: LedgerError) -> ServiceUnavailable:
    unavailable = ServiceUnavailable(str(error))
    unavailable.code = error.code
    return unavailable
