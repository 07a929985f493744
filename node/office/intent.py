"""The intent of a check is recorded on the ledger; no question is sent before it is final there.

The leaf is stored before it is sent, and sent again as the same bytes: a killed process or a lost answer
never takes a second slot. It is composed again only where the ledger has certainly not taken it (its time was
refused, or another question took a slot).
"""

from __future__ import annotations

import secrets

from ledger.entries import bodies
from ledger.entries.entry import Signature, certificate_digest
from ledger.entries.times import period_label
from ledger.fault_points import Point
from node.errors import RefusalError, ServiceUnavailableError
from node.member_keys import sign
from node.office import certification, inquiry
from node.office.inquiry import Inquiry, InquiryState, OperatorSignature
from node.services import Services
from protocols.encoding import commit, fields

TRIES = 5
COMPOSE_AGAIN = ("slot_taken", "clock", "slot_period")
ALREADY_THERE = "id_used"


def log_intent(services: Services, current: Inquiry) -> None:
    """Bring the intent onto the ledger, and this node's replica up to it.

    Raises:
        RefusalError: the contract refuses it; the inquiry is abandoned and the next check begins a new one.
        ServiceUnavailableError: the ledger is out of reach; started again, the check continues with the same
            intent.
    """
    for attempt in range(TRIES):
        services.ledger.sync()
        if services.view.intent(current.query) is not None:
            break
        if not current.intent:
            current.intent = _compose(services, current).hex()
            inquiry.save(services, current)
            services.observe(Point.INTENT_COMPOSED)
        try:
            with services.timings.part("ledger"):
                services.ledger.append(bytes.fromhex(current.intent))
            services.observe(Point.INTENT_FINAL)
        except RefusalError as refusal:
            services.ledger.sync()
            if refusal.code == ALREADY_THERE and services.view.intent(current.query) is not None:
                continue
            current.intent = ""
            if refusal.code not in COMPOSE_AGAIN or attempt == TRIES - 1:
                current.state = InquiryState.ABANDONED
                inquiry.save(services, current)
                raise
    services.ledger.sync()
    if services.view.intent(current.query) is None:
        raise ServiceUnavailableError("the intent is not on the ledger yet: begin the check again")
    current.state = InquiryState.LOGGED
    inquiry.save(services, current)
    services.observe(Point.INTENT_LOGGED)


def _compose(services: Services, current: Inquiry) -> bytes:
    """Leaf of ``query.intent``: certificate, its signature and digest, operator commitment, slots."""
    certificate, now = current.certificate, services.ledger.now_text()
    grants = certification.certified_grants(services.view, certificate)
    slots = certification.free_slots(
        services.view, grants, certificate.count, lambda grant: period_label(now, grant.period)
    )
    document = certificate.to_json()
    signed = sign(services.keys.signing("operator-a"), bytes.fromhex(certificate_digest(document)))
    salt = secrets.token_bytes(32)
    current.operator = OperatorSignature(salt, signed)
    committed = commit(salt, fields(signed.key.encode(), signed.raw)).hex()
    registrar = Signature(**current.signature.to_json())
    body = bodies.query_intent(document, registrar, committed, slots)
    return services.ledger.compose("query.intent", current.query, body)
