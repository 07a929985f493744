"""The wire in memory between processes of one machine: the same bytes and errors, over Unix sockets.

A frame is JSON: ``{"member", "method", "leaf", "request"}`` one way, ``{"answers": […]}`` or ``{"status",
"text"}`` back. A process that is gone does not answer, as a node that is gone does not.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import grpc

from node.member_keys import MemberKeys
from node.rpc.channels import Channels
from node.rpc.directory import Directory
from tests.node.rpc.wire_in_memory import CallContext, Port, Wire, WireError


def call(socket: str, member: str, method: str, leaf: bytes, request: bytes) -> list[bytes]:
    """Messages of one call, or the error it ended with."""
    asked = {"member": member, "method": method, "leaf": leaf.decode(), "request": request.hex()}
    try:
        with Client(socket, "AF_UNIX") as connection:
            connection.send_bytes(json.dumps(asked).encode())
            answer = json.loads(connection.recv_bytes())
    except (OSError, EOFError) as error:
        raise WireError(grpc.StatusCode.UNAVAILABLE, "") from error
    if "status" in answer:
        raise WireError(grpc.StatusCode[answer["status"]], answer["text"])
    return [bytes.fromhex(text) for text in answer["answers"]]


class Bridge:
    """Serves a wire to other processes, a thread a call; ends with its process."""

    def __init__(self, socket: Path, wire: Wire) -> None:
        socket.unlink(missing_ok=True)
        self._wire = wire
        self._listener = Listener(str(socket), "AF_UNIX", backlog=64)

    def serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def start(self) -> None:
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _answer(self, connection: Any) -> None:
        """Answer one call; a caller that is killed meanwhile hears nothing."""
        with connection:
            try:
                asked = json.loads(connection.recv_bytes())
            except (EOFError, ConnectionError):
                return
            try:
                answer: Any = {"answers": [message.hex() for message in self._call(asked)]}
            except WireError as error:
                answer = {"status": error.code().name, "text": error.details()}
            with contextlib.suppress(ConnectionError):
                connection.send_bytes(json.dumps(answer).encode())

    def _call(self, asked: Any) -> list[bytes]:
        handler, message = self._wire.open(asked["member"], asked["method"], bytes.fromhex(asked["request"]))
        context = CallContext(asked["leaf"].encode())
        if handler.stream_unary is not None:
            answers = [handler.stream_unary(iter([message]), context)]
        else:
            answers = list(handler.stream_stream(iter([message]), context))
        return [bytes(handler.response_serializer(answer)) for answer in answers]


class AwayPort(Port):
    """The port of a member one of whose services runs in another process; ``on_answer`` sees its answers."""

    def __init__(self, member: str, service: str, socket: Path, home: Port) -> None:
        super().__init__()
        self._member, self._service, self._socket, self._home = member, service, socket, home
        self.on_answer: Any = lambda method, request, answer: None

    def parse(self, method: str, request: bytes) -> Any:
        return request if self._service in method else self._home.parse(method, request)

    def find(self, method: str) -> Any:
        if self._service not in method:
            return self._home.find(method)
        return _Away(self, method)

    def ask(self, method: str, leaf: bytes, request: bytes) -> bytes:
        [answer] = call(str(self._socket), self._member, method, leaf, request)
        self.on_answer(method, request, answer)
        return answer


class _Away:
    """A handler whose work is done elsewhere: bytes in, bytes out."""

    stream_stream = None

    def __init__(self, port: AwayPort, method: str) -> None:
        self._port, self._method = port, method

    def response_serializer(self, answer: bytes) -> bytes:
        return answer

    def stream_unary(self, messages: Iterator[bytes], context: CallContext) -> bytes:
        return self._port.ask(self._method, context._leaf, next(messages))


class AwayChannel:
    """A channel of a caller in another process."""

    def __init__(self, socket: str, member: str, leaf: bytes) -> None:
        self._socket, self._member, self._leaf = socket, member, leaf

    def _call(self, method: str, request: Any, how: Any) -> list[Any]:
        answers = call(self._socket, self._member, method, self._leaf, how["request_serializer"](request))
        return [how["response_deserializer"](answer) for answer in answers]

    def unary_unary(self, method: str, **how: Any) -> Any:
        return lambda request, **_: self._call(method, request, how)[0]

    def unary_stream(self, method: str, **how: Any) -> Any:
        def stream(request: Any, **_: Any) -> Iterator[Any]:
            yield from self._call(method, request, how)

        return stream


class AwayChannels(Channels):
    """Channels of one member whose process reaches all others through a bridge."""

    def __init__(self, socket: str, directory: Directory, keys: MemberKeys) -> None:
        super().__init__(directory, keys.tls)
        self._socket = socket
        first, end, _ = keys.tls.chain_pem.partition(b"-----END CERTIFICATE-----\n")
        self._leaf = first + end
        self._known = directory

    def to(self, member: str) -> Any:
        self._known.contact(member)
        return AwayChannel(self._socket, member, self._leaf)
