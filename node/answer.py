"""The answerer's side of a check, top to bottom: what a department verifies before it touches its key.

    peer → signature → receipt (quorum) → own replay up to a head fetched now → own clock against grant and
    certificate → certificate field by field → elements → β = k·α with one DLEQ → receipt, journal, outbox

Nothing is computed for a question whose intent this node has not verified on the ledger by its own replay; a
node that was put back from a backup answers nothing that it may have answered before (``node.memory``). A
refusal leaves a record too: ``query.answer`` with ``refused:<code>`` where the intent is valid and names
the dataset, else a line in the journal that the hourly incident counts. ``verify_question`` is the trustee's
check as well.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from keys.errors import KeysError
from ledger.certificate import certificate_digest, certificate_message
from ledger.entry import Entry
from ledger.entry import parse as parse_entry
from ledger.errors import LedgerError
from ledger.points import Point
from ledger.proof import Receipt
from ledger.records import Grant
from node.documents import read_object, read_texts
from node.errors import NodeError, Refusal, StoreError
from node.identity import signature
from node.published import open_secret
from node.services import Services, check_signature, instant
from node.store import tables
from node.store.database import note, put
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest
from protocols.check.certificate import check_elements
from protocols.errors import ProtocolError
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
class Verified:
    """A question whose intent and certificate this node has verified itself."""

    certificate: dict[str, Any]
    entry: Entry


def verify_question(services: Services, peer: str, question: Question) -> Verified:
    """Verify a question up to its certificate, in the order of the module.

    Raises:
        Refusal: with the code of the first check that fails.
        NodeError, LedgerError: the ledger is out of reach, its quorum missing or stale, or its history
        another.
    """
    services.memory.require()
    try:
        entry = parse_entry(question.intent)
    except LedgerError as error:
        raise Refusal("malformed", "the question's intent is no entry") from error
    certificate, value = read_object(question.certificate), read_texts(question.signature)
    if entry.type != "query.intent":
        raise Refusal("malformed", "the question holds no intent")
    _verify_intent(services, question)
    accepted = services.view.intent(entry.id)
    if accepted is None or accepted.certificate != entry.body["certificate"]:
        raise Refusal("void_entry", "this node's own replay does not know the intent as accepted")
    intended = entry.body["certificate"]
    if intended["office"] != peer:
        raise Refusal(
            "not_the_office", "the intent is another office's: only the office that logged it may ask"
        )
    _verify_certificate(services, certificate, value, entry)
    return Verified(certificate, entry)


def _verify_intent(services: Services, question: Question) -> None:
    """Receipt, fresh head, own replay: the intent is accepted, and is exactly the entry shown."""
    ledger = services.ledger
    try:
        receipt = Receipt.parse(question.receipt)
        receipt.verify(ledger.policy, question.intent)
    except LedgerError as error:
        raise Refusal(
            "receipt", "the intent's receipt does not verify under this network's policy"
        ) from error
    with services.stopwatch.part("ledger"):
        ledger.fresh_head()
    ledger.compare(receipt.checkpoint_note)
    ledger.require_accepted(receipt.index, question.intent)


def _verify_certificate(
    services: Services, certificate: dict[str, Any], value: dict[str, str], entry: Entry
) -> None:
    """Certificate field by field against the intent, its signer, its validity by this node's clock."""
    view, intended = services.view, entry.body["certificate"]
    if certificate.keys() != intended.keys():
        raise Refusal("certificate", "the certificate has other fields than the intent")
    for name in intended:
        if name not in RENEWABLE and certificate[name] != intended[name]:
            raise Refusal("certificate", f"the certificate's {name} differs from the intent's")
    registrar = view.member(str(certificate["registrar"]))
    if registrar is None or not registrar.has("registrar"):
        raise Refusal("certificate", "the certificate's signer is no registrar of this network now")
    check_signature(view, registrar.id, value, certificate_message(certificate))
    digest = certificate_digest(certificate)
    if digest != entry.body["digest"]:
        raise Refusal("certificate", "the certificate is not the one the intent names")
    if view.certificate_revoked(digest):
        raise Refusal("revoked", "the certificate was revoked")
    _verify_validity(services.clock(), certificate, entry)


def _verify_validity(now: int, certificate: dict[str, Any], entry: Entry) -> None:
    """Valid by this node's own clock, a renewal at most seven days after its intent."""
    if now < instant(certificate["not_before"]):  # the registrar has set it early by the tolerance
        raise Refusal(
            "not_yet_valid", "the certificate is not valid yet by this node's clock: compare the clocks"
        )
    last = min(instant(certificate["not_after"]), instant(entry.time) + RENEWAL_LIMIT_SECONDS)
    if now > last + CLOCK_TOLERANCE_SECONDS:
        raise Refusal(
            "expired", "the certificate has expired by this node's clock: ask the registrar to renew it"
        )


def check_grant(services: Services, grant: Grant | None) -> Grant:
    """A grant is approved now, by this node's replay and its own clock.

    Raises:
        Refusal: ``grant``.
    """
    today = services.today()
    if grant is None or grant.status != "approved" or not grant.first <= today <= grant.last:
        raise Refusal("grant", "the grant is not active by this node's replay and clock: ask for a new one")
    return grant


class Department:
    """The department role's answers."""

    def __init__(self, services: Services) -> None:
        """Args: ``services`` of the node."""
        self._services = services
        self._lock = threading.Lock()

    def answer(
        self, peer: str, question: Question, elements: list[bytes], salt: bytes, datasets: list[str]
    ) -> list[Answer]:
        """Answer a question for several datasets of this department.

        Raises:
            Refusal, NodeError, LedgerError: refused; the refusal is recorded as ``ledger.md`` says.
        """
        try:
            if not datasets or len(set(datasets)) != len(datasets):
                raise Refusal("malformed", "name each dataset once")
            verified = verify_question(self._services, peer, question)
        except (NodeError, LedgerError) as error:
            self._journal(peer, "", ",".join(sorted(datasets))[:128], f"refused:{error.code}")
            raise
        self._services.observe(Point.INTENT_ACCEPTED)
        return [self._answer_one(peer, verified, elements, salt, dataset) for dataset in datasets]

    def _answer_one(
        self, peer: str, verified: Verified, elements: list[bytes], salt: bytes, dataset: str
    ) -> Answer:
        """Answer for one dataset, or record the refusal."""
        query = str(verified.certificate["query"])
        named = {item["dataset"]: item for item in verified.certificate["datasets"]}
        if dataset not in named or dataset.partition(".")[0] != self._services.member:
            self._journal(peer, query, dataset, "refused:not_named")
            raise Refusal("not_named", "the intent names no such dataset of this department")
        with self._lock:
            try:
                return self._evaluate(peer, verified, elements, salt, named[dataset])
            except (Refusal, ProtocolError, KeysError, StoreError) as error:
                self._record_refusal(peer, query, dataset, error.code)
                if isinstance(error, Refusal):
                    raise
                raise Refusal(error.code, str(error)) from error

    def _evaluate(
        self, peer: str, verified: Verified, elements: list[bytes], salt: bytes, item: dict[str, str]
    ) -> Answer:
        """Grant, publication, elements; then β with its proof, stored with its record before it is given."""
        services, certificate = self._services, verified.certificate
        query, dataset = str(certificate["query"]), item["dataset"]
        check_grant(services, services.view.grant(item["grant"]))
        publication = services.view.publication(dataset, item["publication"])
        if publication is None or publication.key != item["key"]:
            raise Refusal("publication", "the question names no publication of this department")
        check_elements(certificate, elements, salt)
        known = services.store.one(tables.answer, query=query, dataset=dataset)
        if known is not None:
            return Answer.from_json(dataset, json.loads(known["document"]))
        services.memory.require_unanswered(query, dataset)
        secret = open_secret(services, dataset, item["publication"])
        with services.stopwatch.part("cryptography"):
            betas, proof = evaluate(secret.key, bytes.fromhex(item["key"]), elements)
        answer_salt = secrets.token_bytes(32)
        response = response_digest(answer_salt, betas, proof)
        receipt = signature(services.keys.node, receipt_message(certificate, dataset, response))
        answer = Answer(dataset, betas, proof, answer_salt, receipt)
        services.observe(Point.ANSWER_EVALUATED)
        self._record(peer, certificate, answer)
        return answer

    def _record(self, peer: str, certificate: dict[str, Any], answer: Answer) -> None:
        """Store the answer, its journal line and its ledger entry in one transaction."""
        services, query = self._services, str(certificate["query"])
        body = {
            "query": query,
            "dataset": answer.dataset,
            "result": "answered",
            "response": answer.response.hex(),
        }
        now = services.clock()
        with services.store.writing() as connection:
            key = {"query": query, "dataset": answer.dataset}
            document = json.dumps(answer.to_json())
            put(connection, tables.answer, key, {"elements": certificate["elements"], "document": document})
            services.outbox.add(connection, f"answer/{query}/{answer.dataset}", "query.answer", body, now)
            record = body["response"]
            note(connection, now, peer, query, answer.dataset, "answered", reported=True, record=record)
            services.observe(Point.ANSWER_STORING)
        services.observe(Point.ANSWER_STORED)
        services.outbox.wake()

    def _record_refusal(self, peer: str, query: str, dataset: str, code: str) -> None:
        """A refusal under a valid intent goes to the ledger, the first one of a question and dataset."""
        services, now = self._services, self._services.clock()
        body = {
            "query": query,
            "dataset": dataset,
            "result": f"refused:{code}",
            "response": secrets.token_bytes(32).hex(),
        }
        with services.store.writing() as connection:
            name = f"refusal/{query}/{dataset}"
            first = services.outbox.add(connection, name, "query.answer", body, now)
            record = body["response"] if first else ""
            note(connection, now, peer, query, dataset, body["result"], reported=True, record=record)
        services.observe(Point.REFUSAL_STORED)
        services.outbox.wake()

    def _journal(self, peer: str, query: str, dataset: str, result: str) -> None:
        """A refusal without a valid intent stays in the journal until the hourly incident counts it."""
        with self._services.store.writing() as connection:
            note(connection, self._services.clock(), peer, query, dataset[:128], result, reported=False)
