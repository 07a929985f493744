"""Access to the log: the interface that every role uses, for a log in this process and for one over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import grpc
from typing_extensions import override

from ledger.errors import EntryRefusedError
from ledger.formats.receipt import Receipt
from ledger.sequencer.final_log import LocalLog
from ledger.wire import log_pb2, log_pb2_grpc
from node.errors import RefusalError, ServiceUnavailableError
from node.rpc.channels import Channels
from node.rpc.status import is_lost, raise_from_wire

READ_AT_ONCE = 1024


APPEND_SECONDS = 30.0
READ_SECONDS = 30.0
HEAD_SECONDS = 5.0
Response = TypeVar("Response")


class Transport(Protocol):
    """Access of a node's roles to the ledger, the same for every engine; safe for threads."""

    def append(self, leaf: bytes) -> Receipt:
        """Append one leaf and wait until it is final; its receipt, not verified.

        Raises:
            RefusalError: the contract refuses it.
            ServiceUnavailableError: the ledger or its quorum is out of reach; the same bytes again are safe.
        """
        ...

    def head(self) -> bytes:
        """Newest final checkpoint note.

        Raises:
            ServiceUnavailableError: the log has no checkpoint yet, or the ledger is out of reach.
        """
        ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Leaves start … end − 1 of the final log, as far as there are."""
        ...


class LocalTransport(Transport):
    """The log of this process, for its member's other roles and for the wire."""

    def __init__(self, own: LocalLog) -> None:
        """Args: ``own`` runs here."""
        self._log = own

    @override
    def append(self, leaf: bytes) -> Receipt:
        try:
            return self._log.submit(leaf)
        except EntryRefusedError as refused:
            raise RefusalError(refused.code, refused.remedy) from refused

    @override
    def head(self) -> bytes:
        note = self._log.head
        if note is None and self._log.quarantined is not None:
            raise ServiceUnavailableError(
                "the log is in quarantine: its member must recover it, see the page Operate of its guides"
            )
        if note is None:
            raise ServiceUnavailableError("the ledger has no final checkpoint yet: its witnesses must run")
        return note

    @override
    def read(self, start: int, end: int) -> Iterator[bytes]:
        for begin in range(start, min(end, self._log.size), READ_AT_ONCE):
            yield from self._log.read(begin, min(end, begin + READ_AT_ONCE))


class RemoteTransport(Transport):
    """The sequencer's log over gRPC."""

    def __init__(self, channels: Channels, sequencer: Callable[[], str]) -> None:
        """Args: ``sequencer`` names the member that runs the log."""
        self._channels = channels
        self._sequencer = sequencer

    @override
    def append(self, leaf: bytes) -> Receipt:
        request = log_pb2.AppendRequest(leaf=leaf)
        answer = self._call_again(lambda log: log.Append(request, timeout=APPEND_SECONDS))
        return Receipt.parse(bytes(answer.receipt))

    @override
    def head(self) -> bytes:
        request = log_pb2.HeadRequest()
        return bytes(self._call_again(lambda log: log.Head(request, timeout=HEAD_SECONDS)).checkpoint)

    @override
    def read(self, start: int, end: int) -> Iterator[bytes]:
        log = log_pb2_grpc.LogStub(self._channels.to(self._sequencer()))
        try:
            for part in log.Read(log_pb2.ReadRequest(start=start, end=end), timeout=READ_SECONDS):
                yield from part.leaves
        except grpc.RpcError as error:
            raise_from_wire(error, "the ledger")

    def _call_again(self, call: Callable[[log_pb2_grpc.LogStub], Response]) -> Response:
        """Make a call; where the connection is lost, wait for the next one and make it once more.

        Both calls may be made twice: the same leaf again gives the same receipt.
        """
        member = self._sequencer()
        log = log_pb2_grpc.LogStub(self._channels.to(member))
        try:
            try:
                return call(log)
            except grpc.RpcError as error:
                if not is_lost(error) or not self._channels.regained(member):
                    raise
                return call(log)
        except grpc.RpcError as error:
            raise_from_wire(error, "the ledger")
