"""The office's calls to the other roles, each one round of the protocol: bytes on the wire in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger import canonical
from ledger.contract.view import View
from node.case import Case
from node.errors import RefusalError, ServiceUnavailableError
from node.office.inquiry import Inquiry
from node.rpc.openings import openings_from_wire, openings_to_wire
from node.rpc.status import calling
from node.rpc.untrusted_json import read_object, read_texts
from node.services import Services, check_signature
from protocols.check.answer import Answer
from protocols.check.certificate import Openings, refusal_message
from protocols.errors import GroupError, ProofError
from protocols.psi import group, voprf
from protocols.wire import check_pb2, check_pb2_grpc

SOURCE_SECONDS = 5.0
"""A source whose node does not answer in this time is not covered."""
REGISTRAR_SECONDS = 30.0
TRUSTEE_SECONDS = 60.0


@dataclass(frozen=True)
class SignedRefusal:
    """The registrar's refusal of a household.

    Attributes:
        document, signature: as the registrar signed it.
        salt: opens its commitment of the household; goes into the openings, never into a report.
    """

    document: dict[str, Any]
    signature: dict[str, str]
    salt: bytes

    @property
    def code(self) -> str:
        """Why no question may leave."""
        return str(self.document["code"])


@dataclass(frozen=True)
class ReceivedCertificate:
    """A certificate as received."""

    certificate: dict[str, Any]
    signature: dict[str, str]
    openings: Openings


def registrar_of(view: View) -> str:
    """The network's registrar.

    Raises:
        ServiceUnavailableError: the ledger names none.
    """
    found = view.members("registrar")
    if not found:
        raise ServiceUnavailableError("no member has the role registrar now: admit one")
    return found[0].id


def certify(
    services: Services, terms: dict[str, Any], case: Case, blinds: list[int]
) -> ReceivedCertificate | SignedRefusal:
    """Round 1: ask the registrar for a certificate."""
    registrar = str(terms["registrar"])
    request = check_pb2.CertifyRequest(
        terms=canonical.encode(terms),
        cases=[case.case],
        persons=[
            check_pb2.CertifyRequest.Person(
                identifier=person.id, blind=group.scalar_to_bytes(blind), case_index=0
            )
            for person, blind in zip(case.household, blinds, strict=True)
        ],
    )
    stub = check_pb2_grpc.RegistrarStub(services.channels.to(registrar))
    with calling(registrar):
        response = stub.Certify(request, timeout=REGISTRAR_SECONDS)
    if response.refusal:
        document, signed = read_object(response.refusal), read_texts(response.refusal_signature)
        check_signature(services.view, registrar, signed, refusal_message(document))
        return SignedRefusal(document, signed, bytes(response.household_salt))
    return ReceivedCertificate(
        read_object(response.certificate),
        read_texts(response.signature),
        openings_from_wire(response.openings),
    )


def renew(services: Services, certificate: dict[str, Any], signed: dict[str, str]) -> ReceivedCertificate:
    """A new validity for a certificate."""
    registrar = str(certificate["registrar"])
    request = check_pb2.RenewRequest(
        certificate=canonical.encode(certificate), signature=canonical.encode(signed)
    )
    stub = check_pb2_grpc.RegistrarStub(services.channels.to(registrar))
    with calling(registrar):
        response = stub.Renew(request, timeout=REGISTRAR_SECONDS)
    empty = Openings((), b"", (), b"", (), b"", (), b"")
    return ReceivedCertificate(read_object(response.certificate), read_texts(response.signature), empty)


def ask(
    services: Services, owner: str, current: Inquiry, leaf: bytes, receipt: bytes, datasets: list[str]
) -> list[Answer]:
    """Round 2: ask one department for its datasets.

    Raises:
        ServiceUnavailableError: it does not answer in time.
        RefusalError: it refuses, or answers with something malformed.
    """
    openings = current.opened()
    request = check_pb2.AnswerRequest(
        certificate=canonical.encode(current.certificate),
        signature=canonical.encode(current.signature),
        intent=leaf,
        receipt=receipt,
        elements=openings.elements,
        elements_salt=openings.elements_salt,
        datasets=datasets,
    )
    stub = check_pb2_grpc.DepartmentStub(services.channels.to(owner))
    with calling(owner):
        response = stub.Answer(request, timeout=SOURCE_SECONDS, wait_for_ready=True)
    try:
        answers = [
            Answer(
                item.dataset,
                tuple(item.betas),
                voprf.Proof.from_bytes(bytes(item.proof)),
                bytes(item.salt),
                read_texts(item.signature),
            )
            for item in response.answers
        ]
    except (ProofError, GroupError) as error:
        raise RefusalError("malformed", f"{owner}: its answer is malformed") from error
    if sorted(answer.dataset for answer in answers) != sorted(datasets):
        raise RefusalError("malformed", f"{owner}: it answered for other datasets than were asked")
    return answers


@dataclass(frozen=True)
class TotalRequest:
    """What the office brings to a trustee.

    Attributes:
        evidence: canonical JSON of answers, lines and proofs of the deciding datasets.
        document: the term list.
        signature: the office's signature over it.
    """

    evidence: bytes
    document: dict[str, Any]
    signature: dict[str, str]


def trustees_of(view: View) -> tuple[str, ...]:
    """Trustees that hold a share.

    Raises:
        ServiceUnavailableError: the ledger holds no sum key yet.
    """
    recorded = view.sumkey()
    if recorded is None:
        raise ServiceUnavailableError("the ledger holds no sum key yet: run the ceremony with `hedui sumkey`")
    return recorded.trustees


def open_total(services: Services, current: Inquiry, trustee: str, total: TotalRequest | None) -> bytes:
    """Round 3: ask one trustee for its share, or, without a list, to close the case index.

    Raises:
        ServiceUnavailableError, RefusalError: the trustee is out of reach or refuses.
    """
    leaf, receipt = services.ledger.replica_receipt(current.query)
    request = check_pb2.OpenRequest(
        certificate=canonical.encode(current.certificate),
        signature=canonical.encode(current.signature),
        intent=leaf,
        receipt=receipt,
        openings=openings_to_wire(current.opened()),
        case_index=0,
        evidence=b"" if total is None else total.evidence,
        list=b"" if total is None else canonical.encode(total.document),
        list_signature=b"" if total is None else canonical.encode(total.signature),
    )
    stub = check_pb2_grpc.TrusteeStub(services.channels.to(trustee))
    with calling(trustee):
        response = stub.Open(request, timeout=TRUSTEE_SECONDS)
    return bytes(response.share)
