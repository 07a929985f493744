"""What an adversarial review tried on the roles of a node, and what must happen."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError

from ledger import canonical
from ledger.errors import LogError
from node.case import Case
from node.errors import RefusalError, ServiceUnavailableError
from node.governance import rule_sets
from node.member_keys import sign
from node.office import calls
from node.registrar import consents
from node.registrar.recent_subjects import WITHOUT_MEMORY, QuestionAllowance
from node.rpc.directory import Contact, Directory
from node.rpc.server import DEFECT
from node.rpc.untrusted_json import read_object
from node.store import tables
from node.tlog.client import LedgerClient
from node.tlog.transport import RemoteTransport
from node.trustee.release import PreparedRelease
from protocols.check.certify import certify
from tests.node.network_in_memory import ANNA, DENG, FANG, NETWORK, RULES, Network, stranger
from tests.node.question_steps import check, copied, hold, refused, send
from tests.node.rpc.wire_in_memory import WireError


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    found = Network(tmp_path_factory.mktemp("review"))
    yield found
    found.close()


def allow(net: Network, case: Case, reason: str) -> None:
    """Two people of the registrar sign a reason."""
    document = QuestionAllowance(case=case.case, month=net.services["desk"].month(), reason=reason)
    net.registrar.subjects.allow(
        document, [sign(key, document.message()).to_json() for key in net.people("desk")]
    )


def code_of(net: Network, request: Any) -> str:
    """Code of the registrar's signed refusal; empty for a certificate."""
    answer = send(net, "desk", "Certify", request)
    return str(read_object(answer.refusal)["code"]) if answer.refusal else ""


def test_a_row_with_the_other_sign_is_the_same_row(net: Network) -> None:
    """Rules under which the income is a deduction must not open a row a second time beside others."""
    send(net, "trust", "Open", hold(net, net.case(DENG, FANG), "trust", "Open"))
    turned = RULES.replace(b"2026.1", b"2026.2").replace(
        b'income = ["tax.income"]', b'income = ["hib.selfpaid"]'
    )
    turned = turned.replace(b'deduct = ["hib.selfpaid"]', b'deduct = ["tax.income"]')
    rule_sets.publish(net.services["office"], turned)
    for member in ("tax", "hib", "audit"):
        rule_sets.approve(net.services[member], turned)
    net.sync()
    case = net.case(DENG).model_copy(update={"rules": "dibao@2026.2"})
    allow(net, case, "divorced")
    refused(net, "trust", "Open", hold(net, case, "trust", "Open"), "row_released")


def test_rows_are_remembered_without_their_signs() -> None:
    plus = PreparedRelease(b"", ("tax.income/2026-11.1/7/1",), ())
    minus = PreparedRelease(b"", ("tax.income/2026-11.1/7/-1",), ())
    assert plus.leaves == minus.leaves == ("tax.income/2026-11.1/7",)
    assert plus.term_set != minus.term_set


def test_the_outbox_outlives_a_failing_database(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    services = net.services["hib"]
    kind, failures = type(services.store), iter([True, True])
    whole = kind.all

    def failing(self: Any, table: Any, **key: Any) -> Any:
        if self is services.store and table is tables.outbox and next(failures, False):
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return whole(self, table, **key)

    monkeypatch.setattr(kind, "all", failing)
    with services.store.writing() as connection:
        body = {"code": "review", "count": 1}
        services.outbox.add(connection, "incident/review", "incident", body, services.clock())
    services.outbox.wake()

    def is_final(_: Any) -> bool:
        row = services.store.one(tables.outbox, id="incident/review")
        return row is not None and row["state"] == "final"

    assert services.ledger.wait_for(is_final, 10)


def test_a_defect_tells_the_caller_nothing(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default gRPC sends the text of an unexpected exception to the caller."""
    request = hold(net, net.case(stranger(900)), "tax", "Answer")

    def broken(*_: Any) -> None:
        raise ValueError(stranger(900))

    monkeypatch.setattr("node.department.answer.verify_question", broken)
    with pytest.raises(ServiceUnavailableError) as caught:
        send(net, "tax", "Answer", request)
    cause = caught.value.__cause__
    assert isinstance(cause, WireError)
    assert (cause.code(), cause.details()) == (grpc.StatusCode.INTERNAL, DEFECT)


def test_a_dataset_named_a_thousand_times_is_refused_once(net: Network) -> None:
    request = hold(net, net.case(stranger(901)), "tax", "Answer")
    for datasets in (list(request.datasets) * 1000, []):
        refused(net, "tax", "Answer", copied(request, datasets=datasets), "malformed")
    results = [row["result"] for row in net.services["tax"].store.all(tables.journal)]
    assert results.count("refused:malformed") == 2
    assert send(net, "tax", "Answer", request).answers


def test_a_trustee_does_not_speak_for_another_holder(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calls.open_total

    def turned(*args: Any) -> bytes:
        return whole(*args).replace(b'"holder":"trust"', b'"holder":"office"')

    monkeypatch.setattr("node.office.calls.open_total", turned)
    with pytest.raises(RefusalError, match="malformed"):
        check(net, net.case(DENG, FANG))


def test_a_consent_withdrawn_while_its_certificate_is_made(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawal does not know the certificate yet, so the certificate must not come to be."""
    case = net.case(stranger(902))
    request = hold(net, case, "desk", "Certify")

    def late(*args: Any) -> Any:
        consents.withdraw(net.services["desk"], case.case, stranger(902))
        return certify(*args)

    monkeypatch.setattr("node.registrar.certify.certify", late)
    assert code_of(net, request) == "no_consent"


def test_a_reason_of_two_people_serves_one_question(net: Network) -> None:
    one, two, three = (stranger(number) for number in (903, 904, 905))
    send(net, "desk", "Certify", hold(net, net.case(one), "desk", "Certify"))
    case = net.case(one, two, three)
    whole = hold(net, case, "desk", "Certify")
    terms = read_object(bytes(whole.terms))
    fewer = {**terms, "query": secrets.token_hex(16), "datasets": terms["datasets"][:-1]}
    smaller = copied(whole, terms=canonical.encode(fewer))
    left_out = hold(net, case.model_copy(update={"household": case.household[:2]}), "desk", "Certify")
    assert code_of(net, left_out) == "household_incomplete"
    allow(net, case, "remarried")
    allow(net, case, "remarried")
    assert code_of(net, whole) == ""
    assert code_of(net, smaller) == "already_asked"
    with pytest.raises(RefusalError, match="reason_used"):
        allow(net, case, "remarried")
    assert code_of(net, smaller) == "already_asked"
    assert code_of(net, hold(net, case.model_copy(), "desk", "Certify")) == "", "a retry needs none"
    allow(net, case, "moved out")
    assert code_of(net, smaller) == ""
    with pytest.raises(RefusalError, match="reason_used"):
        allow(net, case, "remarried")


def test_a_household_is_not_split_into_two_totals(net: Network) -> None:
    """One case under two indices would open the rows of each of its persons by themselves."""
    case = net.case(DENG, FANG)
    request = hold(net, case, "desk", "Certify")
    split = copied(request, cases=[case.case, case.case])
    split.persons[1].case_index = 1
    refused(net, "desk", "Certify", split, "malformed")


def test_roles_that_have_forgotten_open_and_certify_by_two_people_only(net: Network) -> None:
    """What was opened or asked is remembered in the store alone; the ledger shows what is missing there."""
    opened, further = (hold(net, net.case(*ids), "trust", "Open") for ids in ((DENG, FANG), (ANNA,)))
    send(net, "trust", "Open", opened)
    trust, desk = net.services["trust"], net.services["desk"]
    for services, table in (
        (trust, tables.release),
        (trust, tables.released_row),
        (desk, tables.certificate),
    ):
        with services.store.writing() as connection:
            connection.execute(delete(table))
    net.trustee._possibly_opened = net.registrar.subjects._uncertain = None  # as after a start
    refused(net, "trust", "Open", opened, "already_released")
    refused(net, "trust", "Open", further, "row_released")
    case = net.case(stranger(906))
    asked = hold(net, case, "desk", "Certify")
    assert code_of(net, asked) == "already_asked"
    allow(net, case, "restored")
    assert code_of(net, asked) == ""
    assert desk.ledger.wait_for(lambda _: desk.outbox.waiting() == 0, 10)
    incidents = desk.ledger.replica.of_type("incident")
    assert WITHOUT_MEMORY in {entry.body["code"] for _, entry in incidents}


def test_a_removed_member_is_nobody() -> None:
    office, tax = Contact("office", "o:1", b"office"), Contact("tax", "t:1", b"tax")
    moved = Contact("office", "o:2", b"another authority")
    known: list[Contact] = []
    directory = Directory([office, tax], lambda: known, Contact("desk", "d:1", b"desk"))
    assert {contact.member for contact in directory.contacts()} == {"desk", "office", "tax"}
    known.append(moved)
    assert {contact.member for contact in directory.contacts()} == {"desk", "office"}
    assert directory.contact("office") == moved
    with pytest.raises(ServiceUnavailableError):
        directory.contact("tax")


class Flood:
    """A ledger that sends more leaves than its checkpoint has."""

    def __init__(self, whole: RemoteTransport) -> None:
        self.append, self.head = whole.append, whole.head
        self.sent = 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        del start, end
        for _ in itertools.count():
            self.sent += 1
            assert self.sent < 10_000, "leaves without end were kept in memory"
            yield b"{}"


def test_leaves_without_end_are_not_kept(net: Network) -> None:
    services = net.services["police"]
    net.submit("audit", "incident", {"code": secrets.token_hex(4), "count": 1})
    flood = Flood(RemoteTransport(services.channels, lambda: "audit"))
    client = LedgerClient(
        NETWORK, net.file.policy, services.ledger.replica, flood, services.keys.node, dict, services.clock
    )
    with pytest.raises(LogError):
        client.sync()
    services.ledger.sync()
