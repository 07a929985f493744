"""A member's own people at its own node: status, signing and submitting, publishing, verifying, checks.

Only identities issued by the member's own authority are served; what two people must sign comes with their
signatures, made outside the node.
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
from ledger.entries.entry import Signature
from node.audit.publications import verify_publications
from node.case import load_cases, read_case
from node.department.declaration import DatasetDeclaration
from node.department.publication_keys import published_sets, retire
from node.department.publish import Publisher
from node.errors import RefusalError
from node.governance import rule_sets
from node.monitoring.health import LedgerHealth
from node.office.check import Office
from node.office.report import write_report
from node.registrar import consents
from node.registrar.recent_subjects import SubjectIndex
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
        standing: Callable[[], LedgerHealth],
    ) -> None:
        """Args: the roles behind this edge; a role the member does not hold refuses by itself.

        ``standing`` says how the ledger stands at this node.
        """
        self._standing = standing
        self._peers = peers
        self._services = services
        self._publisher = publisher
        self._office = office

    def Status(  # noqa: N802  gRPC names its methods
        self, _request: operator_pb2.StatusRequest, context: grpc.ServicerContext
    ) -> operator_pb2.StatusResponse:
        """What this node is and how far it has come."""
        self._require_own(context)
        services = self._services
        checkpoint, standing = services.ledger.replica.checkpoint, self._standing()
        evidence = services.ledger.evidence
        published = published_sets(services)
        missing = sorted(name for name, is_whole in published.items() if not is_whole)
        status = {
            "member": services.member,
            "roles": list(services.configuration.roles),
            "network": services.network,
            "replayed": services.ledger.replica.size,
            "ledger": standing.ledger,
            "final_age": standing.final_age,
            "healthy": not standing.quarantined and not evidence and not missing,
            "cosigned": 0 if checkpoint is None else len(checkpoint.cosigned),
            "quorum": services.ledger.policy.quorum,
            "waiting": services.outbox.waiting(),
            "evidence": evidence,
            "restored": services.restore_fence.state(),
            "spent": services.timings.read(),
            "published": sorted(published),
            "missing_sets": missing,
            "sumkey": services.view.sumkey() is not None,
            "datasets": [
                f"{publication.dataset}/{publication.label}"
                for publication in services.view.publications_for(services.member)
            ],
        }
        return operator_pb2.StatusResponse(status=canonical.encode(status))

    def Submit(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> operator_pb2.SubmitResponse:
        """Sign with the node's key, append, answer with the receipt; of what is recorded, with its own."""
        self._require_own(context)
        identifier = request.id or secrets.token_hex(16)
        further = [
            Signature(item["key"], item["alg"], item["sig"])
            for item in read_list(request.signatures or b"[]")
        ]
        body = read_object(request.body)
        receipt = self._services.ledger.submit_once(request.type, identifier, body, further)
        self._services.ledger.sync()
        return operator_pb2.SubmitResponse(id=identifier, receipt=receipt.format())

    def Publish(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.PublishRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Publish one dataset."""
        self._require_own(context)
        declaration = DatasetDeclaration.parse(read_object(request.dataset))

        def job(emit: Emit) -> Any:
            def progress(done: int, total: int) -> None:
                emit(_progress("publishing", done, total, dataset=declaration.id))

            return self._publisher.publish(declaration, Path(request.folder), request.epoch, progress)

        return _run(job)

    def Verify(  # noqa: N802  gRPC names its methods
        self, _request: operator_pb2.VerifyRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Take over and verify publications."""
        self._require_own(context)

        def job(emit: Emit) -> Any:
            def progress(dataset: str, done: int, total: int) -> None:
                emit(_progress("verifying", done, total, dataset=dataset))

            return {"verified": verify_publications(self._services, progress)}

        return _run(job)

    def LoadConsents(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.LoadConsentsRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Take consents from the desk's own application files."""
        self._require_own(context)
        self._require_role("registrar")
        fresh: list[str] = []
        for case in load_cases(Path(request.folder)):
            fresh += consents.load_case(self._services, case)
        consents.record(self._services, fresh)
        return operator_pb2.Progress(stage="consents", result=canonical.encode({"committed": len(fresh)}))

    def Retire(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.RetireRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Destroy the key of a publication that has had its time."""
        self._require_own(context)
        self._require_role("department")
        retire(self._services, request.dataset, request.publication)
        return operator_pb2.Progress(stage="retired", result=canonical.encode({}))

    def WithdrawConsent(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.WithdrawConsentRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """A person withdraws a consent."""
        self._require_own(context)
        self._require_role("registrar")
        consents.withdraw(self._services, request.case_number, request.identifier)
        return operator_pb2.Progress(stage="consents", result=canonical.encode({}))

    def AllowQuestion(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.AllowQuestionRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Two people of the registrar let a case be asked again this month."""
        self._require_own(context)
        self._require_role("registrar")
        signatures = [read_texts(bytes(item)) for item in request.signatures]
        self._services.ledger.sync()
        SubjectIndex(self._services).allow(read_object(request.document), signatures)
        return operator_pb2.Progress(stage="consents", result=canonical.encode({}))

    def Rules(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.RulesRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Publish or approve a rule set."""
        self._require_own(context)
        action = rule_sets.publish if request.action == "publish" else rule_sets.approve
        return operator_pb2.Progress(
            stage="rules", result=canonical.encode(action(self._services, bytes(request.text)))
        )

    def RequestGrant(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.GrantRequest, context: grpc.ServicerContext
    ) -> operator_pb2.Progress:
        """Ask an owner for a grant."""
        self._require_own(context)
        self._require_role("office")
        services, options = self._services, read_object(request.options)
        services.ledger.sync()
        datasets = []
        for dataset in sorted(options.pop("datasets")):
            publication = services.view.current(dataset, services.member)
            if publication is None:
                raise RefusalError(
                    "unpublished", f"{dataset} has no publication that this office and an auditor verified"
                )
            datasets.append({"dataset": dataset, "definition": publication.definition})
        grant = secrets.token_hex(16)
        body = {**options, "grant": grant, "requester": services.member, "datasets": datasets}
        services.ledger.submit("grant.request", secrets.token_hex(16), body)
        return operator_pb2.Progress(stage="grants", result=canonical.encode({"grant": grant}))

    def Check(  # noqa: N802  gRPC names its methods
        self, request: operator_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> Iterator[operator_pb2.Progress]:
        """Run one check and write its report."""
        self._require_own(context)
        self._require_role("office")
        case = read_case(bytes(request.application), [self._services.member])
        rules = rule_sets.text_of(self._services, case.rules)

        def job(emit: Emit) -> Any:
            finished = self._office.check(case, rules, lambda stage: emit(_progress(stage, 0, 0)))
            emit(_progress("report", 0, 0))
            report = write_report(self._services, finished, Path(request.out))
            self._office.close(finished, report)
            verdict = finished.verdict
            return {
                "case": case.case,
                "outcome": verdict.outcome,
                "net_fen": verdict.net_fen,
                "heads": verdict.heads,
                "lines": finished.shown_lines(),
                "persons": len(case.household),
                "times": finished.milliseconds(),
            }

        return _run(job)

    def _require_own(self, context: grpc.ServicerContext) -> None:
        if self._peers.member(context) != self._services.member:
            raise RefusalError("not_an_operator", "only this member's own people use this service")

    def _require_role(self, role: str) -> None:
        if role not in self._services.configuration.roles:
            raise RefusalError("role", f"this node has not the role {role}")


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
