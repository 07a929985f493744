"""gRPC between members of one process: messages cross as bytes, callers are known by their certificates.

Edges register with a ``Port`` as with a server; their errors become statuses by the node's own interceptor.
Only the socket and TLS are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import grpc

from node.member_keys import MemberKeys
from node.rpc.channels import Channels
from node.rpc.directory import Directory
from node.rpc.limits import ConcurrencyLimit
from node.rpc.server import Admission


class WireError(grpc.RpcError):
    """A call that failed, as gRPC shows it."""

    def __init__(self, status: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self._status, self._text = status, text

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._text


class CallContext:
    """What an edge asks of its context: the caller's certificate, and a way to end the call."""

    def __init__(self, leaf: bytes) -> None:
        self._leaf = leaf

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._leaf]}

    def abort(self, status: grpc.StatusCode, text: str) -> NoReturn:
        raise WireError(status, text)


class Details:
    """Which method is called."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


class Port:
    """One member's port: gRPC services register with it as with a server."""

    def __init__(self) -> None:
        self._handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        self._handlers += handlers

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        del service, handlers

    def _service(self, asked: Any) -> Any:
        found = (handler.service(asked) for handler in self._handlers)
        return next((one for one in found if one is not None), None)

    def parse(self, method: str, request: bytes) -> Any:
        """A request as its method gets it."""
        return self._service(Details(method)).request_deserializer(request)

    def find(self, method: str) -> Any:
        details: Any = Details(method)
        handler = Admission(ConcurrencyLimit(lambda _: "", "", 1)).intercept_service(self._service, details)
        if handler is None:
            raise WireError(grpc.StatusCode.UNIMPLEMENTED, "")
        return handler


class Wire:
    """All ports.

    Attributes:
        down: members that do not answer.
        taps: by (member, method): sees the request before the member does; may give another, or raise.
        rewrites: by (member, method): gives other messages of a stream than the member's.
    """

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self.down: set[str] = set()
        self.taps: dict[tuple[str, str], Callable[[Any], Any]] = {}
        self.rewrites: dict[tuple[str, str], Callable[[list[Any]], list[Any]]] = {}

    def open(self, member: str, method: str, request: bytes) -> tuple[Any, bytes]:
        """The handler of a call and its request, which a tap may have changed."""
        if member in self.down:
            raise WireError(grpc.StatusCode.UNAVAILABLE, "")
        port = self.ports[member]
        handler = port.find(method)
        tap = self.taps.get((member, method.rpartition("/")[2]))
        if tap is None:
            return handler, request
        tapped = tap(port.parse(method, request))
        return handler, tapped if isinstance(tapped, bytes) else tapped.SerializeToString()


class MemoryChannel:
    """A channel of one caller to one member."""

    def __init__(self, wire: Wire, member: str, leaf: bytes) -> None:
        self._wire, self._member, self._leaf = wire, member, leaf

    def unary_unary(self, method: str, **how: Any) -> Any:
        def call(request: Any, **_: Any) -> Any:
            handler, message = self._wire.open(self._member, method, how["request_serializer"](request))
            answer = handler.stream_unary(iter([message]), CallContext(self._leaf))
            return how["response_deserializer"](handler.response_serializer(answer))

        return call

    def unary_stream(self, method: str, **how: Any) -> Any:
        def call(request: Any, **_: Any) -> Iterator[Any]:
            handler, message = self._wire.open(self._member, method, how["request_serializer"](request))
            answers = handler.stream_stream(iter([message]), CallContext(self._leaf))
            rewrite = self._wire.rewrites.get((self._member, method.rpartition("/")[2]))
            for answer in answers if rewrite is None else rewrite(list(answers)):
                yield how["response_deserializer"](handler.response_serializer(answer))

        return call


class MemoryChannels(Channels):
    """Channels of one member over the wire in memory."""

    def __init__(self, wire: Wire, directory: Directory, keys: MemberKeys) -> None:
        super().__init__(directory, keys.tls)
        self._wire = wire
        self._leaf = keys.tls.chain_pem.partition(b"-----END CERTIFICATE-----\n")
        self._known = directory

    def to(self, member: str) -> grpc.Channel:
        self._known.contact(member)
        return cast("grpc.Channel", MemoryChannel(self._wire, member, self._leaf[0] + self._leaf[1]))

    def regained(self, member: str) -> bool:
        """A port in memory is there or not; nothing is waited for."""
        return False
