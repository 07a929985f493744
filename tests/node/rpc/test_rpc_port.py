"""A real port on the loopback: TLS by members' own authorities, bounded messages, errors as statuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from keys.tls import Authority
from ledger import canonical
from ledger.formats.receipt import Receipt
from ledger.wire import log_pb2, log_pb2_grpc
from node.config import prepare_transport
from node.demo.processes import free_ports
from node.edges.ledger import FREE_BURST, FREE_RATE, LogEdge
from node.errors import ConfigurationError, RefusalError, ServiceUnavailableError
from node.rpc.channels import Channels, open_channel
from node.rpc.directory import Contact, Directory
from node.rpc.server import MAX_MESSAGE_BYTES, Peers, PortTrust, start_server
from node.rpc.status import raise_from_wire
from node.tlog.transport import RemoteTransport

prepare_transport()
ENDLESS = 99
KEPT: list[RefusalError] = []
"""Errors that outlive their calls, as those a log gives to all who sent one leaf."""
ENDED = threading.Semaphore(0)
"""Released by each ``Read`` that has ended."""


class Echo(log_pb2_grpc.LogServicer):
    """Says who called; refuses, or breaks, where the leaf asks for it."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def Append(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.leaf == b"keep":
            KEPT.append(RefusalError("kept", "for the next who asks"))
            raise KEPT[-1]
        if request.leaf == b"refuse":
            raise RefusalError("slot_taken", "choose another")
        if request.leaf == b"break":
            raise LookupError("a defect")
        return log_pb2.AppendResponse(receipt=self._peers.member(context).encode())

    def Head(self, request: Any, context: Any) -> Any:  # noqa: N802
        return log_pb2.HeadResponse()

    def Read(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        try:
            while request.end == ENDLESS:
                yield log_pb2.ReadResponse(leaves=[bytes(MAX_MESSAGE_BYTES // 2)])
        finally:
            ENDED.release()
        yield log_pb2.ReadResponse(leaves=[b"one"])
        raise ServiceUnavailableError("the rest is elsewhere")


class Proof(Echo):
    """The same in the form of a receipt."""

    def Append(self, request: Any, context: Any) -> Any:  # noqa: N802
        caller = bytes(super().Append(request, context).receipt)
        return log_pb2.AppendResponse(receipt=Receipt(0, (), caller).format())


class Party:
    """Members with authorities of their own, and the port of one."""

    def __init__(self) -> None:
        self.authorities = {name: Authority.create(name) for name in ("tax", "office", "desk", "stranger")}
        [port] = free_ports(1)
        self.endpoint = f"127.0.0.1:{port}"
        self.known = [self.contact("tax"), self.contact("office"), self.contact("desk")]
        self.directory = Directory([], lambda: self.known, self.known[0])
        self.server = start_server(
            self.endpoint, self.identity("tax"), self.directory, self.register, threads=8, send_timeout=0.5
        )
        self.open: list[Channels] = []

    def contact(self, name: str, as_member: str | None = None) -> Contact:
        return Contact(as_member or name, self.endpoint, self.authorities[name].certificate_der)

    def identity(self, name: str) -> Any:
        return self.authorities[name].issue(name, ["127.0.0.1"], 2)

    def register(self, server: grpc.Server) -> None:
        log_pb2_grpc.add_LogServicer_to_server(Echo(Peers(self.directory)), server)

    def channel(self, caller: str, trusts: str = "tax") -> grpc.Channel:
        contact = self.contact(trusts, "tax")
        channels = Channels(Directory([contact], list), self.identity(caller))
        self.open.append(channels)
        return channels.to("tax")

    def stub(self, caller: str, trusts: str = "tax") -> Any:
        return log_pb2_grpc.LogStub(self.channel(caller, trusts))

    def append(self, caller: str, leaf: bytes = b"x", trusts: str = "tax") -> str:
        try:
            stub = self.stub(caller, trusts)
            return str(stub.Append(log_pb2.AppendRequest(leaf=leaf), timeout=5).receipt.decode())
        except grpc.RpcError as error:
            raise_from_wire(error, "tax")


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    made = Party()
    yield made
    for channels in made.open:
        channels.close()
    made.server.stop(None).wait()


def test_a_caller_is_known_by_its_own_authority(party: Party) -> None:
    assert party.append("office") == "office"
    assert party.append("tax") == "tax"


def test_strangers_and_false_servers_get_nowhere(party: Party) -> None:
    with pytest.raises(ServiceUnavailableError):
        party.append("stranger")
    with pytest.raises(ServiceUnavailableError):
        party.append("office", trusts="office")


def test_a_member_admitted_later_is_served_at_once(party: Party) -> None:
    party.authorities["late"] = Authority.create("late")
    with pytest.raises(ServiceUnavailableError):
        party.append("late")
    party.known.append(party.contact("late"))
    assert party.append("late") == "late"
    party.known.pop()


def test_a_port_gets_its_trust_anew_only_when_the_authorities_change(party: Party) -> None:
    known = [party.contact("tax")]
    trust = PortTrust(party.identity("tax"), Directory([], lambda: known))
    assert trust.first() is not None
    assert trust.changed() is None
    known.append(party.contact("office"))
    assert trust.changed() is not None
    assert trust.changed() is None
    known.pop()
    assert trust.changed() is not None


def test_strangers_connections_do_not_end_a_node(party: Party) -> None:
    def connect(count: int) -> None:
        host, port = party.endpoint.rsplit(":", 1)
        for _ in range(count):
            socket.create_connection((host, int(port)), timeout=5).close()

    with ThreadPoolExecutor(8) as strangers:
        list(strangers.map(connect, [250] * 8))
    grpc.channel_ready_future(party.channel("office")).result(60)
    assert party.append("office") == "office"


def test_a_member_that_sends_no_message_holds_its_own_turns_only(party: Party) -> None:
    """Eight threads are there and it has two turns; the rest of its calls end at once, and those two soon."""
    silent = threading.Event()

    def nothing() -> Iterator[Any]:
        silent.wait()
        yield from ()

    method = "/" + log_pb2.DESCRIPTOR.services_by_name["Log"].full_name + "/Head"
    opened = [party.channel("office").stream_unary(method, bytes, bytes).future(nothing()) for _ in range(20)]
    try:
        assert party.append("desk") == "desk"
        ended = [call.code() for call in opened]
        assert set(ended) == {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
        assert "office has 2 calls open here" in "".join(map(str, (call.details() for call in opened)))
        assert party.append("office") == "office"
    finally:
        silent.set()


def test_a_member_that_takes_no_answers_is_ended(party: Party) -> None:
    while ENDED.acquire(blocking=False):
        pass
    request = log_pb2.ReadRequest(start=0, end=ENDLESS)
    opened = [party.stub("office").Read(request) for _ in range(2)]
    assert all(next(call).leaves for call in opened)
    with pytest.raises(ServiceUnavailableError, match="2 calls open"):
        party.append("office")
    assert party.append("desk") == "desk"
    assert all(ENDED.acquire(timeout=60) for _ in opened)
    for call in opened:
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert party.append("office") == "office"


def test_an_authority_that_is_none_cuts_nobody_off(party: Party) -> None:
    """gRPC reads what it trusts up to the first certificate that is none."""
    before = list(party.known)
    good = party.authorities["stranger"].certificate_der
    for bad in (b"no certificate", good + b"x", b""):
        party.known[:] = [before[0], Contact("stranger", party.endpoint, bad), *before[1:]]
        assert party.append("office") == "office"
        with pytest.raises(ServiceUnavailableError):
            party.append("stranger")
    party.known[:] = before


def test_an_endpoint_is_no_other_scheme_of_grpcs(tmp_path: Path) -> None:
    authority = Authority.create("tax")
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port(f"unix:{tmp_path / 's'}")
    server.start()
    channel = open_channel(
        f"unix:{tmp_path / 's'}", authority.certificate_der, authority.issue("o", ["h"], 2), "n"
    )
    with pytest.raises(grpc.RpcError) as caught:
        log_pb2_grpc.LogStub(channel).Head(log_pb2.HeadRequest(), timeout=5)
    assert "resolving" in str(caught.value.details())
    channel.close()
    server.stop(None).wait()


def test_errors_cross_as_codes_and_defects_say_nothing(party: Party) -> None:
    with pytest.raises(RefusalError, match="slot_taken: tax: choose another"):
        party.append("office", b"refuse")
    with pytest.raises(ServiceUnavailableError, match="see its log") as caught:
        party.append("office", b"break")
    assert "defect" not in str(caught.value)


def test_an_error_that_is_kept_keeps_no_call_open(party: Party) -> None:
    """A connection has eight calls at once here, and one after the other as many as it likes."""
    stub = party.stub("office")
    for _ in range(40):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Append(log_pb2.AppendRequest(leaf=b"keep"), timeout=5)
        assert caught.value.details() == "kept|for the next who asks"


@pytest.mark.parametrize("method", ["Append", "Read"])
def test_a_message_that_does_not_parse_keeps_no_call_open(party: Party, method: str) -> None:
    channel = party.channel("office")
    name = "/" + log_pb2.DESCRIPTOR.services_by_name["Log"].full_name + "/" + method
    for _ in range(40):
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.unary_stream(name, bytes, bytes)(b"\xff\xff", timeout=5))
        assert caught.value.details() == "malformed|the message does not parse"
    assert log_pb2_grpc.LogStub(channel).Append(log_pb2.AppendRequest(leaf=b"x"), timeout=5).receipt


def test_a_stream_that_fails_says_so_at_its_end(party: Party) -> None:
    parts = party.stub("office").Read(log_pb2.ReadRequest(start=0, end=2), timeout=5)
    assert list(next(parts).leaves) == [b"one"]
    with pytest.raises(grpc.RpcError) as caught:
        next(parts)
    with pytest.raises(ServiceUnavailableError, match="the rest is elsewhere"):
        raise_from_wire(caught.value, "tax")


def test_messages_are_bounded(party: Party) -> None:
    with pytest.raises(ServiceUnavailableError):
        party.append("office", bytes(MAX_MESSAGE_BYTES + 1))
    assert party.append("office", bytes(MAX_MESSAGE_BYTES // 2)) == "office"


def test_a_port_that_is_taken(party: Party) -> None:
    with pytest.raises(ConfigurationError, match="is another node running there"):
        start_server(party.endpoint, party.identity("tax"), party.directory, party.register, threads=1)


def test_nobody_there() -> None:
    [port] = free_ports(1)
    authority = Authority.create("tax")
    contact = Contact("tax", f"127.0.0.1:{port}", authority.certificate_der)
    channels = Channels(Directory([contact], list), authority.issue("tax", ["127.0.0.1"], 2))
    stub = log_pb2_grpc.LogStub(channels.to("tax"))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Head(log_pb2.HeadRequest(), timeout=5)
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        raise_from_wire(caught.value, "tax")
    channels.close()


def test_a_log_that_starts_again_is_found() -> None:
    """A connection that was lost pauses before each new attempt: a call waits for the next one."""
    [port] = free_ports(1)
    authority, office = Authority.create("court"), Authority.create("office")
    contact = Contact("court", f"127.0.0.1:{port}", authority.certificate_der)
    directory = Directory([contact, Contact("office", "none:1", office.certificate_der)], list)
    channels = Channels(directory, office.issue("office", ["127.0.0.1"], 2))
    log = RemoteTransport(channels, lambda: "court")
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        log.head()

    def register(server: grpc.Server) -> None:
        log_pb2_grpc.add_LogServicer_to_server(Proof(Peers(directory)), server)

    identity = authority.issue("court", ["127.0.0.1"], 2)
    server = start_server(contact.endpoint, identity, directory, register, threads=2)
    assert log.head() == b""
    assert log.append(b"x") == Receipt(0, (), b"office")
    with pytest.raises(RefusalError, match="slot_taken"):
        log.append(b"refuse")
    channels.close()
    server.stop(None).wait()


def test_the_ledgers_word_goes_before_the_first_address() -> None:
    old, new = Authority.create("tax"), Authority.create("tax")
    members: list[Contact] = []
    directory = Directory([Contact("tax", "old:1", old.certificate_der)], lambda: members)
    leaf = old.issue("tax", ["h"], 2).chain_pem
    first = leaf[: leaf.index(b"-----END CERTIFICATE-----") + 26]
    assert directory.contact("tax").endpoint == "old:1"
    assert directory.identify(first) == directory.identify(first) == "tax"
    members.append(Contact("tax", "new:1", new.certificate_der))
    assert directory.contact("tax").endpoint == "new:1"
    with pytest.raises(ServiceUnavailableError, match="not on the ledger"):
        directory.contact("nobody")
    fresh = Directory([], lambda: members)
    for bad in (first, b"", b"-----BEGIN CERTIFICATE-----"):
        with pytest.raises(RefusalError, match="unknown_peer"):
            fresh.identify(bad)
    with pytest.raises(RefusalError, match="unknown_peer"):
        directory.identify(first)


def test_channels_follow_an_endpoint_on_the_ledger() -> None:
    authority = Authority.create("tax")
    members = [Contact("tax", "127.0.0.1:1", authority.certificate_der)]
    channels = Channels(Directory([], lambda: members), authority.issue("office", ["h"], 2))
    first = channels.to("tax")
    assert channels.to("tax") is first
    members[0] = Contact("tax", "127.0.0.1:2", authority.certificate_der)
    assert channels.to("tax") is not first
    with pytest.raises(ServiceUnavailableError):
        channels.to("nobody")
    channels.close()


def test_what_a_member_may_write_at_any_time_has_an_allowance() -> None:
    """The rest of its entries and other members' are not counted; what is refused may be sent later."""
    now = [0.0]
    taken: list[bytes] = []

    class Taking:
        def append(self, leaf: bytes) -> Receipt:
            taken.append(leaf)
            return Receipt(0, (), b"note")

        def head(self) -> bytes:
            return b""

        def read(self, start: int, end: int) -> Iterator[bytes]:
            yield from taken[start:end]

    class Caller(Peers):
        def __init__(self) -> None:
            self.name = "office"

        def member(self, context: Any) -> str:
            del context
            return self.name

    caller = Caller()
    edge = LogEdge(caller, Taking(), clock=lambda: now[0])
    free = log_pb2.AppendRequest(leaf=canonical.encode({"body": {}, "type": "complaint", "v": 1}))
    asked = log_pb2.AppendRequest(
        leaf=canonical.encode({"body": {"text": '"type":"complaint"'}, "type": "query.intent", "v": 1})
    )
    context: Any = None
    for _ in range(FREE_BURST):
        edge.Append(free, context)
    with pytest.raises(ServiceUnavailableError, match="send it again later"):
        edge.Append(free, context)
    edge.Append(asked, context)
    caller.name = "tax"
    edge.Append(free, context)
    caller.name, now[0] = "office", 1.0 / FREE_RATE
    edge.Append(free, context)
    assert len(taken) == FREE_BURST + 3
