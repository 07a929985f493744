"""A department, a trustee and an office killed with SIGKILL at every point of their work, then started again.

No response ever leaves a department whose question has no final, accepted intent; what has left is the same
for ever, is in the department's store, and comes onto the ledger once. A check takes one intent, whatever
happens to the office.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ledger.fault_points import Point
from node.case import Case
from node.errors import NodeError
from node.membership.network import join
from node.store import tables
from protocols.check.answer import response_digest
from protocols.psi import voprf
from protocols.wire import check_pb2
from tests.faults.conftest import MEMORY
from tests.faults.fork_server import KILLED, ForkServer
from tests.faults.socket_wire import AwayPort, Bridge
from tests.node.network_in_memory import ANNA, CHEN, Network, stranger
from tests.node.question_steps import certificate_of, check, copied
from tests.node.rpc.wire_in_memory import WireError

ANSWER = "/hedui.protocols.v1.Department/Answer"
OUTBOX = [Point.OUTBOX_SENDING, Point.OUTBOX_APPENDED, Point.OUTBOX_NOTED]
REPLICA = [Point.REPLICA_STORING, Point.REPLICA_STORED]
DEPARTMENT = [
    Point.INTENT_ACCEPTED,
    Point.ANSWER_EVALUATED,
    Point.ANSWER_STORING,
    Point.ANSWER_STORED,
    *OUTBOX,
    *REPLICA,
]
TRUSTEE = [Point.SHARE_STORED, Point.SHARE_FINAL, Point.OUTBOX_APPENDED]
OFFICE = [
    Point.CERTIFIED,
    Point.INTENT_COMPOSED,
    Point.INTENT_FINAL,
    Point.INTENT_LOGGED,
    Point.ANSWERS_RECEIVED,
    Point.CLOSE_STORED,
    Point.OUTBOX_NOTED,
]


class Away:
    """A member of a network whose role runs in a process of its own."""

    def __init__(self, running_network: RunningNetwork, member: str, service: str) -> None:
        self.running_network = running_network
        self.member = member
        self.socket = running_network.folder / f"{member}.socket"
        self.process: int | None = None
        net = running_network.net
        net.services[member].outbox.close()
        self.port = AwayPort(member, service, self.socket, net.wire.ports[member])
        net.wire.ports[member] = self.port

    @property
    def home(self) -> Path:
        return self.running_network.net.homes[self.member].home.root

    def start(self, point: str = "", nth: int = 1) -> None:
        ready = Path(f"{self.socket}.ready")
        ready.unlink(missing_ok=True)
        self.process = self.running_network.fork_server.spawn(
            "tests.faults.member_run:serve",
            socket=str(self.socket),
            **self.running_network.given(self, point, nth),
        )
        for _ in range(2000):
            if ready.exists():
                return
            signal.sigtimedwait([], 0.005)
        raise AssertionError("it did not start")

    def ended(self) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        return self.running_network.fork_server.wait(process)

    def stop(self) -> None:
        """Kill it once nothing waits in its outbox, which would meet a point before the next test does."""
        if self.process is not None:
            store = self.running_network.net.services[self.member].store
            for _ in range(2000):
                if not store.all(tables.outbox, state="waiting"):
                    break
                signal.sigtimedwait([], 0.01)
            os.kill(self.process, signal.SIGKILL)
            assert self.ended() == KILLED


class RunningNetwork:
    """A network in this process, some of whose members are away."""

    def __init__(self, fork_server: ForkServer, folder: Path) -> None:
        self.fork_server = fork_server
        self.folder = folder
        self.net = Network(folder)
        for home in self.net.homes.values():
            join(home.home, self.net.file, self.net.genesis)
        self.bridge = folder / "bridge.socket"
        self._served = Bridge(self.bridge, self.net.wire)
        self._served.start()

    def close(self) -> None:
        self.net.close()
        self._served.close()

    def given(self, away: Away, point: str, nth: int) -> dict[str, object]:
        now = self.net.now
        return {"home": str(away.home), "bridge": str(self.bridge), "now": now, "point": point, "nth": nth}

    def on_ledger(self, kind: str, query: str) -> list[dict]:
        """Bodies of the entries of a type about a query, as any member reads them."""
        ledger = self.net.services["audit"].ledger
        ledger.sync()
        found = (entry for _, entry in ledger.replica.of_type(kind))
        return [entry.body for entry in found if query in (entry.id, entry.body.get("query"))]

    def wait_for(self, kind: str, query: str, count: int) -> list[dict]:
        self.net.services["audit"].ledger.wait_for(lambda _: len(self.on_ledger(kind, query)) >= count, 20)
        return self.on_ledger(kind, query)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None, prefix="hedui-roles-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def running_network(fork_server: ForkServer, folder: Path) -> Iterator[RunningNetwork]:
    made = RunningNetwork(fork_server, folder / "answering")
    yield made
    made.close()


@pytest.fixture(scope="module")
def hib(running_network: RunningNetwork) -> Iterator[Away]:
    away = Away(running_network, "hib", "Department")
    yield away
    away.stop()


@pytest.fixture(scope="module")
def trust(running_network: RunningNetwork, hib: Away) -> Iterator[Away]:
    away = Away(running_network, "trust", "Trustee")
    yield away
    away.stop()


@pytest.fixture(scope="module")
def asking(fork_server: ForkServer, folder: Path) -> Iterator[tuple[RunningNetwork, Away]]:
    made = RunningNetwork(fork_server, folder / "asking")
    yield made, Away(made, "office", "nothing")
    made.close()


def numbers() -> Iterator[int]:
    yield from range(200, 100_000)


PERSONS = numbers()


def digest_of(answer: check_pb2.AnswerResponse.Answer) -> str:
    betas, proof = tuple(answer.betas), voprf.Proof.from_bytes(answer.proof)
    return response_digest(answer.salt, betas, proof).hex()


@pytest.mark.parametrize("point", DEPARTMENT)
def test_a_department_killed_while_it_answers(
    running_network: RunningNetwork, hib: Away, point: Point, fault_seed: int
):
    net = running_network.net
    case = net.case(*(stranger(next(PERSONS)) for _ in range(1 + fault_seed % 3)))
    request = hold_away(net, hib, case)
    query = certificate_of(request)["query"]
    left: list[check_pb2.AnswerResponse.Answer] = []

    def leaves(method: str, request: bytes, answer: bytes) -> None:
        assert [
            body["certificate"]["query"] for body in running_network.on_ledger("query.intent", query)
        ] == [query]
        left.extend(check_pb2.AnswerResponse.FromString(answer).answers)

    hib.port.on_answer = leaves
    hib.start(point)
    with suppress(WireError):
        ask(net, hib, request)
    assert hib.ended() == KILLED
    hib.start()
    ask(net, hib, request)
    assert len({answer.SerializeToString(deterministic=True) for answer in left}) == 1
    bodies = running_network.wait_for("query.answer", query, 4)
    mine = [body for body in bodies if body["dataset"] == "hib.selfpaid"]
    assert [(body["result"], body["response"]) for body in mine] == [("answered", digest_of(left[0]))]
    assert len(running_network.on_ledger("query.intent", query)) == 1
    hib.stop()
    store = net.services["hib"].store
    assert store.one(tables.answer, query=query, dataset="hib.selfpaid") is not None
    assert [row["result"] for row in store.all(tables.journal, query=query)] == ["answered"]


def test_a_department_killed_while_it_refuses(running_network: RunningNetwork, hib: Away, fault_seed: int):
    net = running_network.net
    hib.port.on_answer = lambda method, request, answer: None
    request = hold_away(net, hib, net.case(stranger(next(PERSONS))))
    hib.start(Point.REFUSAL_STORED)
    with pytest.raises(WireError):
        ask(net, hib, copied(request, elements=list(request.elements)[::-1]))
    assert hib.ended() == KILLED
    hib.start()
    query = certificate_of(request)["query"]
    answers = running_network.wait_for("query.answer", query, 4)
    assert [one["result"] for one in answers if one["dataset"] == "hib.selfpaid"] == ["refused:certificate"]
    ask(net, hib, request)
    assert len(running_network.wait_for("query.answer", query, 5)) == 5
    hib.stop()


def ask(net: Network, away: Away, request: check_pb2.AnswerRequest) -> None:
    """Ask a member who is away as the office would."""
    leaf = net.services["office"].channels._leaf
    away.port.ask(ANSWER, leaf[0] + leaf[1], request.SerializeToString())


def hold_away(net: Network, away: Away, case: Case) -> check_pb2.AnswerRequest:
    """The message the office sends to a member whose process is down; the others answer."""
    held: list[bytes] = []

    def keep(message: bytes) -> bytes:
        held.append(message)
        return message

    away.stop()
    net.wire.taps[away.member, "Answer"] = keep
    try:
        assert check(net, case).verdict.outcome == "incomplete"
    finally:
        net.wire.taps.clear()
    return check_pb2.AnswerRequest.FromString(held[0])


@pytest.mark.parametrize("point", TRUSTEE)
def test_a_trustee_killed_while_it_opens(
    running_network: RunningNetwork, hib: Away, trust: Away, point, fault_seed
):
    net = running_network.net
    hib.stop()
    hib.port.on_answer = lambda method, request, answer: None
    hib.start()
    case = net.case(ANNA, CHEN)
    shares: list[bytes] = []
    trust.port.on_answer = lambda method, request, answer: shares.append(answer)
    trust.stop()
    trust.start(point)
    query = None
    with suppress(NodeError):  # the office is told to try again
        query = check(net, case).inquiry.query
    assert trust.ended() == KILLED
    trust.start()
    again = check(net, case)
    assert again.total is not None
    assert query in (None, again.inquiry.query)
    assert len(running_network.wait_for("share.release", again.inquiry.query, 1)) == 1
    assert len(set(shares)) == 1
    assert len(running_network.on_ledger("query.intent", again.inquiry.query)) == 1
    hib.stop()
    trust.stop()


@pytest.mark.parametrize("point", OFFICE)
def test_an_office_killed_while_it_asks(asking: tuple[RunningNetwork, Away], point: Point, fault_seed: int):
    running_network, office = asking
    chance = random.Random(f"{point} {fault_seed}")
    ids = [stranger(next(PERSONS)) for _ in range(1 + fault_seed % 3)]
    net = running_network.net
    case = net.case(*ids)
    before = len(all_intents(running_network))
    given = {"case": case.case, "persons": ids}
    function = "tests.faults.member_run:check"
    assert net_run(running_network, function, running_network.given(office, point, 1) | given) == KILLED
    if chance.random() < 0.5:
        second = running_network.given(office, chance.choice(OFFICE), 1) | given
        assert net_run(running_network, function, second) in {KILLED, 0}
    assert net_run(running_network, function, running_network.given(office, "", 1) | given) == 0
    intents = all_intents(running_network)[before:]
    asked = {body["certificate"]["query"] for body in intents}
    closed = [query for query in asked if running_network.on_ledger("query.close", query)]
    assert len(closed) == len(intents)
    # A kill after the close was stored makes the next run a new check; before that, one intent is all.
    assert len(intents) <= 3 if point in (Point.CLOSE_STORED, *OUTBOX) else len(intents) >= 1
    for query in asked:
        answers = running_network.wait_for("query.answer", query, 4)
        assert sorted(body["dataset"] for body in answers) == sorted({body["dataset"] for body in answers})
        assert {body["result"] for body in answers} == {"answered"}


def net_run(running_network: RunningNetwork, function: str, given: dict[str, object]) -> int:
    return running_network.fork_server.run(function, **given)


def all_intents(running_network: RunningNetwork) -> list[dict]:
    ledger = running_network.net.services["audit"].ledger
    ledger.sync()
    return [entry.body for _, entry in ledger.replica.of_type("query.intent")]
