"""Verifying a question: intent, receipt, certificate and grant, before a department or trustee acts on it.

signature → receipt (quorum) → local replay up to a head fetched now → certificate field by field
against the intent, its signer, its validity by this node's own clock
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.contract.records import Grant
from ledger.entries.certificate import certificate_digest, certificate_message
from ledger.entries.entry import Entry
from ledger.entries.entry import parse as parse_entry
from ledger.entries.times import parse_time
from ledger.errors import LedgerError
from ledger.formats.receipt import Receipt
from node.errors import RefusalError
from node.rpc.untrusted_json import read_object, read_texts
from node.services import Services, check_signature
from protocols.profiles import CLOCK_TOLERANCE_SECONDS, RENEWAL_LIMIT_SECONDS

RENEWABLE = ("not_before", "not_after")


@dataclass(frozen=True)
class Question:
    """What an office shows when it asks.

    Attributes:
        certificate: canonical JSON of the certificate, the newest renewal.
        signature: canonical JSON of the registrar's signature object over it.
        intent: leaf bytes of ``query.intent``.
        receipt: tlog-proof of the intent.
    """

    certificate: bytes
    signature: bytes
    intent: bytes
    receipt: bytes


@dataclass(frozen=True)
class VerifiedQuestion:
    """A question whose intent and certificate this node has verified itself."""

    certificate: dict[str, Any]
    entry: Entry


def verify_question(services: Services, peer: str, question: Question) -> VerifiedQuestion:
    """Verify a question up to its certificate, in the order of the module.

    Raises:
        RefusalError: with the code of the first check that fails.
        NodeError, LedgerError: the ledger is out of reach, its quorum missing or stale, or its history
        another.
    """
    services.restore_fence.require()
    try:
        entry = parse_entry(question.intent)
    except LedgerError as error:
        raise RefusalError("malformed", "the question's intent is no entry") from error
    certificate, value = read_object(question.certificate), read_texts(question.signature)
    if entry.type != "query.intent":
        raise RefusalError("malformed", "the question holds no intent")
    _verify_intent(services, question)
    accepted = services.view.intent(entry.id)
    if accepted is None or accepted.certificate != entry.body["certificate"]:
        raise RefusalError("void_entry", "this node's local replay does not know the intent as accepted")
    intended = entry.body["certificate"]
    if intended["office"] != peer:
        raise RefusalError(
            "not_the_office", "the intent is another office's: only the office that logged it may ask"
        )
    _verify_certificate(services, certificate, value, entry)
    return VerifiedQuestion(certificate, entry)


def _verify_intent(services: Services, question: Question) -> None:
    """Receipt, fresh head, local replay: the intent is accepted, and is exactly the entry shown."""
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


def _verify_certificate(
    services: Services, certificate: dict[str, Any], value: dict[str, str], entry: Entry
) -> None:
    """Certificate field by field against the intent, its signer, its validity by this node's clock."""
    view, intended = services.view, entry.body["certificate"]
    if certificate.keys() != intended.keys():
        raise RefusalError("certificate", "the certificate has other fields than the intent")
    for name in intended:
        if name not in RENEWABLE and certificate[name] != intended[name]:
            raise RefusalError("certificate", f"the certificate's {name} differs from the intent's")
    registrar = view.member(str(certificate["registrar"]))
    if registrar is None or not registrar.has("registrar"):
        raise RefusalError("certificate", "the certificate's signer is no registrar of this network now")
    check_signature(view, registrar.id, value, certificate_message(certificate))
    digest = certificate_digest(certificate)
    if digest != entry.body["digest"]:
        raise RefusalError("certificate", "the certificate is not the one the intent names")
    if view.certificate_revoked(digest):
        raise RefusalError("revoked", "the certificate was revoked")
    _verify_validity(services.clock(), certificate, entry)


def _verify_validity(now: int, certificate: dict[str, Any], entry: Entry) -> None:
    """Valid by this node's own clock, a renewal at most seven days after its intent."""
    if now < parse_time(certificate["not_before"]):  # the registrar has set it early by the tolerance
        raise RefusalError(
            "not_yet_valid", "the certificate is not valid yet by this node's clock: compare the clocks"
        )
    last = min(parse_time(certificate["not_after"]), parse_time(entry.time) + RENEWAL_LIMIT_SECONDS)
    if now > last + CLOCK_TOLERANCE_SECONDS:
        raise RefusalError(
            "expired", "the certificate has expired by this node's clock: ask the registrar to renew it"
        )


def check_grant(services: Services, grant: Grant | None) -> Grant:
    """A grant is approved now, by this node's replay and its own clock.

    Raises:
        RefusalError: ``grant``.
    """
    today = services.today()
    if grant is None or grant.status != "approved" or not grant.first <= today <= grant.last:
        raise RefusalError(
            "grant", "the grant is not active by this node's replay and clock: ask for a new one"
        )
    return grant
