"""The office's calls to the other roles, each one round of the protocol: values to messages and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger import canonical
from ledger.contract.view import View
from node.case import Case
from node.errors import RefusalError, ServiceUnavailableError
from node.office.inquiry import Inquiry
from node.rpc.status import calling
from node.rpc.untrusted_json import openings_from_wire, openings_to_wire, read_object, read_signature
from node.services import Services, check_signature
from protocols.check.answer import Answer
from protocols.check.certificate import Certificate, RefusalDocument, Terms
from protocols.check.json_form import SignatureValue
from protocols.check.openings import CertifiedQuestion
from protocols.errors import GroupError, ProofError
from protocols.psi import group, voprf
from protocols.wire import check_pb2, check_pb2_grpc

CASE_INDEX = 0
"""An office asks about one case at a time."""
SOURCE_SECONDS = 5.0
"""A source whose node does not answer in this time is not covered."""
REGISTRAR_SECONDS = 30.0
TRUSTEE_SECONDS = 60.0


@dataclass(frozen=True)
class SignedRefusal:
    """The registrar's refusal of a household.

    Attributes:
        document, signature: as the registrar signed it.
        salt: opens its commitment to the household; goes into the openings, never into a report.
    """

    document: RefusalDocument
    signature: SignatureValue
    salt: bytes

    @property
    def code(self) -> str:
        """Why no question may leave."""
        return self.document.code


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
    services: Services, terms: Terms, case: Case, blinds: list[int]
) -> CertifiedQuestion | SignedRefusal:
    """Round 1: ask the registrar for a certificate.

    Raises:
        ServiceUnavailableError, RefusalError: the registrar is out of reach, or refuses the request itself.
        CertificateError: its answer is malformed.
    """
    registrar = terms.registrar
    request = check_pb2.CertifyRequest(
        terms=canonical.encode(terms.to_json()),
        cases=[case.case],
        persons=[
            check_pb2.CertifyRequest.Person(
                identifier=person.id, blind=group.scalar_to_bytes(blind), case_index=CASE_INDEX
            )
            for person, blind in zip(case.household, blinds, strict=True)
        ],
    )
    stub = check_pb2_grpc.RegistrarStub(services.channels.to(registrar))
    with calling(registrar):
        response = stub.Certify(request, timeout=REGISTRAR_SECONDS)
    if response.refusal:
        refusal = RefusalDocument.parse(read_object(response.refusal))
        signature = read_signature(response.refusal_signature)
        check_signature(services.view, registrar, signature, refusal.message)
        return SignedRefusal(refusal, signature, bytes(response.household_salt))
    return CertifiedQuestion(
        Certificate.parse(read_object(response.certificate)),
        read_signature(response.signature),
        openings_from_wire(response.openings),
    )


def renew(services: Services, certified: CertifiedQuestion) -> CertifiedQuestion:
    """Ask the registrar for a new validity of a certificate.

    Raises:
        ServiceUnavailableError, RefusalError: the registrar is out of reach or refuses.
        CertificateError: its answer is malformed.
    """
    registrar = certified.certificate.registrar
    request = check_pb2.RenewRequest(
        certificate=canonical.encode(certified.certificate.to_json()),
        signature=canonical.encode(certified.signature.to_json()),
    )
    stub = check_pb2_grpc.RegistrarStub(services.channels.to(registrar))
    with calling(registrar):
        response = stub.Renew(request, timeout=REGISTRAR_SECONDS)
    return replace(
        certified,
        certificate=Certificate.parse(read_object(response.certificate)),
        signature=read_signature(response.signature),
    )


def ask(
    services: Services, owner: str, current: Inquiry, leaf: bytes, receipt: bytes, datasets: list[str]
) -> list[Answer]:
    """Round 2: ask one department for its datasets.

    Raises:
        ServiceUnavailableError: it does not answer in time.
        RefusalError: it refuses, or answers with something malformed.
    """
    openings = current.openings
    request = check_pb2.AnswerRequest(
        certificate=canonical.encode(current.certificate.to_json()),
        signature=canonical.encode(current.signature.to_json()),
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
                read_signature(item.signature),
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
    """What the office sends a trustee to open a total.

    Attributes:
        evidence: canonical JSON of answers, lines and proofs of the deciding datasets.
        term_list: canonical JSON of the term list.
        signature: the office's signature over it.
    """

    evidence: bytes
    term_list: bytes
    signature: SignatureValue


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
        certificate=canonical.encode(current.certificate.to_json()),
        signature=canonical.encode(current.signature.to_json()),
        intent=leaf,
        receipt=receipt,
        openings=openings_to_wire(current.openings),
        case_index=CASE_INDEX,
        evidence=b"" if total is None else total.evidence,
        list=b"" if total is None else total.term_list,
        list_signature=b"" if total is None else canonical.encode(total.signature.to_json()),
    )
    stub = check_pb2_grpc.TrusteeStub(services.channels.to(trustee))
    with calling(trustee):
        response = stub.Open(request, timeout=TRUSTEE_SECONDS)
    return bytes(response.share)
