"""The answerer's side of a check, top to bottom: what a department verifies before it touches its key.

    peer → signature → receipt (quorum) → local replay up to a head fetched now → own clock against grant and
    certificate → certificate field by field → elements → β = k·α with one DLEQ → receipt, journal, outbox

Nothing is computed for a question whose intent this node has not verified on the ledger by its local replay;
a node that was restored from a backup answers nothing that it may have answered before
(``node.tlog.restore_fence``). A
refusal leaves a record too: ``query.answer`` with ``refused:<code>`` where the intent is valid and names
the dataset, else a line in the journal that the hourly incident counts. ``verify_question`` is the trustee's
check as well.
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

from keys.errors import KeysError
from ledger.errors import LedgerError
from ledger.fault_points import Point
from node.department.publication_keys import open_secret
from node.errors import NodeError, RefusalError, StoreError
from node.member_keys import signature
from node.question import Question, VerifiedQuestion, check_grant, verify_question
from node.services import Services
from node.store import tables
from node.store.database import note, put
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest
from protocols.check.certificate import check_elements
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
            RefusalError, NodeError, LedgerError: refused; the refusal is recorded as ``ledger.md`` says.
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
        query = str(verified.certificate["query"])
        named = {item["dataset"]: item for item in verified.certificate["datasets"]}
        if dataset not in named or dataset.partition(".")[0] != self._services.member:
            self._journal(peer, query, dataset, "refused:not_named")
            raise RefusalError("not_named", "the intent names no such dataset of this department")
        with self._lock:
            try:
                return self._evaluate(peer, verified, elements, salt, named[dataset])
            except (RefusalError, ProtocolError, KeysError, StoreError) as error:
                self._record_refusal(peer, query, dataset, error.code)
                if isinstance(error, RefusalError):
                    raise
                raise RefusalError(error.code, str(error)) from error

    def _evaluate(
        self, peer: str, verified: VerifiedQuestion, elements: list[bytes], salt: bytes, item: dict[str, str]
    ) -> Answer:
        """Grant, publication, elements; then β with its proof, stored with its record before it is given."""
        services, certificate = self._services, verified.certificate
        query, dataset = str(certificate["query"]), item["dataset"]
        check_grant(services, services.view.grant(item["grant"]))
        publication = services.view.publication(dataset, item["publication"])
        if publication is None or publication.key != item["key"]:
            raise RefusalError("publication", "the question names no publication of this department")
        check_elements(certificate, elements, salt)
        known = services.store.one(tables.answer, query=query, dataset=dataset)
        if known is not None:
            return Answer.from_json(dataset, json.loads(known["document"]))
        services.restore_fence.require_unanswered(query, dataset)
        secret = open_secret(services, dataset, item["publication"])
        with services.timings.part("cryptography"):
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
