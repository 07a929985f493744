"""The ledger's gRPC services: the log at the sequencer's node, a witness at every other node."""

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
"""Entries of the free types that a member may write: per second on average, and at once."""
_FREE = re.compile(rb'"type":"(?:complaint|correction|incident|member\.|dataset\.|rules\.|grant\.)')
"""Found in every canonical entry of a free type and in no other: a text escapes its quotation marks."""


class LogEdge(log_pb2_grpc.LogServicer):
    """Append, head and read, for members only.

    A question needs a certificate, a grant and a slot, and an answer needs a question. The other types, above
    all complaints, a member may write at any time. What is on the ledger stays there for everyone, so these
    free types are rate-limited per member. A refused entry may be sent again later; outboxes do so.
    """

    def __init__(
        self,
        peers: Peers,
        log: Transport,
        burst: int = FREE_BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve one log.

        Args:
            peers: tells who is calling.
            log: the sequencer's own.
            burst: entries of the free types that a member may write at once.
            clock: monotonic seconds.
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
        """Append one leaf; returns when it is final."""
        member, leaf = self._peers.member(context), bytes(request.leaf)
        if _FREE.search(leaf) is not None and not self._allowance(member).take():
            raise ServiceUnavailableError(
                f"{member} has written too many entries of this kind: send it again later"
            )
        return log_pb2.AppendResponse(receipt=self._log.append(leaf).format())

    def Head(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.HeadRequest, context: grpc.ServicerContext
    ) -> log_pb2.HeadResponse:
        """The newest final checkpoint."""
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
        """Serve one witness.

        Args:
            peers: tells who is calling.
            desk: this node's witness.
            sequencer: id of the only member that may have checkpoints cosigned.
        """
        self._peers = peers
        self._desk = desk
        self._sequencer = sequencer

    def AddCheckpoint(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AddCheckpointRequest, context: grpc.ServicerContext
    ) -> log_pb2.AddCheckpointResponse:
        """Cosign a checkpoint that is consistent with the last cosigned one."""
        self._require_sequencer(context)
        status, body, content_type = self._desk.add_checkpoint(bytes(request.body))
        return log_pb2.AddCheckpointResponse(status=status, body=body, content_type=content_type)

    def Latest(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.LatestRequest, context: grpc.ServicerContext
    ) -> log_pb2.LatestResponse:
        """The last checkpoint cosigned here; a member compares it with the history it was shown itself."""
        self._peers.member(context)
        return log_pb2.LatestResponse(checkpoint=self._desk.latest() or b"")

    def _require_sequencer(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._sequencer:
            raise RefusalError("not_the_sequencer", "only the member that runs the log may ask this witness")
