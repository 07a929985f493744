"""The gRPC edge of a check's rounds at registrar, department and trustee: messages to values and back."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from ledger import canonical
from node.department.answer import Department
from node.department.own_publications import send_publication
from node.errors import RefusalError
from node.question import Question
from node.registrar.certify import CertificationRefusal, CertificationRequest, Registrar
from node.rpc.server import Peers
from node.rpc.untrusted_json import openings_from_wire, openings_to_wire, read_object, read_signature
from node.services import Services
from node.trustee.release import OpenRequest, Trustee
from protocols.check.certificate import Certificate, SignedCertificate, Terms
from protocols.errors import CertificateError
from protocols.psi import group
from protocols.wire import check_pb2, check_pb2_grpc

MAX_PERSONS = 1 << 16


class RegistrarEdge(check_pb2_grpc.RegistrarServicer):
    """Certify and renew."""

    def __init__(self, peers: Peers, registrar: Registrar) -> None:
        """Args: the role behind this edge."""
        self._peers = peers
        self._registrar = registrar

    def Certify(  # noqa: N802  gRPC names its methods
        self, request: check_pb2.CertifyRequest, context: grpc.ServicerContext
    ) -> check_pb2.CertifyResponse:
        """Round 1."""
        peer = self._peers.member(context)
        terms = _read_terms(request)
        if len(request.persons) > MAX_PERSONS or any(
            person.case_index >= len(request.cases) for person in request.persons
        ):
            raise RefusalError("malformed", "a person names a case outside the question")
        if len(set(request.cases)) != len(request.cases):
            raise RefusalError("malformed", "a case is named twice: its persons belong into one total")
        asked = [
            CertificationRequest(
                person.identifier, group.scalar_from_bytes(bytes(person.blind)), person.case_index
            )
            for person in request.persons
        ]
        outcome = self._registrar.certify(peer, terms, list(request.cases), asked)
        if isinstance(outcome, CertificationRefusal):
            return check_pb2.CertifyResponse(
                refusal=canonical.encode(outcome.document.to_json()),
                refusal_signature=canonical.encode(outcome.signature.to_json()),
                household_salt=outcome.salt,
            )
        return check_pb2.CertifyResponse(
            certificate=canonical.encode(outcome.certificate.to_json()),
            signature=canonical.encode(outcome.signature.to_json()),
            openings=openings_to_wire(outcome.openings, consents=True),
        )

    def Renew(  # noqa: N802  gRPC names its methods
        self, request: check_pb2.RenewRequest, context: grpc.ServicerContext
    ) -> check_pb2.RenewResponse:
        """A new validity for a certificate."""
        peer = self._peers.member(context)
        signature = read_signature(request.signature)
        try:
            certificate = Certificate.parse(read_object(request.certificate))
        except CertificateError as error:
            raise RefusalError("malformed", str(error)) from error
        renewed = self._registrar.renew(peer, SignedCertificate(certificate, signature))
        return check_pb2.RenewResponse(
            certificate=canonical.encode(renewed.certificate.to_json()),
            signature=canonical.encode(renewed.signature.to_json()),
        )


def _read_terms(request: check_pb2.CertifyRequest) -> Terms:
    """The terms of a request.

    Raises:
        RefusalError: ``malformed``.
    """
    try:
        return Terms.parse(read_object(request.terms), len(request.cases))
    except CertificateError as error:
        raise RefusalError("malformed", str(error)) from error


class DepartmentEdge(check_pb2_grpc.DepartmentServicer):
    """Answer and download."""

    def __init__(self, peers: Peers, services: Services, department: Department) -> None:
        """Args: the role behind this edge."""
        self._peers = peers
        self._services = services
        self._department = department

    def Answer(  # noqa: N802  gRPC names its methods
        self, request: check_pb2.AnswerRequest, context: grpc.ServicerContext
    ) -> check_pb2.AnswerResponse:
        """Round 2."""
        peer = self._peers.member(context)
        question = _read_question(request)
        elements = [bytes(element) for element in request.elements]
        answers = self._department.answer(
            peer, question, elements, bytes(request.elements_salt), list(request.datasets)
        )
        return check_pb2.AnswerResponse(
            answers=[
                check_pb2.AnswerResponse.Answer(
                    dataset=answer.dataset,
                    betas=answer.betas,
                    proof=answer.proof.to_bytes(),
                    salt=answer.salt,
                    signature=canonical.encode(answer.signature.to_json()),
                )
                for answer in answers
            ]
        )

    def Download(  # noqa: N802  gRPC names its methods
        self, request: check_pb2.DownloadRequest, context: grpc.ServicerContext
    ) -> Iterator[check_pb2.DownloadResponse]:
        """A whole publication, for offices and auditors."""
        peer = self._peers.member(context)
        self._services.ledger.sync()
        member = self._services.view.member(peer)
        if member is None or not (member.has("office") or member.has("auditor")):
            raise RefusalError("not_an_office", "publications are for offices and auditors")
        yield from send_publication(self._services, request.dataset, request.publication)


class TrusteeEdge(check_pb2_grpc.TrusteeServicer):
    """Open a total once."""

    def __init__(self, peers: Peers, trustee: Trustee) -> None:
        """Args: the role behind this edge."""
        self._peers = peers
        self._trustee = trustee

    def Open(  # noqa: N802  gRPC names its methods
        self, request: check_pb2.OpenRequest, context: grpc.ServicerContext
    ) -> check_pb2.OpenResponse:
        """Round 3."""
        peer = self._peers.member(context)
        question = _read_question(request)
        share = self._trustee.open(
            peer,
            OpenRequest(
                question,
                openings_from_wire(request.openings),
                request.case_index,
                bytes(request.evidence),
                bytes(request.list),
                bytes(request.list_signature),
            ),
        )
        return check_pb2.OpenResponse(share=share)


def _read_question(request: check_pb2.AnswerRequest | check_pb2.OpenRequest) -> Question:
    """The question that an office shows with its request, not verified yet."""
    return Question(
        bytes(request.certificate), bytes(request.signature), bytes(request.intent), bytes(request.receipt)
    )
