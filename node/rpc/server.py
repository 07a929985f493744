"""A member's port: a gRPC server with mutual TLS whose calls are bounded and whose errors become statuses.

The server is synchronous: one thread serves one call. ``Admission`` wraps every method with the limits of
``node.rpc.limits`` and turns this project's errors into gRPC statuses. ``PortTrust`` keeps the trusted
certificate authorities equal to those on the ledger. ``require_free`` finds out why an address cannot be
used before gRPC tries it.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from keys.tls import Identity
from ledger.periodic import PeriodicTask
from node.errors import KNOWN_ERRORS, ConfigurationError, RefusalError
from node.rpc.directory import Directory
from node.rpc.limits import SEND_TIMEOUT_SECONDS, ConcurrencyLimit
from node.rpc.status import grpc_status, wire_text

MAX_MESSAGE_BYTES = 1 << 20
"""Every message is bounded before it is parsed; batches and publications stream."""
DEFECT = "internal"
"""All that a caller learns of a defect; by default gRPC would send the exception's text."""
HANDSHAKE_MS = 10_000
CONNECTIONS = 512
QUEUED = 4
"""Calls that a port accepts for each of its threads; further ones are refused at once."""
WATCH_SECONDS = 1.0
BEGUN_SECONDS = 0.25
"""Delay of a change of the trusted authorities; a handshake takes its context within a millisecond."""
log = logging.getLogger("hedui.rpc")


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs only
    """Interceptor of every method: counts the call, receives its message, and maps errors to statuses.

    Errors of this project become gRPC statuses with the details ``code|remedy``; any other error is logged as
    a defect. A method with one request message is served as one with a stream of them, which is the same on
    the wire: otherwise gRPC would wait for the message before the limits apply.
    """

    def __init__(self, limit: ConcurrencyLimit) -> None:
        """Args: ``limit`` on the calls at the port."""
        self._limit = limit

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of one call."""
        handler = continuation(handler_call_details)
        if handler is None or (handler.unary_unary is None and handler.unary_stream is None):
            return handler
        method, parse = handler_call_details.method, handler.request_deserializer
        assert parse is not None
        if handler.unary_unary is None:
            assert handler.unary_stream is not None
            streaming = self._streaming(handler.unary_stream, parse, method)
            return grpc.stream_stream_rpc_method_handler(streaming, None, handler.response_serializer)
        single = self._single(handler.unary_unary, parse, method)
        return grpc.stream_unary_rpc_method_handler(single, None, handler.response_serializer)

    def _single(
        self, inner: Callable[[Any, Any], Any], parse: Callable[[bytes], Any], method: str
    ) -> Callable[[Any, Any], Any]:
        """Wrap a method with one response."""
        limit = self._limit

        def handle(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with _Boundary(context, method), limit.counted(context):
                return inner(_parsed(parse, limit.receive(messages, context)), context)

        return handle

    def _streaming(
        self, inner: Callable[[Any, Any], Iterator[Any]], parse: Callable[[bytes], Any], method: str
    ) -> Callable[[Any, Any], Iterator[Any]]:
        """Wrap a method with a stream of responses."""
        limit = self._limit

        def handle(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with _Boundary(context, method), limit.counted(context):
                request = _parsed(parse, limit.receive(messages, context))
                yield from limit.send(inner(request, context), context)

        return handle


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> Any:
    """Parse a call's message here: if gRPC parsed it, a malformed one would leave its call open.

    Raises:
        RefusalError: ``malformed``.
    """
    try:
        return parse(data)
    except DecodeError as error:
        raise RefusalError("malformed", "the message does not parse") from error


class _Boundary:
    """Ends a failed call with its error's status; a defect is logged and sent as ``internal``."""

    def __init__(self, context: grpc.ServicerContext, method: str) -> None:
        self._context = context
        self._method = method

    def __enter__(self) -> None:
        """Nothing to do before the call."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End a failed call with a status; raises what gRPC raises to abort it."""
        if isinstance(error, KNOWN_ERRORS):
            _forget_frames(error)
            _abort(self._context, self._method, error)
        elif isinstance(error, Exception):
            log.error("%s failed", self._method, exc_info=error)
            _forget_frames(error)
            self._context.abort(grpc.StatusCode.INTERNAL, DEFECT)


def _forget_frames(error: BaseException | None) -> None:
    """Drop an error's frames: they refer to the call, which gRPC counts as open while it is referred to."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _abort(context: grpc.ServicerContext, method: str, error: Exception) -> None:
    """End a call with the status of one of this project's errors."""
    log.info("%s refused: %s", method, wire_text(error))
    context.abort(grpc_status(error), wire_text(error))


class Peers:
    """Identifies the calling member by its certificate."""

    def __init__(self, directory: Directory) -> None:
        """Args: ``directory`` knows members' authorities."""
        self._directory = directory

    def member(self, context: grpc.ServicerContext) -> str:
        """Id of the calling member.

        Raises:
            RefusalError: ``unknown_peer``.
        """
        chain: Iterable[Any] = context.auth_context().get("x509_pem_cert", ())
        return self._directory.identify(bytes(next(iter(chain), b"")))


class PortTrust:
    """A port's certificate and trusted authorities; gRPC gets them again when the authorities change.

    gRPC asks for them at every connection, before anything is known about the caller, and the configuration
    that it is given replaces the context from which handshakes are made. Only one thread asks at a time, but
    the next one may ask while the first makes its handshake: a context that is replaced in between is used
    after it was freed, and the process ends (grpc/grpc issue 36693). So the configuration is handed over only
    if it has changed, or any client could end a node by connecting a few thousand times; and a change waits
    until the handshakes begun before it have taken their context.
    """

    def __init__(self, identity: Identity, directory: Directory) -> None:
        """Read the authorities that are trusted now.

        Args:
            identity: certificate and key that the port presents.
            directory: the members whose certificates are accepted.
        """
        self._pair = (identity.key_pem, identity.chain_pem)
        self._directory = directory
        self._bundle = directory.trust_bundle()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """The configuration to start with."""
        return grpc.ssl_server_certificate_configuration([self._pair], root_certificates=self._bundle)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The configuration for this handshake and later ones; None while it is unchanged."""
        bundle = self._directory.trust_bundle()
        if bundle == self._bundle:
            return None
        time.sleep(BEGUN_SECONDS)
        self._bundle = bundle
        return self.first()


def start_server(
    address: str,
    identity: Identity,
    directory: Directory,
    register: Callable[[grpc.Server], None],
    threads: int,
    send_timeout: float = SEND_TIMEOUT_SECONDS,
) -> grpc.Server:
    """Open the port and serve.

    A connection has ``HANDSHAKE_MS`` for its handshake, and at most ``CONNECTIONS`` are open: a further one
    is refused, so that it takes neither files nor memory from the calls that are served.

    Args:
        address: ``host:port``.
        identity: own certificate chain and key.
        directory: members whose authorities are trusted; asked again at every handshake.
        register: adds the services of the member's roles.
        threads: worker threads; a member may use a quarter of them at once.
        send_timeout: seconds a caller has to send its message.

    Raises:
        ConfigurationError: the port cannot be opened.
    """
    trust = PortTrust(identity, directory)
    limit = ConcurrencyLimit(Peers(directory).member, directory.own, max(1, threads // 4), send_timeout)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="rpc"),
        interceptors=[Admission(limit)],
        maximum_concurrent_rpcs=QUEUED * threads,
        options=[
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
            ("grpc.max_allowed_incoming_connections", CONNECTIONS),
            ("grpc.max_concurrent_streams", threads),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    register(server)
    credentials = grpc.dynamic_ssl_server_credentials(
        trust.first(),
        trust.changed,  # type: ignore[arg-type]  # its documentation allows None, its stubs do not
        require_client_authentication=True,
    )
    try:
        server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConfigurationError(f"{address} cannot be opened: is another node running there?") from error
    server.start()
    _cancel_late_calls(server, limit)
    return server


def _cancel_late_calls(server: grpc.Server, limit: ConcurrencyLimit) -> None:
    """Start the task that cancels late calls until the server ends."""

    def look() -> None:
        if server.wait_for_termination(WATCH_SECONDS):
            limit.cancel_late()
        else:
            task.stop()

    task = PeriodicTask("rpc-timeouts", 0.0, look, log)
    task.start()


def require_free(address: str) -> None:
    """Check that an address belongs to this machine and is free.

    ``start_server`` would find out as well, and it decides; but gRPC then prints a line of its own and does
    not pass on the cause. A host may have several addresses, of which one must be free, as for gRPC. Port 0
    is always free.

    Raises:
        ConfigurationError: none can be opened.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigurationError(
            f"{address} cannot be opened ({error.strerror}): correct [listen]"
        ) from error
    errors = [_bind(family, where) for family, _, _, _, where in found]
    failed = [error for error in errors if error is not None]
    if len(failed) == len(errors):
        taken = any(error.errno == errno.EADDRINUSE for error in failed)
        remedy = "is another node running there?" if taken else "correct [listen] in node.toml"
        raise ConfigurationError(f"{address} cannot be opened ({failed[0].strerror}): {remedy}")


def _bind(family: int, where: tuple[object, ...]) -> OSError | None:
    """Why an address cannot be listened on; None if it can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return error
    return None
