"""The chaincode shim on its stream: registration, many transactions at once, errors, streams that break."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_response_pb2,
)

from ledger.errors import EntryRefusedError, LogError
from ledger.fabric.shim import STREAMS, Call, ChaincodeServer, Stub

Kind: Any = chaincode_shim_pb2.ChaincodeMessage
ROUNDS = 8


def handler(call: Call, stub: Stub) -> bytes:
    """Adds what it reads, ``ROUNDS`` times; refuses, fails and writes when asked to."""
    word = call.args[0].decode()
    if word == "refuse":
        raise EntryRefusedError("no", "ask otherwise")
    if word == "fault":
        raise KeyError(word)
    if word == "write":
        stub.put_states({"key": b"value"})
        return b""
    if word == "many":
        stub.put_states({key: key.encode() for key in "edcba"})
        return b",".join(stub.get_states(list("abcde")))
    return b",".join(stub.get_state(f"{word}/{number}") for number in range(ROUNDS))


class Peer:
    """The peer's side of one stream, driven by the test."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stub = chaincode_shim_pb2_grpc.ChaincodeStub(self.channel)
        self.stream = stub.Connect(iter(self.outgoing.get, None))

    def send(self, kind: int, payload: bytes = b"", txid: str = "", channel: str = "") -> None:
        self.outgoing.put(Kind(type=kind, payload=payload, txid=txid, channel_id=channel))

    def call(self, word: str, txid: str, channel: str = "c") -> None:
        args = chaincode_pb2.ChaincodeInput(args=[word.encode()])
        self.send(Kind.TRANSACTION, args.SerializeToString(), txid, channel)

    def next(self) -> Any:
        return next(self.stream)

    def ready(self, offer: bytes = b"") -> Peer:
        assert self.next().type == Kind.REGISTER
        self.send(Kind.REGISTERED)
        self.send(Kind.READY, offer)
        return self

    def close(self) -> None:
        self.outgoing.put(None)
        self.stream.cancel()
        self.channel.close()


WORKERS = 80


@pytest.fixture
def port() -> Iterator[int]:
    server = ChaincodeServer(handler, "package:1", workers=WORKERS)
    yield server.start("127.0.0.1:0")
    server.stop()


@pytest.fixture
def peer(port: int) -> Iterator[Peer]:
    made = Peer(port)
    yield made
    made.close()


def response(message: Any) -> tuple[int, str, bytes]:
    assert message.type == Kind.COMPLETED
    found = proposal_response_pb2.Response.FromString(message.payload)
    return found.status, found.message, found.payload


def test_it_registers_with_the_package_id_and_answers_keepalives(peer: Peer) -> None:
    first = peer.next()
    assert first.type == Kind.REGISTER
    assert chaincode_pb2.ChaincodeID.FromString(first.payload).name == "package:1"
    peer.send(Kind.KEEPALIVE)
    assert peer.next().type == Kind.KEEPALIVE


def test_a_result_a_refusal_and_a_fault(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    peer.ready()
    peer.send(Kind.INIT, b"", "t0", "c")
    assert response(peer.next()) == (200, "", b"")
    peer.call("refuse", "t1")
    assert response(peer.next()) == (500, "no|ask otherwise", b"")
    peer.call("fault", "t2")
    answer = peer.next()
    assert (answer.type, b"trace" in answer.payload) == (Kind.ERROR, True)
    assert (answer.txid, answer.channel_id) == ("t2", "c")
    assert "a transaction failed" in caplog.text
    peer.call("write", "t3")
    put = peer.next()
    assert put.type == Kind.PUT_STATE
    peer.send(Kind.RESPONSE, b"", "t3", "c")
    assert response(peer.next()) == (200, "", b"")


def test_a_peers_error_is_raised_and_never_taken_for_data(peer: Peer) -> None:
    peer.ready().call("a", "t1")
    assert peer.next().type == Kind.GET_STATE
    peer.send(Kind.ERROR, b"no such channel", "t1", "c")
    answer = peer.next()
    assert answer.type == Kind.ERROR
    assert b"no such channel" in answer.payload


def served(peer: Peer) -> tuple[list[list[str]], list[list[str]], Any]:
    """Serve a transaction ``many``: the keys of each message that writes, of each that reads, and its end."""
    shim, puts, gets = chaincode_shim_pb2, [], []
    while True:
        message = peer.next()
        payload, answer = message.payload, b""
        if message.type == Kind.PUT_STATE:
            puts.append([shim.PutState.FromString(payload).key])
        elif message.type == Kind.WRITE_BATCH_STATE:
            records = shim.WriteBatchState.FromString(payload).rec
            assert {record.type for record in records} == {shim.WriteRecord.PUT_STATE}
            assert all(record.value == record.key.encode() for record in records)
            puts.append([record.key for record in records])
        elif message.type == Kind.GET_STATE:
            gets.append([shim.GetState.FromString(payload).key])
            answer = gets[-1][0].encode()
        elif message.type == Kind.GET_STATE_MULTIPLE:
            gets.append(list(shim.GetStateMultiple.FromString(payload).keys))
            values = [key.encode() for key in gets[-1]]
            answer = shim.GetStateMultipleResult(values=values).SerializeToString()
        else:
            return puts, gets, message
        peer.send(Kind.RESPONSE, answer, message.txid, "c")


def offered(reads: int, writes: int, *, use: bool = True) -> bytes:
    offer = chaincode_pb2.ChaincodeAdditionalParams(
        use_write_batch=use,
        max_size_write_batch=writes,
        use_get_multiple_keys=use,
        max_size_get_multiple_keys=reads,
    )
    data: bytes = offer.SerializeToString()
    return data


SINGLE = [["a"], ["b"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize(
    ("offer", "puts", "gets"),
    [
        (b"", SINGLE, SINGLE),
        (offered(9, 9, use=False), SINGLE, SINGLE),
        (offered(0, 1), SINGLE, SINGLE),
        (b"\xff", SINGLE, SINGLE),
        (offered(2, 3), [["a", "b", "c"], ["d", "e"]], [["a", "b"], ["c", "d"], ["e"]]),
        (offered(5, 1000), [["a", "b", "c", "d", "e"]], [["a", "b", "c", "d", "e"]]),
    ],
)
def test_many_keys_go_as_the_peer_offers(
    peer: Peer, offer: bytes, puts: list[list[str]], gets: list[list[str]]
) -> None:
    peer.ready(offer).call("many", "t1")
    written, read, end = served(peer)
    assert (written, read) == (puts, gets)
    assert response(end) == (200, "", b"a,b,c,d,e")


@pytest.mark.parametrize("answer", [b"", b"\xff", b"\x0a\x01a"])
def test_another_number_of_values_is_never_taken_for_data(peer: Peer, answer: bytes) -> None:
    peer.ready(offered(5, 5)).call("many", "t1")
    assert peer.next().type == Kind.WRITE_BATCH_STATE
    peer.send(Kind.RESPONSE, b"", "t1", "c")
    assert peer.next().type == Kind.GET_STATE_MULTIPLE
    peer.send(Kind.RESPONSE, answer, "t1", "c")
    end = peer.next()
    assert (end.type, b"number of values" in end.payload) == (Kind.ERROR, True)


def test_malformed_transactions_and_repeated_ids(peer: Peer) -> None:
    peer.ready().send(Kind.TRANSACTION, b"\xff\xff", "t1", "c")
    assert peer.next().payload == b"the transaction is malformed"
    peer.call("a", "t2")
    assert peer.next().type == Kind.GET_STATE
    peer.call("a", "t2")
    assert b"under way" in peer.next().payload
    peer.call("a", "t2", "other channel")
    assert peer.next().type == Kind.GET_STATE


def test_answers_to_nobody_are_dropped(peer: Peer) -> None:
    peer.ready().send(Kind.RESPONSE, b"x", "nobody", "c")
    peer.send(Kind.QUERY_STATE_NEXT, b"x", "nobody", "c")
    peer.call("refuse", "t1")
    assert response(peer.next())[0] == 500


def test_eighty_transactions_at_once_keep_to_their_own_answers(peer: Peer) -> None:
    """All are held at every read until all have read: the answers come back in another order."""
    count = WORKERS
    peer.ready()
    for number in range(count):
        peer.call(f"w{number}", f"t{number}", f"c{number % 3}")
    for _ in range(ROUNDS):
        held = [peer.next() for _ in range(count)]
        assert {one.type for one in held} == {Kind.GET_STATE}
        for one in reversed(held):
            key = chaincode_shim_pb2.GetState.FromString(one.payload).key
            peer.send(Kind.RESPONSE, key.encode(), one.txid, one.channel_id)
    ended = {one.txid: response(one) for one in (peer.next() for _ in range(count))}
    for number in range(count):
        expected = ",".join(f"w{number}/{place}" for place in range(ROUNDS)).encode()
        assert ended[f"t{number}"] == (200, "", expected)


def test_a_broken_stream_ends_its_transactions_and_no_others(port: int, peer: Peer) -> None:
    broken = Peer(port).ready()
    broken.call("a", "t1")
    assert broken.next().type == Kind.GET_STATE
    peer.ready().call("b", "t1")
    assert peer.next().type == Kind.GET_STATE
    broken.close()
    for _ in range(ROUNDS - 1):
        peer.send(Kind.RESPONSE, b"v", "t1", "c")
        assert peer.next().type == Kind.GET_STATE
    peer.send(Kind.RESPONSE, b"v", "t1", "c")
    assert response(peer.next()) == (200, "", b",".join([b"v"] * ROUNDS))


def test_stopping_ends_every_transaction() -> None:
    server = ChaincodeServer(handler, "package:1")
    peers = [Peer(server.start("127.0.0.1:0")).ready()]
    peers[0].call("a", "t1")
    assert peers[0].next().type == Kind.GET_STATE
    before = threading.active_count()
    server.stop()
    assert threading.active_count() <= before
    peers[0].close()


def test_a_peer_that_never_answers_holds_no_worker_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.fabric.shim.ANSWER_SECONDS", 0.2)
    server = ChaincodeServer(handler, "package:1", workers=1)
    peer = Peer(server.start("127.0.0.1:0")).ready()
    peer.call("a", "t1")
    assert peer.next().type == Kind.GET_STATE
    peer.call("refuse", "t2")
    ended = [peer.next() for _ in range(2)]
    assert [(one.txid, one.type) for one in ended] == [("t1", Kind.ERROR), ("t2", Kind.COMPLETED)]
    peer.send(Kind.RESPONSE, b"late", "t1", "c")
    peer.call("refuse", "t3")
    assert peer.next().txid == "t3"
    peer.close()
    server.stop()


def test_a_peer_that_never_answers_holds_up_no_other(port: int) -> None:
    """It asks for more than there are workers; another peer's transaction is worked on all the same."""
    silent, honest = Peer(port).ready(), Peer(port).ready()
    for number in range(3 * WORKERS):
        silent.call("a", f"t{number}")
    held = [silent.next() for _ in range(WORKERS)]
    assert {one.type for one in held} == {Kind.GET_STATE}
    honest.call("refuse", "t0")
    with ThreadPoolExecutor(1) as pool:
        try:
            assert response(pool.submit(honest.next).result(20))[0] == 500
        finally:
            honest.close()
    silent.close()


def test_more_transactions_than_a_stream_may_have(
    monkeypatch: pytest.MonkeyPatch, port: int, peer: Peer
) -> None:
    monkeypatch.setattr("ledger.fabric.shim.TRANSACTIONS", 2)
    peer.ready()
    for number in range(3):
        peer.call("a", f"t{number}")
    (ended,) = [one for one in (peer.next() for _ in range(3)) if one.type == Kind.ERROR]
    assert (ended.txid, b"too many" in ended.payload) == ("t2", True)
    peer.send(Kind.ERROR, b"", "t0", "c")
    assert peer.next().type == Kind.ERROR
    peer.call("refuse", "t2")
    assert response(peer.next())[0] == 500


def test_one_stream_too_many_is_refused_at_once(port: int) -> None:
    peers = [Peer(port).ready() for _ in range(STREAMS)]
    further = Peer(port)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(further.next)
        try:
            with pytest.raises(grpc.RpcError) as error:
                first.result(5)
        finally:
            further.close()
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for one in peers:
        one.close()


def test_two_servers_cannot_have_one_port(port: int) -> None:
    other = ChaincodeServer(handler, "package:1")
    with pytest.raises(LogError, match="port"):
        other.start(f"127.0.0.1:{port}")
    other.stop()


def test_nothing_of_a_transaction_is_logged(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hedui")
    peer.ready().call("secret", "t1")
    with ThreadPoolExecutor(1) as pool:
        for _ in range(ROUNDS):
            assert pool.submit(peer.next).result(10).type == Kind.GET_STATE
            peer.send(Kind.RESPONSE, b"hidden", "t1", "c")
        assert b"hidden" in response(pool.submit(peer.next).result(10))[2]
    peer.call("a", "t2")
    peer.next()
    peer.send(Kind.ERROR, b"denied", "t2", "c")
    peer.next()
    peer.call("fault", "t3")
    assert peer.next().txid == "t3"
    assert "KeyError" in caplog.text
    assert "'fault'" not in caplog.text
    assert "secret" not in caplog.text
    assert "hidden" not in caplog.text
