"""Verifying a question: its intent, receipt and certificate, before a department or trustee acts on it.

receipt (signed by the log, cosigned by a quorum) → local replay up to a head fetched now: the intent is
accepted → certificate field by field against the intent → its signer → its validity by this node's clock

The grants are checked separately, with ``check_grant``: a department checks the grant of each dataset that it
answers for, and the trustee those of every dataset in the certificate.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.contract.records import Grant, Intent
from ledger.entries.entry import Entry, certificate_digest, certificate_message
from ledger.entries.entry import parse as parse_entry
from ledger.entries.times import parse_time
from ledger.errors import LedgerError
from ledger.formats.receipt import Receipt
from node.errors import RefusalError
from node.rpc.untrusted_json import read_object, read_signature
from node.services import Services, check_signature
from protocols.check.certificate import Certificate, SignedCertificate, first_difference
from protocols.errors import CertificateError
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS


@dataclass(frozen=True)
class Question:
    """A question as an office sends it, nothing of it verified.

    Attributes:
        certificate: canonical JSON of the certificate, the newest renewal.
        signature: canonical JSON of the registrar's signature object over it.
        intent: leaf bytes of ``query.intent``.
        receipt: receipt of the intent (a tlog-proof).
    """

    certificate: bytes
    signature: bytes
    intent: bytes
    receipt: bytes


@dataclass(frozen=True)
class VerifiedQuestion:
    """A question that this node has verified itself.

    Attributes:
        certificate: the newest renewal.
        intent: the accepted intent, from this node's local replay of the ledger.
    """

    certificate: Certificate
    intent: Intent


def verify_question(services: Services, peer: str, question: Question) -> VerifiedQuestion:
    """Verify a question up to its certificate, in the order of the module.

    Raises:
        RefusalError: with the code of the first check that fails.
        NodeError, LedgerError: the ledger is out of reach, its quorum is missing or stale, or it shows
            another history than before.
    """
    services.restore_fence.require()
    try:
        entry = parse_entry(question.intent)
    except LedgerError as error:
        raise RefusalError("malformed", "the question's intent is no entry") from error
    document, signature = read_object(question.certificate), read_signature(question.signature)
    if entry.type != "query.intent":
        raise RefusalError("malformed", "the question holds no intent")
    _verify_intent(services, question)
    intent = services.view.intent(entry.id)
    if intent is None or intent.certificate != entry.body["certificate"]:
        raise RefusalError("void_entry", "the intent is not accepted in this node's replay of the ledger")
    if intent.office != peer:
        raise RefusalError(
            "not_the_office", "the intent is another office's: only the office that logged it may ask"
        )
    try:
        signed = SignedCertificate(Certificate.parse(document), signature)
    except CertificateError as error:
        raise RefusalError(error.code, str(error)) from error
    _verify_certificate(services, signed, intent, entry)
    return VerifiedQuestion(signed.certificate, intent)


def _verify_intent(services: Services, question: Question) -> None:
    """Receipt, fresh head, local replay: the intent is accepted, and is exactly the entry that was sent."""
    ledger = services.ledger
    try:
        receipt = Receipt.parse(question.receipt)
        receipt.verify(ledger.policy, question.intent)
    except LedgerError as error:
        raise RefusalError(
            "receipt", "the intent's receipt does not verify under this network's policy"
        ) from error
    with services.timings.part("ledger"):
        ledger.fresh_head()
    ledger.compare(receipt.checkpoint_note)
    ledger.require_accepted(receipt.index, question.intent)


def _verify_certificate(services: Services, signed: SignedCertificate, intent: Intent, entry: Entry) -> None:
    """Certificate field by field against the intent, its signer, its validity by this node's clock."""
    view, certificate = services.view, signed.certificate
    differing = first_difference(certificate, Certificate.parse(intent.certificate))
    if differing is not None:
        raise RefusalError("certificate", f"the certificate's {differing} differs from the intent's")
    registrar = view.member(certificate.registrar)
    if registrar is None or not registrar.has("registrar"):
        raise RefusalError("certificate", "the certificate's signer is no registrar of this network now")
    document = certificate.to_json()
    check_signature(view, registrar.id, signed.signature, certificate_message(document))
    digest = certificate_digest(document)
    if digest != intent.digest:
        raise RefusalError("certificate", "the certificate is not the one the intent names")
    if view.certificate_revoked(digest):
        raise RefusalError("revoked", "the certificate was revoked")
    _verify_validity(services.clock(), certificate, entry)


def _verify_validity(now: int, certificate: Certificate, entry: Entry) -> None:
    """Valid by this node's own clock; a renewal counts until seven days after its intent."""
    if now < parse_time(certificate.not_before):  # the registrar has set it early by the tolerance
        raise RefusalError(
            "not_yet_valid", "the certificate is not valid yet by this node's clock: compare the clocks"
        )
    last = min(parse_time(certificate.not_after), parse_time(entry.time) + RENEWAL_LIMIT_SECONDS)
    if now > last + CLOCK_TOLERANCE_SECONDS:
        raise RefusalError(
            "expired", "the certificate has expired by this node's clock: ask the registrar to renew it"
        )


def check_grant(services: Services, grant: Grant | None) -> Grant:
    """Check that a grant is approved now, by this node's replay and its own clock.

    Raises:
        RefusalError: ``grant``.
    """
    today = services.today()
    if grant is None or grant.status != "approved" or not grant.first <= today <= grant.last:
        raise RefusalError(
            "grant", "the grant is not active by this node's replay and clock: ask for a new one"
        )
    return grant
