"""The ledger's services on the wire: the log at the sequencer, a witness at everybody else."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import grpc

from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError
from ledger.note import Note
from ledger.wire import log_pb2, log_pb2_grpc
from ledger.witness import AddCheckpoint, Witness
from node.errors import Refusal
from node.ledger_client import Transport
from node.rpc.server import Peers

BATCH_BYTES = 256 * 1024
REMEMBERED = 4096
OK = 200
MAY_BE_ANOTHER_TREE = (409, 422)

log = logging.getLogger("hedui.witness")


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


def no_comparison(note: bytes) -> None:
    """Take no notice of a checkpoint."""
    del note


class Cosigned:
    """Checkpoints this node's witness has cosigned, the newest few thousand: for fresh heads, as evidence."""

    def __init__(self) -> None:
        """Empty; filled from the witness's store and by every cosignature."""
        self._notes: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, note: bytes) -> None:
        """Remember one cosigned checkpoint, its note signed by the log."""
        size = Checkpoint.parse(Note.parse(note).text).size
        with self._lock:
            self._notes[size] = note
            while len(self._notes) > REMEMBERED:
                self._notes.popitem(last=False)

    def notes(self) -> dict[int, bytes]:
        """Note by size."""
        with self._lock:
            return dict(self._notes)


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
        compare: Callable[[bytes], None] = no_comparison,
    ) -> None:
        """Args: only ``sequencer`` may have checkpoints cosigned; ``compare`` looks at those it shows."""
        self._compare = compare
        self._peers = peers
        self._witness = witness
        self._origin = origin
        self._cosigned = cosigned
        self._sequencer = sequencer
        self._clock = clock
        latest = witness.latest(origin)
        if latest is not None:
            cosigned.add(latest)

    def AddCheckpoint(  # noqa: N802  gRPC names its methods
        self, request: log_pb2.AddCheckpointRequest, context: grpc.ServicerContext
    ) -> log_pb2.AddCheckpointResponse:
        """Cosign a checkpoint that is consistent with the last one."""
        self._require_sequencer(context)
        status, body, content_type = self._witness.add_checkpoint(bytes(request.body), self._clock())
        if status == OK:
            self._cosigned.add(AddCheckpoint.parse(bytes(request.body)).note)
        elif status in MAY_BE_ANOTHER_TREE:
            self._look_at(AddCheckpoint.parse(bytes(request.body)).note)
        return log_pb2.AddCheckpointResponse(status=status, body=body, content_type=content_type)

    def Latest(  # noqa: N802  gRPC names its methods
        self, _request: log_pb2.LatestRequest, context: grpc.ServicerContext
    ) -> log_pb2.LatestResponse:
        """The last checkpoint cosigned here; any member may compare it with what it was shown itself."""
        self._peers.member(context)
        return log_pb2.LatestResponse(checkpoint=self._witness.latest(self._origin) or b"")

    def _look_at(self, note: bytes) -> None:
        """A checkpoint that was not cosigned may be that of another tree: then both notes are evidence."""
        try:
            self._compare(note)
        except LedgerError as error:
            log.info("the log asked for a cosignature and did not get it: %s", error)

    def _require_sequencer(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._sequencer:
            raise Refusal("not_the_sequencer", "only the member that runs the log asks a witness")
