"""A member's one port: gRPC with mutual TLS, synchronous with threads; our errors become statuses.

Whether an address can be listened on, asked before gRPC is: it would say so in lines of its own.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from keys.tls import Identity
from node.errors import KNOWN_ERRORS, ConfigurationError, RefusalError
from node.log_throttle import Repeated
from node.rpc.directory import Directory
from node.rpc.limits import SEND_TIMEOUT_SECONDS, ConcurrencyLimit
from node.rpc.status import grpc_status, wire_text

MAX_MESSAGE_BYTES = 1 << 20
"""Every message is bounded before it is parsed; batches and publications stream."""
DEFECT = "internal"
"""All a caller learns of a defect; gRPC of itself would send it the exception's text."""
HANDSHAKE_MS = 10_000
CONNECTIONS = 512
QUEUED = 4
"""Calls at a port for each of its threads; those beyond are refused at once."""
WATCH_SECONDS = 1.0
BEGUN_SECONDS = 0.25
"""How long a change of the trusted authorities waits: a handshake has its context within a millisecond."""
log = logging.getLogger("hedui.rpc")
_refused = Repeated(log)


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs only
    """What stands before every method: the caller's turn, its message, and the end of its errors.

    Errors of ours become gRPC statuses with ``code|remedy``; anything else is logged as a defect. A method
    with one message is served as one with a stream of them, which is the same on the wire: gRPC would wait
    for the message before anything of ours runs.
    """

    def __init__(self, turns: ConcurrencyLimit) -> None:
        """Args: ``turns`` at the port."""
        self._turns = turns

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
        """A method with one answer."""
        turns = self._turns

        def handle(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with _Boundary(context, method), turns.turn(context):
                return inner(_parsed(parse, turns.message(messages, context)), context)

        return handle

    def _streaming(
        self, inner: Callable[[Any, Any], Iterator[Any]], parse: Callable[[bytes], Any], method: str
    ) -> Callable[[Any, Any], Iterator[Any]]:
        """A method with a stream of answers."""
        turns = self._turns

        def handle(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with _Boundary(context, method), turns.turn(context):
                request = _parsed(parse, turns.message(messages, context))
                yield from turns.taken(inner(request, context), context)

        return handle


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> Any:
    """A call's message. Left to gRPC, one that does not parse would leave its call open.

    Raises:
        RefusalError: ``malformed``.
    """
    try:
        return parse(data)
    except DecodeError as error:
        raise RefusalError("malformed", "the message does not parse") from error


class _Boundary:
    """Where a call's errors end: ours become their status, a defect is logged and named ``internal``."""

    def __init__(self, context: grpc.ServicerContext, method: str) -> None:
        self._context = context
        self._method = method

    def __enter__(self) -> None:
        """Begin the call."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call with a status; raises what gRPC raises for it."""
        if isinstance(error, KNOWN_ERRORS):
            _forget_frames(error)
            _abort(self._context, self._method, error)
        elif isinstance(error, Exception):
            log.error("%s failed", self._method, exc_info=error)
            _forget_frames(error)
            self._context.abort(grpc.StatusCode.INTERNAL, DEFECT)


def _forget_frames(error: BaseException | None) -> None:
    """Let go of the frames an error came through: who keeps it keeps the call, which gRPC counts as open."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _abort(context: grpc.ServicerContext, method: str, error: Exception) -> None:
    """End a call with the status of an error of ours."""
    _refused.info(f"{method} refused: {wire_text(error)}")
    context.abort(grpc_status(error), wire_text(error))


class Peers:
    """Who is calling: the member of a call's certificate."""

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
    """What a port shows and whom it trusts; gRPC gets it anew when the members' authorities have changed.

    gRPC asks at every connection, before anything is known of the caller, and what it is given replaces the
    context that handshakes are made from. One thread asks at a time, but makes its handshake when the next
    may ask already: a context replaced in between is used after it was freed, and the process ends (grpc/grpc
    issue 36693). So nothing is handed over while nothing has changed, or any stranger could end a node by
    connecting a few thousand times; and a change waits until the handshakes begun before it have theirs.
    """

    def __init__(self, identity: Identity, directory: Directory) -> None:
        """Args: ``identity`` is what the port shows; ``directory`` says whose callers it trusts."""
        self._pair = (identity.key_pem, identity.chain_pem)
        self._directory = directory
        self._bundle = directory.trust_bundle()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """The configuration to start with."""
        return grpc.ssl_server_certificate_configuration([self._pair], root_certificates=self._bundle)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The configuration for this handshake and later ones, or None while it is as it was."""
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
    patience: float = SEND_TIMEOUT_SECONDS,
) -> grpc.Server:
    """Open the port and serve.

    A connection has ``HANDSHAKE_MS`` for its handshake, and there are ``CONNECTIONS`` of them: whoever opens
    more than that finds no port, and takes neither files nor memory from those who are served.

    Args:
        address: ``host:port``.
        identity: own certificate chain and key.
        directory: members whose authorities are trusted; asked again at every handshake.
        register: adds the services of the member's roles.
        threads: worker threads; a member has a quarter of them at once.
        patience: seconds a member has for its message.

    Raises:
        ConfigurationError: the port cannot be opened.
    """
    trust = PortTrust(identity, directory)
    turns = ConcurrencyLimit(Peers(directory).member, directory.own, max(1, threads // 4), patience)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="rpc"),
        interceptors=[Admission(turns)],
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
        trust.changed,  # type: ignore[arg-type]  # may answer None, says its documentation; its stubs forgot
        require_client_authentication=True,
    )
    try:
        server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConfigurationError(f"{address} cannot be opened: is another node running there?") from error
    server.start()
    threading.Thread(target=_watch, args=(server, turns), name="rpc-patience", daemon=True).start()
    return server


def _watch(server: grpc.Server, turns: ConcurrencyLimit) -> None:
    """End late calls until the server ends."""
    while server.wait_for_termination(WATCH_SECONDS):
        turns.end_late()


def require_free(address: str) -> None:
    """An address of this machine that nobody listens on.

    A host may have several addresses, and one is enough, as for gRPC. Port 0 is free.

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
    """What is in the way of listening there; None: nothing."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return error
    return None
