"""A dishonest office: the test opens the office's home and runs each step of a check itself.

It has everything the office has: keys, publications, its share of the sum key. It runs the honest steps of
the product and changes data between them; all other members are the running processes.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from keys.signing import SigningKey
from ledger import canonical
from node.case import Case
from node.config import read_configuration
from node.errors import NodeError
from node.member_keys import signature
from node.office import calls, inquiry, intent, total
from node.office.check import Office
from node.office.check_state import CheckState, Total
from node.office.inquiry import Inquiry
from node.references import rule_datasets
from node.rpc.status import raise_from_wire
from protocols.check.terms import expected_terms, list_document, list_message
from protocols.psi import group
from protocols.wire import check_pb2, check_pb2_grpc
from tests.e2e.shared_network import RunningNetwork, twin_of


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
        self.office = Office(self.services)

    def close(self) -> None:
        """Close channels and database."""
        self.member.ledger_side.channels.close()
        self.member.database.dispose()

    def begin(self, case: Case) -> CheckState:
        """A new question about a case; nothing has left yet."""
        self.services.ledger.sync()
        blinds, salt = [group.random_scalar() for _ in case.household], secrets.token_bytes(32)
        application = inquiry._application_digest(salt, case).hex()
        current = Inquiry(secrets.token_hex(16), case.case, blinds, salt.hex(), application)
        inquiry.save(self.services, current)
        return CheckState(case, self.running_network.scenario.rules[case.rules], current)

    def certified(self, case: Case) -> CheckState:
        """With the registrar's certificate."""
        finished = self.begin(case)
        self.office._certify(finished)
        return finished

    def logged(self, case: Case) -> CheckState:
        """With its intent final on the ledger."""
        finished = self.certified(case)
        assert finished.refusal is None
        self.log_intent(finished)
        return finished

    def answered(self, case: Case) -> CheckState:
        """With every department's answer, looked up."""
        finished = self.logged(case)
        assert self.office._ask(finished) == {}
        self.office._look_up(finished, {})
        return finished

    def log_intent(self, finished: CheckState) -> None:
        """Bring its intent onto the ledger, composed by the honest code."""
        intent.log_intent(self.services, finished.inquiry)

    def intent_leaf(self, finished: CheckState) -> bytes:
        """An honest intent, not logged."""
        return intent._compose(self.services, finished.inquiry)

    # Departments.

    def question(self, finished: CheckState, owner: str = "revenue") -> check_pb2.AnswerRequest:
        """The honest request to a department, about all its datasets."""
        current = finished.inquiry
        opened = current.opened()
        leaf, receipt = self.services.ledger.replica_receipt(current.query)
        named = [item["dataset"] for item in current.certificate["datasets"]]
        return check_pb2.AnswerRequest(
            certificate=canonical.encode(current.certificate),
            signature=canonical.encode(current.signature),
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

    def intent_body(self, finished: CheckState) -> dict[str, Any]:
        """Body of an honest intent, with free slots, to be changed and logged by hand."""
        body = canonical.decode(self.intent_leaf(finished))
        assert isinstance(body, dict)
        found: Any = body["body"]
        return dict(found)

    def log(self, finished: CheckState, body: dict[str, Any]) -> None:
        """Log an intent of this body."""
        self.services.ledger.submit("query.intent", finished.inquiry.query, body)

    # Trustee.

    def pack(self, finished: CheckState) -> Pack:
        """The honest evidence and list."""
        rules = rule_datasets(self.services.view, finished.inquiry.certificate["rules"])
        terms = expected_terms(list(finished.inquiry.opened().real), rules, finished.evidence.lines)
        document = list_document(finished.inquiry.certificate, 0, terms)
        deciding = {*rules.income, *rules.deduct, *rules.exclude}
        evidence = finished.evidence.for_trustee(finished.answers, deciding)
        value: Any = canonical.decode(evidence, max_bytes=1 << 20, max_depth=16)
        return Pack(value, canonical_copy(document))

    def open(self, finished: CheckState, pack: Pack | None) -> bytes:
        """Ask the trustee, the list signed by the office whatever it says."""
        if pack is None:
            return calls.open_total(self.services, finished.inquiry, "court", None)
        return self.open_signed(finished, pack, self.services.keys.node)

    def open_signed(self, finished: CheckState, pack: Pack, key: SigningKey) -> bytes:
        """Ask the trustee with a list that this key signed."""
        signed = signature(key, list_message(pack.document))
        request = calls.TotalRequest(canonical.encode(pack.evidence), pack.document, signed)
        return calls.open_total(self.services, finished.inquiry, "court", request)

    def total(self, finished: CheckState) -> Total:
        """The total, opened by the honest code."""
        return total.open_total(self.services, finished)

    def nothing_released(self, finished: CheckState) -> None:
        """The ledger has no ``share.release`` for this question."""
        self.services.ledger.sync()
        assert self.services.view.release(finished.inquiry.query, 0, "court") is None

    def element(self, finished: CheckState, member: int) -> int:
        """Element position of a household member."""
        return finished.positions[member]


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
