"""Record before answer, as a model beside the real code: random histories of questions, kills and outages.

Whenever a response leaves the department, the final log holds the accepted intent for exactly that question.
An answer that was sent never changes, and is recorded on the ledger. A kill is an exception that nothing
catches: transactions roll back, memory is lost, and the department starts again over its home.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

import grpc
import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ledger import canonical
from ledger.entries import entry as entries
from ledger.fault_points import Point
from ledger.formats.receipt import Receipt
from ledger.replica.replica import Replica
from node.department.answer import Department
from node.edges.check import DepartmentEdge
from node.errors import NodeError, ServiceUnavailableError
from node.office import inquiry
from node.office.inquiry import Inquiry
from node.services import Services
from node.store.database import Store
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from protocols.wire import check_pb2, check_pb2_grpc
from tests.node.network_in_memory import NETWORK, Network, shared, stranger
from tests.node.question_steps import check
from tests.node.rpc.wire_in_memory import Port, WireError

POINTS = (
    Point.INTENT_ACCEPTED,
    Point.ANSWER_EVALUATED,
    Point.ANSWER_STORING,
    Point.ANSWER_STORED,
    Point.REFUSAL_STORED,
    Point.REPLICA_STORING,
    Point.REPLICA_STORED,
)
SHORT = {"tax", "desk", "trust"}
"""Three of six witnesses away: no quorum."""
PERSONS = iter(range(300, 100_000))
NUMBERS = st.integers(0, 4)


class Killed(BaseException):
    """The end of a process."""


class Hib:
    """The department, with its home in the shared network; ``start`` starts it again."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.dies_at: Point | None = None
        net.services["hib"].outbox.close()
        self._witness = net.wire.ports["hib"]
        self._running: Services | None = None
        self.start()

    def observe(self, point: Point) -> None:
        if point == self.dies_at:
            raise Killed

    def start(self) -> None:
        if self._running is not None:
            self._running.outbox.close()
            self._running.store.database.dispose()
        net, before = self.net, self.net.services["hib"]
        engine = net._engine(net.homes["hib"].store_url)
        policy, clock = net.file.policy, before.clock
        replica = Replica(engine, NETWORK, net.file.genesis, policy, observe=self.observe)
        transport = before.ledger._transport
        ledger = LedgerClient(NETWORK, policy, replica, transport, before.keys.node, dict, clock)
        store = Store(engine)
        self._running = Services(
            before.configuration, before.keys, store, ledger, Outbox(store, ledger), before.channels,
            before.peers, clock, observe=self.observe,
        )  # fmt: skip
        self._running.outbox.start()
        port: Any = Port()
        edge = DepartmentEdge(before.peers, self._running, Department(self._running))
        check_pb2_grpc.add_DepartmentServicer_to_server(edge, port)
        port.add_generic_rpc_handlers(self._witness._handlers)
        net.wire.ports["hib"] = port


class Question:
    """What the office has ready: a certified question and its intent, which may not be on the ledger."""

    def __init__(self, net: Network) -> None:
        case = net.case(stranger(next(PERSONS)))

        def hold(message: Any) -> Any:
            raise WireError(grpc.StatusCode.UNAVAILABLE, "unavailable|held back")

        net.wire.taps["audit", "Append"] = hold
        with suppress(NodeError):
            check(net, case)
        net.wire.taps.clear()
        office = net.services["office"]
        self.inquiry: Inquiry = inquiry.resume_or_begin(office, case)
        self.query = self.inquiry.query
        self.leaf = bytes.fromhex(self.inquiry.intent)

    def with_slots_of(self, net: Network, other: Question) -> None:
        """Compose the intent again over slots that another question wants as well."""
        body = entries.parse(self.leaf).body | {"slots": entries.parse(other.leaf).body["slots"]}
        self.leaf = net.services["office"].ledger.compose("query.intent", self.query, body)

    def request(self, receipt: bytes) -> check_pb2.AnswerRequest:
        openings = self.inquiry.openings
        return check_pb2.AnswerRequest(
            certificate=canonical.encode(self.inquiry.certificate.to_json()),
            signature=canonical.encode(self.inquiry.signature.to_json()),
            intent=self.leaf,
            receipt=receipt,
            elements=openings.elements,
            elements_salt=openings.elements_salt,
            datasets=["hib.selfpaid"],
        )


class RecordBeforeAnswer(RuleBasedStateMachine):
    """Histories of one department."""

    hib: Hib | None = None

    def __init__(self) -> None:
        super().__init__()
        self.net = shared("a department that starts again")
        if RecordBeforeAnswer.hib is None:
            RecordBeforeAnswer.hib = Hib(self.net)
        self.questions: list[Question] = []
        self.receipts: list[bytes] = []
        self.left: dict[str, set[bytes]] = {}

    def teardown(self) -> None:
        """Everything runs again: what has left comes onto the ledger, and nothing else."""
        self.all_up()
        view = self.net.services["audit"].ledger
        for query, answers in self.left.items():
            assert len(answers) == 1
            view.wait_for(lambda found, query=query: answered(found, query), 20)
            assert answered(view.view, query)

    def all_up(self) -> None:
        self.net.wire.down.clear()
        assert self.hib is not None
        self.hib.dies_at = None
        self.hib.start()

    @rule()
    def certify(self) -> None:
        if not self.net.wire.down and len(self.questions) < 4:
            with suppress(ServiceUnavailableError):  # the log asks its witnesses again after a moment
                self.questions.append(Question(self.net))

    @precondition(lambda self: self.questions)
    @rule(number=NUMBERS, other=NUMBERS)
    def want_the_same_slots(self, number: int, other: int) -> None:
        one, two = self.pick(number), self.pick(other)
        if one is not two and not self.is_final(one):
            one.with_slots_of(self.net, two)

    @precondition(lambda self: self.questions)
    @rule(number=NUMBERS)
    def append(self, number: int) -> None:
        with suppress(NodeError):
            receipt = self.net.services["office"].ledger.append(self.pick(number).leaf)
            self.receipts.append(receipt.format())

    @precondition(lambda self: self.questions)
    @rule(number=NUMBERS, shown=st.integers(0, 6), point=st.sampled_from((None, None, *POINTS)))
    def ask(self, number: int, shown: int, point: Point | None) -> None:
        """Ask with the right receipt, another's, or none; perhaps the department dies on the way."""
        question = self.pick(number)
        receipt = (
            self.receipts[shown % len(self.receipts)] if self.receipts and shown < 3 else self.right(question)
        )
        assert self.hib is not None
        self.hib.dies_at = point
        stub = check_pb2_grpc.DepartmentStub(self.net.services["office"].channels.to("hib"))
        try:
            answer = stub.Answer(question.request(receipt), timeout=10)
        except Killed:
            self.hib.dies_at = None
            self.hib.start()
        except WireError:
            pass  # refused
        else:
            assert self.is_final(question)
            self.left.setdefault(question.query, set()).add(answer.SerializeToString(deterministic=True))
        self.hib.dies_at = None

    @rule()
    def restart(self) -> None:
        assert self.hib is not None
        self.hib.start()

    @rule(down=st.sampled_from(("", "audit", "quorum")))
    def outage(self, down: str) -> None:
        self.net.wire.down.clear()
        self.net.wire.down.update({"": set(), "audit": {"audit"}, "quorum": SHORT}[down])

    def pick(self, number: int) -> Question:
        return self.questions[number % len(self.questions)]

    def is_final(self, question: Question) -> bool:
        """The final log holds this very intent, and a replay accepts it."""
        audit = self.net.services["audit"].ledger
        audit.sync()
        found = audit.view.intent(question.query)
        return question.leaf in self.net.sequencer.read(0, self.net.sequencer.size) and found is not None

    def right(self, question: Question) -> bytes:
        """The receipt of this question's intent, or a made-up one."""
        audit = self.net.services["audit"].ledger
        index = audit.replica.find(question.query)
        if index is None:
            note = audit.replica.checkpoint_note or b""
            return Receipt(audit.replica.size - 1, (secrets.token_bytes(32),), note).format()
        return audit.replica.receipt(index).format()


def answered(view: Any, query: str) -> bool:
    found = view.answer(query, "hib.selfpaid")
    return found is not None and found.answered


RecordBeforeAnswer.TestCase.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
TestRecordBeforeAnswer = RecordBeforeAnswer.TestCase
