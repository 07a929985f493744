"""A member's people at the command line: calls to their node, and what two people sign outside of it."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from ledger import canonical
from ledger.entries import entry as entries
from node.config import Configuration, read_configuration
from node.department.declaration import DatasetDeclaration
from node.errors import RefusalError
from node.home import Home
from node.member_keys import OPERATORS, open_keys, signature
from node.membership.network import NetworkFile
from node.registrar.recent_subjects import allowance_message
from node.rpc.channels import open_channel
from node.rpc.status import raise_from_wire
from node.wire import operator_pb2, operator_pb2_grpc

QUICK_SECONDS = 60.0
LONG_SECONDS = 24 * 3600.0

OnProgress = Callable[[str, dict[str, Any], int, int], None]


class OperatorClient:
    """One member's operator service, reached with the member's own identity."""

    def __init__(self, root: Path) -> None:
        """Open the home's keys and a channel to its node.

        Raises:
            ConfigurationError, KeysError: the home is not as it should be.
        """
        self.configuration: Configuration = read_configuration(root)
        self.home: Home = self.configuration.home
        self.keys = open_keys(self.configuration)
        self.member = self.configuration.member
        authority = self.keys.authority.certificate_der
        self._channel = open_channel(
            self.configuration.listen, authority, self.keys.tls, f"{self.member}.hedui"
        )
        self._stub = operator_pb2_grpc.OperatorStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def status(self, seconds: float = 5.0) -> dict[str, Any]:
        """What the node is and how far it has come."""
        with self._errors():
            return _json(self._stub.Status(operator_pb2.StatusRequest(), timeout=seconds).status)

    def submit(
        self,
        kind: str,
        body: dict[str, Any],
        identifier: str = "",
        signatures: list[dict[str, str]] | None = None,
    ) -> str:
        """Append an entry the node signs; returns its id once it is final."""
        request = operator_pb2.SubmitRequest(
            type=kind,
            id=identifier,
            body=canonical.encode(body),
            signatures=canonical.encode(signatures or []),
        )
        with self._errors():
            return str(self._stub.Submit(request, timeout=QUICK_SECONDS).id)

    def publish(
        self, dataset: DatasetDeclaration, folder: Path, epoch: str, progress: OnProgress
    ) -> dict[str, Any]:
        """Publish a dataset; returns its quality report and facts."""
        request = operator_pb2.PublishRequest(
            dataset=canonical.encode(dataset.to_json()), folder=str(folder.resolve()), epoch=epoch
        )
        with self._errors():
            return _last(iter(self._stub.Publish(request, timeout=LONG_SECONDS)), progress)

    def verify(self, progress: OnProgress) -> dict[str, Any]:
        """Take over and verify publications."""
        with self._errors():
            return _last(
                iter(self._stub.Verify(operator_pb2.VerifyRequest(), timeout=LONG_SECONDS)), progress
            )

    def load_consents(self, folder: Path) -> dict[str, Any]:
        """Registrar: take consents from application files."""
        request = operator_pb2.LoadConsentsRequest(folder=str(folder.resolve()))
        with self._errors():
            return _json(self._stub.LoadConsents(request, timeout=QUICK_SECONDS).result)

    def retire(self, dataset: str, publication: str) -> None:
        """Department: destroy the key of a publication that has had its time."""
        with self._errors():
            request = operator_pb2.RetireRequest(dataset=dataset, publication=publication)
            self._stub.Retire(request, timeout=QUICK_SECONDS)

    def withdraw_consent(self, case: str, identifier: str) -> None:
        """Registrar: a person withdraws a consent."""
        with self._errors():
            request = operator_pb2.WithdrawConsentRequest(case_number=case, identifier=identifier)
            self._stub.WithdrawConsent(request, timeout=QUICK_SECONDS)

    def allow_question(self, case: str, month: str, reason: str) -> None:
        """Registrar: two people let a case be asked although its persons were asked this month."""
        document = {"case": case, "month": month, "reason": reason}
        message = allowance_message(document)
        signed = [canonical.encode(signature(self.keys.signing(name), message)) for name in OPERATORS]
        request = operator_pb2.AllowQuestionRequest(document=canonical.encode(document), signatures=signed)
        with self._errors():
            self._stub.AllowQuestion(request, timeout=QUICK_SECONDS)

    def rules(self, text: bytes, action: str) -> dict[str, Any]:
        """Publish or approve a rule set."""
        with self._errors():
            request = operator_pb2.RulesRequest(text=text, action=action)
            return _json(self._stub.Rules(request, timeout=QUICK_SECONDS).result)

    def request_grant(self, options: dict[str, Any]) -> str:
        """Office: ask for a grant; returns its id."""
        with self._errors():
            request = operator_pb2.GrantRequest(options=canonical.encode(options))
            return str(_json(self._stub.RequestGrant(request, timeout=QUICK_SECONDS).result)["grant"])

    def decide_grant(self, grant: str, decision: str) -> None:
        """Owner: decide a grant with the signatures of two people."""
        self.submit_by_two("grant.decide", {"grant": grant, "decision": decision})

    def sign_body(self, kind: str, identifier: str, body: dict[str, Any]) -> dict[str, str]:
        """This member's node signature over another member's entry."""
        message = entries.body_message(self._network(), kind, identifier, body)
        signed = entries.sign_message(self.keys.node, message)
        return {"key": signed.key, "alg": signed.alg, "sig": signed.sig}

    def _network(self) -> str:
        """Name of the network the home has joined."""
        return NetworkFile.read(self.home.network).network

    def submit_by_two(self, kind: str, body: dict[str, Any]) -> str:
        """Append an entry whose body two operators sign with their own keys."""
        identifier = secrets.token_hex(16)
        message = entries.body_message(self._network(), kind, identifier, body)
        signed = [entries.sign_message(self.keys.signing(name), message) for name in OPERATORS]
        signatures = [{"key": item.key, "alg": item.alg, "sig": item.sig} for item in signed]
        return self.submit(kind, body, identifier, signatures)

    def check(self, application: bytes, out: Path, progress: OnProgress) -> dict[str, Any]:
        """Office: run one check; returns its summary."""
        request = operator_pb2.CheckRequest(application=application, out=str(out.resolve()))
        with self._errors():
            return _last(iter(self._stub.Check(request, timeout=LONG_SECONDS)), progress)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise_from_wire(error, f"node {self.member}")


def _last(stream: Iterator[operator_pb2.Progress], progress: OnProgress) -> dict[str, Any]:
    """Follow a job's progress to its result."""
    for message in stream:
        if message.stage == "done":
            return _json(message.result)
        progress(message.stage, _json(message.values or b"{}"), int(message.done), int(message.total))
    raise RefusalError("no_result", "the node ended the job without a result: see its log")


def _json(data: bytes) -> dict[str, Any]:
    """A JSON object of an answer."""
    value = json.loads(bytes(data))
    if not isinstance(value, dict):
        raise RefusalError("malformed", "the node's answer is not an object")
    return value
