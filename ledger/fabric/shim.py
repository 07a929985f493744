"""The chaincode shim: the server that a peer connects to, and the messages of its stream.

The peer calls ``protos.Chaincode/Connect`` and both sides send ChaincodeMessage:

    chaincode → peer   REGISTER {ChaincodeID: the package id}
    peer → chaincode   REGISTERED, then READY {ChaincodeAdditionalParams: how many keys a message may have}
    peer → chaincode   TRANSACTION or INIT {ChaincodeInput}, with transaction id, channel and signed proposal
    chaincode → peer   GET_STATE, PUT_STATE {…}        answered by RESPONSE {value} or ERROR {text}
    chaincode → peer   GET_STATE_MULTIPLE, WRITE_BATCH_STATE {…}   the same, to a peer that offers it
    chaincode → peer   COMPLETED {Response} or ERROR {text}: the end of that transaction
    peer → chaincode   KEEPALIVE                       sent back as it came

Rules
- Many transactions run at once on one stream. A message belongs to the transaction with its (channel, id);
  each has one request under way at most, so an answer needs no number.
- One thread reads the stream and never waits for anything but the stream; a bounded pool works on
  transactions; one queue holds what is to be written, and gRPC's one writer takes from it.
- Up to ``TRANSACTIONS`` of a stream are under way or wait for a worker; a further one ends with an error.
- Fabric's peers take many keys in one message since 3.1, where ``chaincode.runtimeParams`` allows it; to an
  older one each key goes by itself. What is read and written is the same.
- Every ERROR of a peer is raised in the transaction that asked, and ends it; it is never taken for data.
- When the stream ends, every transaction under way on it ends with an error, and nothing is committed by it.
  So does one whose request is not answered in time.
- Neither arguments nor values nor results are logged.
- A handler is called with the arguments and a ``Stub``. What it returns is the result;
  ``EntryRefusedError`` is a refusal. Any other exception is a fault: its type and its trace are logged, not
  its text, which may hold a value. The peer gets an error without text.

The chaincode never ends a transaction twice, and holds none after COMPLETED.

The server is a gRPC server (chaincode as a service) with one stream for each peer. At most ``STREAMS`` are
open; a further one is refused at once. Pings find a connection that was lost without being closed; one that
does not finish its handshake is closed. Each stream has its own workers, so a peer that asks and never
answers delays only itself. A client that may connect can still take all the streams, so only a loopback
address is opened without requiring a certificate from peers (``hedui ledger chaincode``).
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2
from google.protobuf.message import DecodeError

from ledger.errors import EntryRefusedError, LogError
from ledger.fabric.gateway import MESSAGE_BYTES

ANSWER_SECONDS = 60.0
"""How long a peer may take for one request: twice what it gives a transaction by default."""
TRANSACTIONS = 4096
"""Transactions of one stream at once; a peer endorses 2,500 at once by default."""
OK = 200
REFUSED = 500
log = logging.getLogger("hedui.chaincode")
_Kind: Any = chaincode_shim_pb2.ChaincodeMessage
_Record: Any = chaincode_shim_pb2.WriteRecord
_Key: TypeAlias = tuple[str, str]
WORKERS = 32
"""Transactions of one stream worked on at once."""
STREAMS = 16
"""Peers that may be connected at once."""
PING_MS = 30_000
"""Pause between pings on an idle connection."""
HANDSHAKE_MS = 10_000
"""How long a connection may take to begin."""
ServerCredentials: TypeAlias = grpc.ServerCredentials
"""TLS of a chaincode server."""


class PeerError(LogError):
    """The peer answered the chaincode with an error, or its stream ended; the transaction then ends."""

    code = "peer"


@dataclass(frozen=True)
class Call:
    """The call that a transaction makes.

    Attributes:
        args: the function's name and its arguments.
        seconds: the transaction's time stamp, set by its submitter, POSIX seconds.
        target: name of the chaincode that the client called: another one's where that one has called this.
        direct: whether these are the arguments and the channel of the client's own call.
    """

    args: tuple[bytes, ...]
    seconds: int
    target: str
    direct: bool


@dataclass(frozen=True)
class Batches:
    """How many keys a peer takes in one message, for reading and for writing."""

    reads: int = 1
    writes: int = 1

    @classmethod
    def offered(cls, payload: bytes) -> Batches:
        """The batch sizes that a READY message offers.

        Raises:
            DecodeError: it is malformed.
        """
        offer = chaincode_pb2.ChaincodeAdditionalParams.FromString(payload)
        return cls(
            max(offer.max_size_get_multiple_keys, 1) if offer.use_get_multiple_keys else 1,
            max(offer.max_size_write_batch, 1) if offer.use_write_batch else 1,
        )


class Stub:
    """One transaction's way to the peer's state; belongs to one thread."""

    def __init__(self, stream: Stream, key: _Key) -> None:
        self._stream = stream
        self._key = key
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def get_state(self, key: str) -> bytes:
        """Committed value under ``key``, empty where there is none; not what this transaction has put.

        Raises:
            PeerError: the peer refuses, or is gone.
        """
        return self._ask(_Kind.GET_STATE, chaincode_shim_pb2.GetState(key=key))

    def get_states(self, keys: Sequence[str]) -> list[bytes]:
        """``get_state`` of each key, in as few messages as the peer allows.

        Raises:
            PeerError: the peer refuses, is gone, or gives another number of values.
        """
        size = self._stream.batches.reads
        found: list[bytes] = []
        for part in _parts(keys, size):
            found += [self.get_state(part[0])] if len(part) == 1 else self._get_many(part)
        return found

    def put_states(self, values: Mapping[str, bytes]) -> None:
        """Write every value when the transaction commits, in sorted order of keys.

        Raises:
            PeerError: the peer refuses, or is gone.
        """
        size = self._stream.batches.writes
        for part in _parts(sorted(values), size):
            if len(part) == 1:
                put = chaincode_shim_pb2.PutState(key=part[0], value=values[part[0]])
                self._ask(_Kind.PUT_STATE, put)
                continue
            records = [_Record(type=_Record.PUT_STATE, key=key, value=values[key]) for key in part]
            self._ask(_Kind.WRITE_BATCH_STATE, chaincode_shim_pb2.WriteBatchState(rec=records))

    def _get_many(self, keys: Sequence[str]) -> list[bytes]:
        answer = self._ask(_Kind.GET_STATE_MULTIPLE, chaincode_shim_pb2.GetStateMultiple(keys=keys))
        try:
            values = list(chaincode_shim_pb2.GetStateMultipleResult.FromString(answer).values)
        except DecodeError:
            values = []
        if len(values) != len(keys):
            raise PeerError("the peer gives another number of values than keys: connect a supported version")
        return values

    def _ask(self, kind: int, message: Any) -> bytes:
        self._stream.send(kind, message.SerializeToString(), self._key)
        try:
            answer = self.answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise PeerError("the peer does not answer a request: see that it runs") from None
        if answer is None:
            raise PeerError("the peer closed the stream: it asks again on the next one")
        if answer.type == _Kind.ERROR:
            raise PeerError(f"the peer refuses: {answer.payload.decode('utf-8', 'replace')[:200]}")
        if answer.type != _Kind.RESPONSE:
            raise PeerError("the peer sent another message than the answer: connect a supported version")
        return bytes(answer.payload)


Handler: TypeAlias = Callable[[Call, Stub], bytes]
"""Works on one transaction: its result, or ``EntryRefusedError``. Called from many threads."""


class Stream:
    """One peer's connection."""

    def __init__(self, package: str, handler: Handler, pool: futures.Executor) -> None:
        self._handler = handler
        self._pool = pool
        # Safe for any thread: workers and the reading thread put, gRPC's own thread takes.
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Guards `_running`, the transactions under way: the reading thread adds, others remove.
        self._lock = threading.Lock()
        self._running: dict[_Key, Stub] = {}
        # Replaced by the reading thread when the peer says that it is ready; read by workers.
        self.batches = Batches()
        identity = chaincode_pb2.ChaincodeID(name=package)
        self.send(_Kind.REGISTER, identity.SerializeToString(), ("", ""))

    def send(self, kind: int, payload: bytes, key: _Key) -> None:
        """Queue a message."""
        self._outgoing.put(_Kind(type=kind, payload=payload, channel_id=key[0], txid=key[1]))

    def outgoing(self) -> Iterator[Any]:
        """The messages that gRPC writes, until the stream ends."""
        while True:
            message = self._outgoing.get()
            if message is None:
                return
            yield message

    def read(self, messages: Iterator[Any]) -> None:
        """Take every message of the peer; ends with the stream."""
        try:
            for message in messages:
                self._take(message)
        except grpc.RpcError:
            log.info("a peer's stream broke off")
        finally:
            self.close()

    def close(self) -> None:
        """End every transaction under way, and the writer."""
        with self._lock:
            running = list(self._running.values())
        for stub in running:
            stub.answers.put(None)
        self._outgoing.put(None)

    def _take(self, message: Any) -> None:
        kind = message.type
        if kind in (_Kind.TRANSACTION, _Kind.INIT):
            self._begin(message)
        elif kind in (_Kind.RESPONSE, _Kind.ERROR):
            with self._lock:
                stub = self._running.get((message.channel_id, message.txid))
            if stub is None:
                log.warning("a peer answered a transaction that is not under way")
            else:
                stub.answers.put(message)
        elif kind == _Kind.KEEPALIVE:
            self._outgoing.put(message)
        elif kind == _Kind.READY:
            self._ready(message.payload)
        elif kind != _Kind.REGISTERED:
            log.warning("a peer sent a message of a kind that is not known here")

    def _ready(self, payload: bytes) -> None:
        try:
            self.batches = Batches.offered(payload)
        except DecodeError:
            log.warning("a peer offers what is not known here: each key goes to it by itself")
        log.info("a peer is ready")

    def _begin(self, message: Any) -> None:
        key = (message.channel_id, message.txid)
        stub = Stub(self, key)
        with self._lock:
            why_not = self._why_not(key)
            if why_not is None:
                self._running[key] = stub
        if why_not is not None:
            self.send(_Kind.ERROR, why_not, key)
            return
        work = self._pool.submit(self._work, message, stub)
        work.add_done_callback(lambda done: self._end(key, done))

    def _why_not(self, key: _Key) -> bytes | None:
        if key in self._running:
            return b"this transaction is under way already"
        if len(self._running) >= TRANSACTIONS:
            return b"too many transactions are under way: ask again later"
        return None

    def _work(self, message: Any, stub: Stub) -> tuple[int, bytes]:
        """Kind and payload of the message that ends a transaction."""
        try:
            return _Kind.COMPLETED, self._respond(message, stub)
        except PeerError as error:
            log.warning("a transaction ended: %s", error)
            return _Kind.ERROR, str(error).encode()
        except DecodeError:
            return _Kind.ERROR, b"the transaction is malformed"

    def _end(self, key: _Key, done: futures.Future[tuple[int, bytes]]) -> None:
        """Send the end of a transaction; a fault in one transaction leaves the stream open for the others."""
        kind, payload = _Kind.ERROR, b"the chaincode failed: its trace is in its own output"
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            places = "".join(traceback.format_tb(fault.__traceback__))
            log.error("a transaction failed: %s at\n%s", type(fault).__name__, places)
        elif not done.cancelled():
            kind, payload = done.result()
        with self._lock:
            del self._running[key]
        self.send(kind, payload, key)

    def _respond(self, message: Any, stub: Stub) -> bytes:
        if message.type == _Kind.INIT:
            return _response(OK, "", b"")
        try:
            return _response(OK, "", self._handler(read_call(message), stub))
        except EntryRefusedError as refused:
            return _response(REFUSED, f"{refused.code}|{refused.remedy}", b"")


def _parts(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[begin : begin + size] for begin in range(0, len(keys), size))


def read_call(message: Any) -> Call:
    """The call in a TRANSACTION message.

    Raises:
        DecodeError: it is malformed.
    """
    args = tuple(chaincode_pb2.ChaincodeInput.FromString(message.payload).args)
    proposal = proposal_pb2.Proposal.FromString(message.proposal.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    channel = common_pb2.ChannelHeader.FromString(header.channel_header)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
    invocation = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input)
    target = proposal_pb2.ChaincodeHeaderExtension.FromString(channel.extension).chaincode_id.name
    direct = channel.channel_id == message.channel_id and tuple(invocation.chaincode_spec.input.args) == args
    return Call(args, int(channel.timestamp.seconds), target, direct)


def _response(status: int, text: str, payload: bytes) -> bytes:
    response = proposal_response_pb2.Response(status=status, message=text, payload=payload)
    data: bytes = response.SerializeToString()
    return data


def function(call: Call) -> tuple[str, Sequence[bytes]]:
    """Name and arguments of a call.

    Raises:
        EntryRefusedError: there is no name.
    """
    if not call.args:
        raise EntryRefusedError("unknown_function", "name the function first")
    return call.args[0].decode("utf-8", "replace"), call.args[1:]


def server_credentials(key: bytes, certificate: bytes, client_ca: bytes | None) -> ServerCredentials:
    """TLS of a chaincode server.

    Args:
        key, certificate: of the server, PEM.
        client_ca: authorities whose clients are answered, PEM; None answers every client.
    """
    return grpc.ssl_server_credentials(
        [(key, certificate)], client_ca, require_client_auth=client_ca is not None
    )


class ChaincodeServer:
    """The service peers connect to. ``start`` it, ``stop`` it."""

    def __init__(self, handler: Handler, package: str, workers: int = WORKERS) -> None:
        """Prepare a server.

        Args:
            handler: works on each transaction.
            package: the package id under which the peers have installed this chaincode.
            workers: transactions of one stream worked on at once.
        """
        self._handler = handler
        self._package = package
        self._workers = workers
        self._streams = futures.ThreadPoolExecutor(STREAMS, "chaincode-stream")
        options = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.keepalive_time_ms", PING_MS),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(self._streams, options=options, maximum_concurrent_rpcs=STREAMS)
        connect = grpc.stream_stream_rpc_method_handler(
            self._connect,
            request_deserializer=_Kind.FromString,
            response_serializer=_Kind.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler("protos.Chaincode", {"Connect": connect})
        self._server.add_generic_rpc_handlers((service,))

    def start(self, listen: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Open the port and return its number; ``credentials`` for TLS.

        Raises:
            LogError: the port cannot be opened.
        """
        try:
            if credentials is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, credentials)
        except RuntimeError as error:
            raise LogError(
                "the chaincode's port cannot be opened: choose a free address of this host"
            ) from error
        self._server.start()
        return int(port)

    def wait(self) -> None:
        """Wait until the server is stopped."""
        self._server.wait_for_termination()

    def end(self) -> None:
        """Begin to stop: ``wait`` returns soon. May be called from a signal's handler."""
        self._server.stop(grace=None)

    def stop(self) -> None:
        """Close every stream and wait for the threads."""
        self._server.stop(grace=None).wait()
        self._streams.shutdown()

    def _connect(self, messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        pool = futures.ThreadPoolExecutor(self._workers, "chaincode")
        stream = Stream(self._package, self._handler, pool)
        context.add_callback(stream.close)
        reader = threading.Thread(target=stream.read, args=(messages,), name="chaincode-reader", daemon=True)
        reader.start()
        try:
            yield from stream.outgoing()
        finally:
            stream.close()
            reader.join()
            pool.shutdown(cancel_futures=True)
