"""The ledger's services on the wire: the log at the sequencer, a witness at everybody else."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import grpc

from ledger.checkpoint import Checkpoint
from ledger.note import Note
from ledger.wire import log_pb2, log_pb2_grpc
from ledger.witness import AddCheckpoint, Witness
from node.errors import Refusal, ServiceUnavailable
from node.ledger_client import Transport
from node.rpc.server import Peers

BATCH_BYTES = 256 * 1024
REMEMBERED = 4096
OK = 200


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


class Cosigned:
    """Sizes and roots this node's witness has cosigned, the newest few thousand, for fresh heads."""

    def __init__(self) -> None:
        """Empty; filled from the witness's store and by every cosignature."""
        self._roots: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember one cosigned checkpoint."""
        with self._lock:
            self._roots[checkpoint.size] = checkpoint.root
            while len(self._roots) > REMEMBERED:
                self._roots.popitem(last=False)

    def roots(self) -> dict[int, bytes]:
        """Root by size."""
        with self._lock:
            return dict(self._roots)


class WitnessEdge(log_pb2_grpc.WitnessServicer):
    """C2SP add-checkpoint over gRPC: body in, status and body out."""

    def __init__(
        self,
        peers: Peers,
        witness: Witness,
        origin: str,
        cosigned: Cosigned,
        sequencer: str,
        clock: Callable[[], int],
    ) -> None:
        """Args: ``sequencer`` is the only member that may call."""
        self._peers = peers
        self._witness = witness
        self._origin = origin
        self._cosigned = cosigned
        self._sequencer = sequencer
        self._clock = clock
        with contextlib.suppress(
            ServiceUnavailable
        ):  # put back from a backup: it has cosigned more than it knows
            latest = witness.latest(origin)
            if latest is not None:
                cosigned.add(Checkpoint.parse(Note.parse(latest).text))

    def AddCheckpoint(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AddCheckpointRequest, context: grpc.ServicerContext
    ) -> log_pb2.AddCheckpointResponse:
        """Cosign a checkpoint that is consistent with the last one."""
        self._require_sequencer(context)
        status, body, content_type = self._witness.add_checkpoint(bytes(request.body), self._clock())
        if status == OK:
            note = Note.parse(AddCheckpoint.parse(bytes(request.body)).note)
            self._cosigned.add(Checkpoint.parse(note.text))
        return log_pb2.AddCheckpointResponse(status=status, body=body, content_type=content_type)

    def Latest(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.LatestRequest, context: grpc.ServicerContext
    ) -> log_pb2.LatestResponse:
        """The last checkpoint cosigned here."""
        self._require_sequencer(context)
        return log_pb2.LatestResponse(checkpoint=self._witness.latest(self._origin) or b"")

    def _require_sequencer(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._sequencer:
            raise Refusal("not_the_sequencer", "only the member that runs the log asks a witness")
