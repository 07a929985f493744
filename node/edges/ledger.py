"""The ledger's services on the wire: the log at the sequencer, a witness at everybody else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

import grpc

from ledger.wire import log_pb2, log_pb2_grpc
from node.errors import RefusalError, ServiceUnavailableError
from node.rpc.limits import RateLimit
from node.rpc.server import Peers
from node.tlog.transport import Transport
from node.tlog.witness import WitnessDesk

BATCH_BYTES = 256 * 1024
FREE_RATE, FREE_BURST = 1.0, 600
"""Entries a second, and at once, that a member may write without a question."""
_FREE = re.compile(rb'"type":"(?:complaint|correction|incident|member\.|dataset\.|rules\.|grant\.)')
"""Stands in every canonical entry of such a type; in text the quotation marks would be escaped."""


class LogEdge(log_pb2_grpc.LogServicer):
    """Append, head and read, for members only.

    A question needs a certificate, a grant and a slot, an answer a question. What a member may write at any
    time and as often as it likes, complaints above all, has an allowance: whatever is on the ledger stays
    there for everybody and for ever. An entry above it is to be sent later; outboxes do.
    """

    def __init__(
        self,
        peers: Peers,
        log: Transport,
        burst: int = FREE_BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The edge of one log.

        Args:
            peers: say who is calling. log: the sequencer's own. burst: entries without a question that a
            member may write at once. clock: seconds that never go back.
        """
        self._peers = peers
        self._log = log
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._allowances: dict[str, RateLimit] = {}

    def Append(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AppendRequest, context: grpc.ServicerContext
    ) -> log_pb2.AppendResponse:
        """Append one leaf; answers when it is final."""
        member, leaf = self._peers.member(context), bytes(request.leaf)
        if _FREE.search(leaf) is not None and not self._allowance(member).take():
            raise ServiceUnavailableError(
                f"{member} has written too many entries of this kind: send it later"
            )
        return log_pb2.AppendResponse(receipt=self._log.append(leaf).format())

    def Head(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.HeadRequest, context: grpc.ServicerContext
    ) -> log_pb2.HeadResponse:
        """Newest final checkpoint."""
        self._peers.member(context)
        return log_pb2.HeadResponse(checkpoint=self._log.head())

    def Read(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.ReadResponse]:
        """Leaves in a range, in messages of bounded size."""
        self._peers.member(context)
        batch: list[bytes] = []
        size = 0
        for leaf in self._log.read(request.start, request.end):
            if batch and size + len(leaf) > BATCH_BYTES:
                yield log_pb2.ReadResponse(leaves=batch)
                batch, size = [], 0
            batch.append(leaf)
            size += len(leaf)
        yield log_pb2.ReadResponse(leaves=batch)

    def _allowance(self, member: str) -> RateLimit:
        with self._lock:
            return self._allowances.setdefault(member, RateLimit(FREE_RATE, self._burst, self._clock))


class WitnessEdge(log_pb2_grpc.WitnessServicer):
    """C2SP add-checkpoint over gRPC: body in, status and body out."""

    def __init__(self, peers: Peers, desk: WitnessDesk, sequencer: str) -> None:
        """Args: ``sequencer`` is the only member that may have checkpoints cosigned."""
        self._peers = peers
        self._desk = desk
        self._sequencer = sequencer

    def AddCheckpoint(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AddCheckpointRequest, context: grpc.ServicerContext
    ) -> log_pb2.AddCheckpointResponse:
        """Cosign a checkpoint that is consistent with the last one."""
        self._require_sequencer(context)
        status, body, content_type = self._desk.add_checkpoint(bytes(request.body))
        return log_pb2.AddCheckpointResponse(status=status, body=body, content_type=content_type)

    def Latest(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.LatestRequest, context: grpc.ServicerContext
    ) -> log_pb2.LatestResponse:
        """The last checkpoint cosigned here; any member may compare it with what it was shown itself."""
        self._peers.member(context)
        return log_pb2.LatestResponse(checkpoint=self._desk.latest() or b"")

    def _require_sequencer(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._sequencer:
            raise RefusalError("not_the_sequencer", "only the member that runs the log asks a witness")
