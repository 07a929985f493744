"""Chaincode as a service: the gRPC server that peers connect to, a stream each (``ledger.fabric.shim``).

No more than ``STREAMS`` are open; a further one is refused, and does not wait. A connection that died without
a word is found by pings; one that does not finish its handshake is closed.

Each stream has workers of its own: a peer that asks and never answers holds up nobody but itself. Whoever may
connect can still take all the streams, so only a loopback address is opened without asking peers for a
certificate (``hedui ledger chaincode``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from fabric_protos.peer import chaincode_shim_pb2

from ledger.errors import LogError
from ledger.fabric.gateway import MESSAGE_BYTES
from ledger.fabric.shim import Handler, Stream

WORKERS = 32
"""Transactions of one stream worked on at once."""

STREAMS = 16
"""Peers that may be connected at once."""

PING_MS = 30_000
"""Pause between pings on an idle connection."""

HANDSHAKE_MS = 10_000
"""How long a connection may take to begin."""

Kind: Any = chaincode_shim_pb2.ChaincodeMessage


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
            request_deserializer=Kind.FromString,
            response_serializer=Kind.SerializeToString,
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
