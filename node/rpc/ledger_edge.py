"""The ledger's services on the wire: the log at the sequencer, a witness at everybody else."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from ledger.wire import log_pb2, log_pb2_grpc
from node.errors import Refusal
from node.ledger_client import Transport
from node.rpc.server import Peers
from node.witnessing import WitnessDesk

BATCH_BYTES = 256 * 1024


class LogEdge(log_pb2_grpc.LogServicer):
    """Append, head and read, for members only."""

    def __init__(self, peers: Peers, log: Transport) -> None:
        """Args: ``log`` is the sequencer's own."""
        self._peers = peers
        self._log = log

    def Append(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AppendRequest, context: grpc.ServicerContext
    ) -> log_pb2.AppendResponse:
        """Append one leaf; answers when it is final."""
        self._peers.member(context)
        return log_pb2.AppendResponse(receipt=self._log.append(bytes(request.leaf)))

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
            raise Refusal("not_the_sequencer", "only the member that runs the log asks a witness")
