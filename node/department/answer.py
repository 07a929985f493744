"""The department's side of a check, top to bottom: what it verifies before it uses its key.

    question (``node.question``: intent, receipt, certificate) → grant and publication → elements
    → β = k·α with one DLEQ → signed receipt, journal and ledger entry, stored before the answer is given

Nothing is computed for a question whose intent this node has not verified on the ledger by its local replay.
A node restored from a backup does not answer what it may have answered before (``node.tlog.restore_fence``).
A refusal is recorded too: as ``query.answer`` with ``refused:<code>`` where the intent is valid and names the
dataset, else as a line in the journal, which the hourly incident counts.
"""

from __future__ import annotations

import json
import secrets
import threading

from keys.errors import KeysError
from ledger.entries import bodies
from ledger.errors import LedgerError
from ledger.fault_points import Point
from node.department.own_publications import open_secret
from node.errors import NodeError, RefusalError, StoreError
from node.member_keys import sign
from node.question import Question, VerifiedQuestion, check_grant, verify_question
from node.services import Services
from node.store import tables
from node.store.database import note, put
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest
from protocols.check.certificate import Certificate, CertifiedDataset
from protocols.check.openings import check_elements
from protocols.errors import ProtocolError


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
            RefusalError, NodeError, LedgerError: refused; the refusal is recorded as the module says.
        """
        try:
            if not datasets or len(set(datasets)) != len(datasets):
                raise RefusalError("malformed", "name each dataset once")
            verified = verify_question(self._services, peer, question)
        except (NodeError, LedgerError) as error:
            self._journal(peer, "", ",".join(sorted(datasets))[:128], f"refused:{error.code}")
            raise
        self._services.observe(Point.INTENT_ACCEPTED)
        return [self._answer_one(peer, verified, elements, salt, dataset) for dataset in datasets]

    def _answer_one(
        self, peer: str, verified: VerifiedQuestion, elements: list[bytes], salt: bytes, dataset: str
    ) -> Answer:
        """Answer for one dataset, or record the refusal."""
        query, item = verified.certificate.query, verified.certificate.dataset(dataset)
        if item is None or item.owner != self._services.member:
            self._journal(peer, query, dataset, "refused:not_named")
            raise RefusalError("not_named", "the intent names no such dataset of this department")
        with self._lock:
            try:
                return self._evaluate(peer, verified, elements, salt, item)
            except (RefusalError, ProtocolError, KeysError, StoreError) as error:
                self._record_refusal(peer, query, dataset, error.code)
                if isinstance(error, RefusalError):
                    raise
                raise RefusalError(error.code, str(error)) from error

    def _evaluate(
        self,
        peer: str,
        verified: VerifiedQuestion,
        elements: list[bytes],
        salt: bytes,
        item: CertifiedDataset,
    ) -> Answer:
        """Grant, publication, elements; then β with its proof, stored with its record before it is given."""
        services, certificate = self._services, verified.certificate
        query, dataset = certificate.query, item.dataset
        check_grant(services, services.view.grant(item.grant))
        publication = services.view.publication(dataset, item.publication)
        if publication is None or publication.key != item.key.hex():
            raise RefusalError("publication", "the question names no publication of this department")
        check_elements(certificate, elements, salt)
        known = services.store.one(tables.answer, query=query, dataset=dataset)
        if known is not None:
            return Answer.parse(dataset, json.loads(known["document"]))
        services.restore_fence.require_unanswered(query, dataset)
        secret = open_secret(services, dataset, item.publication)
        with services.timings.part("cryptography"):
            betas, proof = evaluate(secret.key, item.key, elements)
        answer_salt = secrets.token_bytes(32)
        response = response_digest(answer_salt, betas, proof)
        receipt = sign(services.keys.node, receipt_message(certificate, dataset, response))
        answer = Answer(dataset, betas, proof, answer_salt, receipt)
        services.observe(Point.ANSWER_EVALUATED)
        self._record(peer, certificate, answer)
        return answer

    def _record(self, peer: str, certificate: Certificate, answer: Answer) -> None:
        """Store the answer, its journal line and its ledger entry in one transaction."""
        services, query = self._services, certificate.query
        response = answer.response.hex()
        body = bodies.query_answer(query, answer.dataset, "answered", response)
        now = services.clock()
        with services.store.writing() as connection:
            key = {"query": query, "dataset": answer.dataset}
            document = json.dumps(answer.to_json())
            put(
                connection, tables.answer, key, {"elements": certificate.elements.hex(), "document": document}
            )
            services.outbox.add(connection, f"answer/{query}/{answer.dataset}", "query.answer", body, now)
            note(connection, now, peer, query, answer.dataset, "answered", reported=True, record=response)
            services.observe(Point.ANSWER_STORING)
        services.observe(Point.ANSWER_STORED)
        services.outbox.wake()

    def _record_refusal(self, peer: str, query: str, dataset: str, code: str) -> None:
        """Record a refusal under a valid intent on the ledger: the first one of each question and dataset."""
        services, now = self._services, self._services.clock()
        result, response = f"refused:{code}", secrets.token_hex(32)
        body = bodies.query_answer(query, dataset, result, response)
        with services.store.writing() as connection:
            name = f"refusal/{query}/{dataset}"
            first = services.outbox.add(connection, name, "query.answer", body, now)
            record = response if first else ""
            note(connection, now, peer, query, dataset, result, reported=True, record=record)
        services.observe(Point.REFUSAL_STORED)
        services.outbox.wake()

    def _journal(self, peer: str, query: str, dataset: str, result: str) -> None:
        """Record a refusal without a valid intent in the journal, where the hourly incident counts it."""
        with self._services.store.writing() as connection:
            note(connection, self._services.clock(), peer, query, dataset[:128], result, reported=False)
