"""A dishonest office: the test opens the office's home and runs each step of a check itself.

It has everything the office has: keys, publications, its share of the sum key. It runs the honest steps of
the product and changes data between them; all other members are the running processes.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from keys.signing import SigningKey
from ledger import canonical
from node.case import Case
from node.config import read_configuration
from node.errors import NodeError
from node.member_keys import sign
from node.office import calls, inquiry, intent, total
from node.office.answers import ask_departments, look_up
from node.office.calls import SignedRefusal
from node.office.certification import certify
from node.office.check_state import Answers, Certification, HouseholdLines
from node.office.inquiry import Inquiry
from node.references import rule_datasets
from node.report.parts import ReportTotal
from node.rpc.status import raise_from_wire
from node.rules.ruleset import RuleSet
from protocols.check.terms import TermList, expected_terms, list_message
from protocols.psi import group
from protocols.wire import check_pb2, check_pb2_grpc
from tests.e2e.shared_network import RunningNetwork, twin_of


@dataclass
class AskedCheck:
    """A check as far as the dishonest office has taken it; what the stages have returned so far."""

    case: Case
    rules: RuleSet
    inquiry: Inquiry
    refusal: SignedRefusal | None = None
    certification: Certification | None = None
    answers: Answers = field(default_factory=Answers)
    lines: HouseholdLines = field(default_factory=HouseholdLines)


@dataclass
class Pack:
    """Data that is sent to the trustee; a test may change any of it.

    Attributes:
        evidence: answers, lines, proofs.
        document: the term list.
    """

    evidence: dict[str, Any]
    document: dict[str, Any]


class DishonestOffice:
    """The office, step by step."""

    def __init__(self, running_network: RunningNetwork, scratch: Path) -> None:
        self.running_network = running_network
        self.member = twin_of(read_configuration(running_network.home("bureau").root), scratch)
        self.services = self.member.services

    def close(self) -> None:
        """Close channels and database."""
        self.member.ledger_side.channels.close()
        self.member.database.dispose()

    def begin(self, case: Case) -> AskedCheck:
        """A new question about a case; nothing has left yet."""
        self.services.ledger.sync()
        blinds, salt = [group.random_scalar() for _ in case.household], secrets.token_bytes(32)
        application = inquiry._application_digest(salt, case).hex()
        current = Inquiry(secrets.token_hex(16), case.case, blinds, salt.hex(), application)
        inquiry.save(self.services, current)
        return AskedCheck(case, self.running_network.scenario.rules[case.rules], current)

    def certified(self, case: Case) -> AskedCheck:
        """With the registrar's certificate."""
        finished = self.begin(case)
        self.certify(finished)
        return finished

    def certify(self, finished: AskedCheck) -> None:
        """Ask the registrar for a certificate."""
        outcome = certify(self.services, finished.case, finished.rules, finished.inquiry)
        if isinstance(outcome, SignedRefusal):
            finished.refusal = outcome
        else:
            finished.certification = outcome

    def logged(self, case: Case) -> AskedCheck:
        """With its intent final on the ledger."""
        finished = self.certified(case)
        assert finished.refusal is None
        self.log_intent(finished)
        return finished

    def answered(self, case: Case) -> AskedCheck:
        """With every department's answer, looked up."""
        finished = self.logged(case)
        finished.answers = ask_departments(self.services, finished.inquiry)
        assert finished.answers.gaps == {}
        assert finished.certification is not None
        whole = Certification(finished.certification.positions, {})
        finished.lines = look_up(
            self.services, case, finished.rules, finished.inquiry, whole, finished.answers
        )
        return finished

    def log_intent(self, finished: AskedCheck) -> None:
        """Bring its intent onto the ledger, composed by the honest code."""
        intent.log_intent(self.services, finished.inquiry)

    def intent_leaf(self, finished: AskedCheck) -> bytes:
        """An honest intent, not logged."""
        return intent._compose(self.services, finished.inquiry)

    # Departments.

    def question(self, finished: AskedCheck, owner: str = "revenue") -> check_pb2.AnswerRequest:
        """The honest request to a department, about all its datasets."""
        current = finished.inquiry
        opened = current.openings
        leaf, receipt = self.services.ledger.replica_receipt(current.query)
        named = [item.dataset for item in current.certificate.datasets]
        return check_pb2.AnswerRequest(
            certificate=canonical.encode(current.certificate.to_json()),
            signature=canonical.encode(current.signature.to_json()),
            intent=leaf,
            receipt=receipt,
            elements=opened.elements,
            elements_salt=opened.elements_salt,
            datasets=[dataset for dataset in named if dataset.startswith(f"{owner}.")],
        )

    def send(self, request: check_pb2.AnswerRequest, owner: str = "revenue") -> check_pb2.AnswerResponse:
        """Ask a department whatever the request says."""
        stub = check_pb2_grpc.DepartmentStub(self.services.channels.to(owner))
        answered: check_pb2.AnswerResponse = call(stub.Answer, request)
        return answered

    def recorded(self, query: str, dataset: str, result: str) -> None:
        """The ledger gets this ``query.answer``."""

        def there(view: Any) -> bool:
            answer = view.answer(query, dataset)
            return answer is not None and answer.result == result

        assert self.services.ledger.wait_for(there, 20), f"no query.answer {result}"

    def no_answer(self, query: str) -> None:
        """The ledger has no ``query.answer`` to this question."""
        self.services.ledger.sync()
        assert self.services.view.answers(query) == {}

    # Ledger.

    def intent_body(self, finished: AskedCheck) -> dict[str, Any]:
        """Body of an honest intent, with free slots, to be changed and logged by hand."""
        body = canonical.decode(self.intent_leaf(finished))
        assert isinstance(body, dict)
        found: Any = body["body"]
        return dict(found)

    def log(self, finished: AskedCheck, body: dict[str, Any]) -> None:
        """Log an intent of this body."""
        self.services.ledger.submit("query.intent", finished.inquiry.query, body)

    # Trustee.

    def pack(self, finished: AskedCheck) -> Pack:
        """The honest evidence and list."""
        rules = rule_datasets(self.services.view, finished.inquiry.certificate.rules)
        found = finished.lines.evidence
        terms = expected_terms(list(finished.inquiry.openings.real), rules, found.lines)
        document = TermList.of(finished.inquiry.certificate, 0, terms).to_json()
        deciding = {*rules.income, *rules.deduct, *rules.exclude}
        evidence = found.for_trustee(finished.answers.by_dataset, deciding)
        value: Any = canonical.decode(evidence, max_bytes=1 << 20, max_depth=16)
        return Pack(value, document)

    def open(self, finished: AskedCheck, pack: Pack | None) -> bytes:
        """Ask the trustee, the list signed by the office whatever it says."""
        if pack is None:
            return calls.open_total(self.services, finished.inquiry, "court", None)
        return self.open_signed(finished, pack, self.services.keys.node)

    def open_signed(self, finished: AskedCheck, pack: Pack, key: SigningKey) -> bytes:
        """Ask the trustee with a list that this key signed."""
        signed = sign(key, list_message(pack.document))
        evidence, document = canonical.encode(pack.evidence), canonical.encode(pack.document)
        request = calls.TotalRequest(evidence, document, signed)
        return calls.open_total(self.services, finished.inquiry, "court", request)

    def total(self, finished: AskedCheck) -> ReportTotal:
        """The total, opened by the honest code."""
        return total.open_total(self.services, finished.inquiry, finished.answers, finished.lines)

    def nothing_released(self, finished: AskedCheck) -> None:
        """The ledger has no ``share.release`` for this question."""
        self.services.ledger.sync()
        assert self.services.view.release(finished.inquiry.query, 0, "court") is None

    def element(self, finished: AskedCheck, member: int) -> int:
        """Element position of a household member."""
        assert finished.certification is not None
        return finished.certification.positions[member]


def call(method: Callable[..., Any], request: Any) -> Any:
    """One call, its refusal as an error of ours."""
    try:
        return method(request, timeout=30)
    except grpc.RpcError as error:
        raise_from_wire(error, "the member asked")


def canonical_copy(value: Any) -> Any:
    """A deep copy through canonical JSON."""
    return canonical.decode(canonical.encode(value), max_bytes=1 << 20, max_depth=16)


def with_elements(request: check_pb2.AnswerRequest, elements: Sequence[bytes]) -> check_pb2.AnswerRequest:
    """The same request with other elements."""
    changed = check_pb2.AnswerRequest()
    changed.CopyFrom(request)
    del changed.elements[:]
    changed.elements.extend(elements)
    return changed


def with_certificate(request: check_pb2.AnswerRequest, **fields: Any) -> check_pb2.AnswerRequest:
    """The same request with fields of the certificate changed."""
    certificate = canonical.decode(bytes(request.certificate))
    assert isinstance(certificate, dict)
    changed = check_pb2.AnswerRequest()
    changed.CopyFrom(request)
    changed.certificate = canonical.encode({**certificate, **fields})
    return changed


@contextlib.contextmanager
def refused(*codes: str) -> Iterator[None]:
    """The block is refused with one of these codes."""
    with pytest.raises(NodeError) as caught:
        yield
    assert caught.value.code in codes, f"{caught.value.code} is not among {codes}: {caught.value}"
