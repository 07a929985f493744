"""What crosses between members: TLS 1.3 under the members' own authorities, nothing that names a person."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from keys.tls import Authority, Identity
from ledger.wire import log_pb2, log_pb2_grpc
from node.membership.network import read_card
from node.rpc.channels import Channels, open_channel
from node.wire import operator_pb2, operator_pb2_grpc
from protocols.psi import group
from protocols.wire import check_pb2_grpc
from tests.e2e.dishonest_office import DishonestOffice, call, refused
from tests.e2e.shared_network import RunningNetwork, retry

HANDSHAKE, APPLICATION = 0x16, 0x17
RECORDS = {0x14, 0x15, HANDSHAKE, APPLICATION}
DAYS = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# Who is who.


def test_a_strangers_certificate_gets_no_connection(running_network: RunningNetwork) -> None:
    stranger = Authority.create("bureau").issue("bureau", ["127.0.0.1"], DAYS)
    channel = running_network.channel(stranger, "revenue")
    with refused("unavailable"):
        call(operator_pb2_grpc.OperatorStub(channel).Status, operator_pb2.StatusRequest())
    channel.close()


def test_no_certificate_gets_no_connection(running_network: RunningNetwork) -> None:
    card = read_card(running_network.home("revenue").card)
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(bytes.fromhex(card["tls"])).encode())
    options = [("grpc.ssl_target_name_override", "revenue.hedui")]
    channel = grpc.secure_channel(card["endpoint"], credentials, options)
    with refused("unavailable"):
        call(log_pb2_grpc.WitnessStub(channel).Latest, log_pb2.LatestRequest())
    channel.close()


def test_a_member_cannot_call_under_another_members_name(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """Welfare's own authority issues a certificate for the office: its holder is identified as welfare."""
    forged = running_network.clients["welfare"].keys.authority.issue("bureau", ["127.0.0.1"], DAYS)
    channel = running_network.channel(forged, "revenue")
    request = dishonest_office.question(dishonest_office.logged(running_network.case()))
    before = running_network.journal("revenue", "refused:not_the_office")
    with refused("not_the_office"):
        call(check_pb2_grpc.DepartmentStub(channel).Answer, request)
    channel.close()
    assert running_network.journal("revenue", "refused:not_the_office") == before + 1


def test_a_member_cannot_answer_under_another_members_name(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """Neither welfare's certificate nor one that welfare issued for revenue is taken for revenue's."""
    authority = running_network.clients["welfare"].keys.authority
    card = read_card(running_network.home("revenue").card)
    for forged in (
        running_network.clients["welfare"].keys.tls,
        authority.issue("revenue", ["127.0.0.1"], DAYS),
    ):
        server = grpc.server(ThreadPoolExecutor(2))
        credentials = grpc.ssl_server_credentials([(forged.key_pem, forged.chain_pem)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        channel = open_channel(
            f"127.0.0.1:{port}",
            bytes.fromhex(card["tls"]),
            dishonest_office.services.keys.tls,
            "revenue.hedui",
        )
        with refused("unavailable"):
            call(operator_pb2_grpc.OperatorStub(channel).Status, operator_pb2.StatusRequest())
        channel.close()
        server.stop(None).wait()


def test_only_ones_own_people_use_a_node(running_network: RunningNetwork) -> None:
    channel = running_network.channel(running_network.clients["bureau"].keys.tls, "revenue")
    with refused("not_an_operator"):
        call(operator_pb2_grpc.OperatorStub(channel).Status, operator_pb2.StatusRequest())
    channel.close()


def test_only_the_sequencer_asks_a_witness(running_network: RunningNetwork) -> None:
    channel = running_network.channel(running_network.clients["bureau"].keys.tls, "revenue")
    with refused("not_the_sequencer"):
        call(log_pb2_grpc.WitnessStub(channel).AddCheckpoint, log_pb2.AddCheckpointRequest())
    assert call(log_pb2_grpc.WitnessStub(channel).Latest, log_pb2.LatestRequest()).checkpoint
    channel.close()


def test_tls_1_2_is_refused(running_network: RunningNetwork, folder: Path) -> None:
    """A member's own certificate, an older protocol."""
    assert handshake(running_network, folder, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(running_network, folder, ssl.TLSVersion.TLSv1_2)


def handshake(running_network: RunningNetwork, folder: Path, version: ssl.TLSVersion) -> str | None:
    """Connect to revenue as the office with exactly this version."""
    card = read_card(running_network.home("revenue").card)
    identity: Identity = running_network.clients["bureau"].keys.tls
    (folder / "chain.pem").write_bytes(identity.chain_pem)
    (folder / "key.pem").write_bytes(identity.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(cadata=bytes.fromhex(card["tls"]))
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    context.set_alpn_protocols(["h2"])
    host, _, port = card["endpoint"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.settimeout(10)
        with context.wrap_socket(plain, server_hostname="revenue.hedui") as secure:
            assert secure.recv(1), "the server speaks"
            return secure.version()


# What crosses.


class Relay:
    """Passes bytes on between a caller and a member, and keeps what passes."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.passed: dict[str, bytearray] = {"out": bytearray(), "back": bytearray()}
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        caller, _ = self._listener.accept()
        member = socket.create_connection(self._target)
        self._open += [caller, member]
        for source, sink, way in ((caller, member, "out"), (member, caller, "back")):
            thread = threading.Thread(target=self._pass, args=(source, sink, self.passed[way]), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (*self._open, self._listener):
            each.close()


def test_between_members_there_is_tls_and_nothing_else(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """The registrar is told who it is about: that call, seen from between."""
    case = running_network.case()
    card = read_card(running_network.home("window").card)
    relay = Relay(card["endpoint"])
    channel = open_channel(
        relay.endpoint, bytes.fromhex(card["tls"]), dishonest_office.services.keys.tls, "window.hedui"
    )
    with recorded(dishonest_office, {"window": channel}) as messages:
        assert dishonest_office.certified(case).refusal is None
    channel.close()
    relay.close()
    assert any(case.household[0].id.encode() in data for _, data in messages), "the plain message names them"
    for way, data in relay.passed.items():
        kinds = [kind for kind, _ in tls_records(bytes(data))]
        assert kinds[0] == HANDSHAKE
        assert set(kinds) <= RECORDS
        assert APPLICATION in kinds, way
        for person in case.household:
            assert person.id.encode() not in data
            assert person.name.encode() not in data


def tls_records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Records of a TLS stream; a byte outside of one fails."""
    at = 0
    while at < len(data):
        kind, version, size = data[at], data[at + 1 : at + 3], int.from_bytes(data[at + 3 : at + 5], "big")
        assert kind in RECORDS
        assert version in {b"\x03\x01", b"\x03\x03"}
        yield kind, data[at + 5 : at + 5 + size]
        at += 5 + size


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """Keeps the bytes of every message of a channel."""

    def __init__(self, member: str, kept: list[tuple[str, bytes]]) -> None:
        self._member = member
        self._kept = kept

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._kept.append((self._member, request.SerializeToString()))
        response = continuation(details, request)
        if response.exception() is None:
            self._kept.append((self._member, response.result().SerializeToString()))
        return response

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._kept.append((self._member, request.SerializeToString()))
        responses = list(continuation(details, request))
        self._kept.extend((self._member, response.SerializeToString()) for response in responses)
        return iter(responses)


@contextlib.contextmanager
def recorded(
    dishonest_office: DishonestOffice, instead: dict[str, grpc.Channel] | None = None
) -> Iterator[list[tuple[str, bytes]]]:
    """Every message the dishonest office sends and gets while the block runs, by member."""
    kept: list[tuple[str, bytes]] = []
    true: Channels = dishonest_office.services.channels

    class Recording(Channels):
        def to(self, member: str) -> grpc.Channel:
            channel = (instead or {}).get(member) or true.to(member)
            return grpc.intercept_channel(channel, Recorder(member, kept))

    recording = Recording(true._directory, dishonest_office.services.keys.tls)
    dishonest_office.services.channels = recording
    remote: Any = dishonest_office.services.ledger._transport
    remote._channels = recording
    try:
        yield kept
    finally:
        dishonest_office.services.channels = true
        remote._channels = true


def test_no_message_but_the_registrars_names_a_person(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    """A whole check by hand, every message looked at."""
    case = running_network.case()
    with recorded(dishonest_office) as messages:
        finished = retry(lambda: dishonest_office.answered(case))
        total = dishonest_office.total(finished)
    assert total.net_fen == 1_000_000
    seen = {member for member, _ in messages}
    assert seen == {"window", "court", "revenue", "welfare"}
    blinds = [group.scalar_to_bytes(blind) for blind in finished.inquiry.blinds]
    for member, data in messages:
        if member == "window":
            continue
        for person, blind in zip(case.household, blinds, strict=True):
            for needle in (person.id.encode(), person.id[6:14].encode(), person.name.encode(), blind):
                assert needle not in data, f"a message with {member}"
            assert blind.hex().encode() not in data
            for text in (person.id, f"CN-RID:{person.id}"):
                digest = hashlib.sha256(text.encode()).digest()
                assert digest not in data
                assert digest.hex().encode() not in data
        assert case.case.encode() not in data, "case numbers stay with office and registrar"


def test_departments_get_elements_and_the_trustee_no_consents(
    running_network: RunningNetwork, dishonest_office: DishonestOffice
) -> None:
    case = running_network.case()
    with recorded(dishonest_office) as messages:
        finished = dishonest_office.answered(case)
        dishonest_office.total(finished)
    opened = finished.inquiry.openings
    for member, data in messages:
        for secret in (*opened.rlist, opened.rlist_salt, opened.casemap_salt):
            if member in {"revenue", "welfare"}:
                assert secret not in data, "departments get elements and their salt only"
        if member in {"revenue", "welfare", "court"}:
            assert opened.consents_salt not in data
            assert not any(consent.encode() in data for consent in opened.consents)


def test_logs_of_nodes_say_nothing_of_persons(running_network: RunningNetwork) -> None:
    people = [person for case in running_network.scenario.cases for person in case.household]
    for member in running_network.clients:
        text = (running_network.home(member).root / "node.log").read_text("utf-8")
        assert "Traceback" not in text, f"{member}: {text[-2000:]}"
        for person in people:
            assert person.id not in text
            assert person.name not in text


def test_a_report_holds_no_query_salt_of_the_openings(
    running_network: RunningNetwork, tmp_path: Path
) -> None:
    """A holder of the report alone cannot test a guess: x, r and their salts are in the openings only."""
    case = running_network.case()
    running_network.check(case, tmp_path)
    report = (tmp_path / f"{case.case}.json").read_text("utf-8")
    openings = json.loads((running_network.home("bureau").openings / f"{case.case}.json").read_text("utf-8"))
    secrets = list(secrets_of(openings))
    assert {person.name for person in case.household} <= set(secrets)
    for secret in secrets:
        assert secret not in report


def secrets_of(value: Any, name: str = "") -> Iterator[str]:
    """Identifiers, blinds and names of an openings file."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from secrets_of(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item, name)
    elif isinstance(value, str) and name in {"identifier", "id", "blind", "r", "name"} and len(value) > 2:
        yield value
