"""The operator service: the gRPC calls that a member's own people make to their node.

Only identities issued by the member's own authority are served. Each method converts its message, calls one
use case of a role, and converts the result; long jobs stream their progress. Signatures of people come with
the request; they are made outside the node.
"""

from __future__ import annotations

import queue
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from ledger import canonical
from ledger.entries.entry import parse_signature
from node.audit.publications import verify_publications
from node.case import load_cases, read_case
from node.department.declaration import DatasetDeclaration
from node.department.own_publications import retire
from node.department.publish import Publisher
from node.errors import RefusalError
from node.governance import grants, rule_sets
from node.governance.entry_drafts import EntryDraft, submit_entry
from node.governance.grants import GrantRequest
from node.monitoring.health import LedgerHealth, node_health
from node.office.check import Office
from node.registrar import consents
from node.registrar.recent_subjects import QuestionAllowance
from node.rpc.server import Peers
from node.rpc.untrusted_json import read_list, read_object, read_texts
from node.services import Services
from node.wire import operator_pb2, operator_pb2_grpc

Emit = Callable[[operator_pb2.Progress], None]


class OperatorEdge(operator_pb2_grpc.OperatorServicer):
    """The operator's service of one node."""

    def __init__(
        self,
        peers: Peers,
        services: Services,
        publisher: Publisher,
        office: Office,
        ledger_health: Callable[[], LedgerHealth],
    ) -> None:
        """Serve the roles of one node; a role that the member does not hold refuses its jobs itself.

        Args:
            peers: tells who is calling.
            services: of the node.
            publisher: of the department role.
            office: of the office role.
            ledger_health: gives the state of the ledger at this node.
        """
        self._ledger_health = ledger_health
        self._peers = peers
        self._services = services
        self._publisher = publisher
        self._office = office

    def Status(  # noqa: N802  gRPC names its methods
        self, _request: operator_pb2.StatusRequest, context: grpc.ServicerContext
    ) -> operator_pb2.StatusResponse:
        """Health of the node."""
        self._require_own(context)
        health = node_health(self._services, self._ledger_health())
        return operator_pb2.StatusResponse(status=canonical.encode(health.to_json()))

    def Submit(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> operator_pb2.SubmitResponse:
        """Submit an entry with the signatures of people or other members."""
        self._require_own(context)
        body = read_object(request.body)
        draft = EntryDraft(request.type, request.id or secrets.token_hex(16), body)
        signatures = [parse_signature(item) for item in read_list(request.signatures or b"[]")]
        receipt = submit_entry(self._services, draft, signatures)
        return operator_pb2.SubmitResponse(id=draft.id, receipt=receipt.format())

    def Publish(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.PublishRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Publish one dataset."""
        self._require_own(context)
        declaration = DatasetDeclaration.parse(read_object(request.dataset))

        def job(emit: Emit) -> Any:
            def progress(done: int, total: int) -> None:
                emit(_progress("publishing", done, total, dataset=declaration.id))

            sources = Path(request.folder)
            return self._publisher.publish(declaration, sources, request.epoch, progress).to_json()

        return _run(job)

    def Verify(  # noqa: N802  gRPC names its methods
        self, _request: operator_pb2.VerifyRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Download and verify publications."""
        self._require_own(context)

        def job(emit: Emit) -> Any:
            def progress(dataset: str, done: int, total: int) -> None:
                emit(_progress("verifying", done, total, dataset=dataset))

            return {"verified": verify_publications(self._services, progress)}

        return _run(job)

    def LoadConsents(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.LoadConsentsRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Load consents from the registrar's own application files."""
        self._require_own(context)
        committed = consents.load_consents(self._services, load_cases(Path(request.folder)))
        return _result("consents", {"committed": committed})

    def Retire(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.RetireRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Destroy the key of a superseded publication."""
        self._require_own(context)
        retire(self._services, request.dataset, request.publication)
        return _result("retired", {})

    def WithdrawConsent(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.WithdrawConsentRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Withdraw a person's consent."""
        self._require_own(context)
        consents.withdraw(self._services, request.case_number, request.identifier)
        return _result("consents", {})

    def AllowQuestion(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.AllowQuestionRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Allow another question about a case this month, signed by two people of the registrar."""
        self._require_own(context)
        allowance = QuestionAllowance.parse(read_object(request.document))
        signatures = [read_texts(bytes(item)) for item in request.signatures]
        consents.allow_question(self._services, allowance, signatures)
        return _result("consents", {})

    def Rules(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.RulesRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Publish or approve a rule set."""
        self._require_own(context)
        action = rule_sets.publish if request.action == "publish" else rule_sets.approve
        rules = action(self._services, bytes(request.text))
        return _result("rules", {"rules": rules.key, "digest": rules.digest})

    def RequestGrant(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.GrantRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Ask an owner for a grant."""
        self._require_own(context)
        asked = GrantRequest.parse(read_object(request.options))
        return _result("grants", {"grant": grants.request_grant(self._services, asked)})

    def Check(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Run one check to its recorded report."""
        self._require_own(context)
        self._services.require_role("office")
        case = read_case(bytes(request.application), [self._services.member])
        rules = rule_sets.text_of(self._services, case.rules)

        def job(emit: Emit) -> Any:
            def progress(stage: str) -> None:
                emit(_progress(stage, 0, 0))

            return self._office.run(case, rules, Path(request.out), progress).summary()

        return _run(job)

    def _require_own(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._services.member:
            raise RefusalError("not_an_operator", "only this member's own people use this service")


def _result(stage: str, value: dict[str, Any]) -> operator_pb2.Progress:
    """The only message of a job that streams no progress."""
    return operator_pb2.Progress(stage=stage, result=canonical.encode(value))


def _run(job: Callable[[Emit], Any]) -> Iterator[operator_pb2.Progress]:
    """Run a job in a thread and stream its progress; the last message carries its result.

    Raises:
        Exception: the job's own error, after the progress before it.
    """
    messages: queue.Queue[operator_pb2.Progress | Future[Any]] = queue.Queue()
    with ThreadPoolExecutor(1, thread_name_prefix="operator-job") as pool:
        pool.submit(job, messages.put).add_done_callback(messages.put)
        while isinstance(message := messages.get(), operator_pb2.Progress):
            yield message
        yield operator_pb2.Progress(stage="done", result=canonical.encode(message.result()))


def _progress(stage: str, done: int, total: int, **values: str) -> operator_pb2.Progress:
    """One progress message."""
    return operator_pb2.Progress(stage=stage, values=canonical.encode(values), done=done, total=total)
