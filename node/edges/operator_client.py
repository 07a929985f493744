"""The operator client: calls a member's own node, and makes the signatures of people outside the node."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from ledger import canonical
from ledger.entries.entry import Signature
from node.config import Configuration, read_configuration
from node.department.declaration import DatasetDeclaration
from node.errors import RefusalError
from node.governance.entry_drafts import EntryDraft, sign_draft
from node.governance.grants import GrantDecision, GrantRequest, GrantRevocation
from node.home import Home
from node.member_keys import OPERATORS, open_keys, sign
from node.membership.network import NetworkFile
from node.registrar.recent_subjects import QuestionAllowance
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

    def submit(self, draft: EntryDraft, signatures: Sequence[Signature] = ()) -> None:
        """Append an entry, which the node signs too; returns once it is final.

        Args:
            draft: the entry.
            signatures: of people or other members over it.
        """
        request = operator_pb2.SubmitRequest(
            type=draft.type,
            id=draft.id,
            body=canonical.encode(draft.body),
            signatures=canonical.encode([item.to_json() for item in signatures]),
        )
        with self._errors():
            self._stub.Submit(request, timeout=QUICK_SECONDS)

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
        """Office, auditor: download and verify publications."""
        with self._errors():
            return _last(
                iter(self._stub.Verify(operator_pb2.VerifyRequest(), timeout=LONG_SECONDS)), progress
            )

    def load_consents(self, folder: Path) -> dict[str, Any]:
        """Registrar: load consents from the application files of a folder."""
        request = operator_pb2.LoadConsentsRequest(folder=str(folder.resolve()))
        with self._errors():
            return _json(self._stub.LoadConsents(request, timeout=QUICK_SECONDS).result)

    def retire(self, dataset: str, publication: str) -> None:
        """Department: destroy the key of a superseded publication."""
        with self._errors():
            request = operator_pb2.RetireRequest(dataset=dataset, publication=publication)
            self._stub.Retire(request, timeout=QUICK_SECONDS)

    def withdraw_consent(self, case: str, identifier: str) -> None:
        """Registrar: withdraw a person's consent."""
        with self._errors():
            request = operator_pb2.WithdrawConsentRequest(case_number=case, identifier=identifier)
            self._stub.WithdrawConsent(request, timeout=QUICK_SECONDS)

    def allow_question(self, allowance: QuestionAllowance) -> None:
        """Registrar: allow another question about a case this month, with the signatures of two people."""
        message = allowance.message()
        signed = [canonical.encode(sign(self.keys.signing(name), message).to_json()) for name in OPERATORS]
        document = canonical.encode(allowance.to_json())
        request = operator_pb2.AllowQuestionRequest(document=document, signatures=signed)
        with self._errors():
            self._stub.AllowQuestion(request, timeout=QUICK_SECONDS)

    def rules(self, text: bytes, action: str) -> dict[str, Any]:
        """Publish or approve a rule set."""
        with self._errors():
            request = operator_pb2.RulesRequest(text=text, action=action)
            return _json(self._stub.Rules(request, timeout=QUICK_SECONDS).result)

    def request_grant(self, asked: GrantRequest) -> str:
        """Office: ask an owner for a grant; returns its id."""
        with self._errors():
            request = operator_pb2.GrantRequest(options=canonical.encode(asked.to_json()))
            return str(_json(self._stub.RequestGrant(request, timeout=QUICK_SECONDS).result)["grant"])

    def decide_grant(self, decision: GrantDecision) -> None:
        """Owner: decide a grant with the signatures of two people."""
        self.submit_by_two(decision.draft())

    def revoke_grant(self, revocation: GrantRevocation) -> None:
        """Owner: revoke a grant with the signatures of two people."""
        self.submit_by_two(revocation.draft())

    def sign_as_member(self, draft: EntryDraft) -> Signature:
        """This member's node signature over an entry that another member submits."""
        [signed] = sign_draft(draft, self._network(), [self.keys.node])
        return signed

    def submit_by_two(self, draft: EntryDraft) -> None:
        """Append an entry that two operators sign with their own keys."""
        keys = [self.keys.signing(name) for name in OPERATORS]
        self.submit(draft, sign_draft(draft, self._network(), keys))

    def _network(self) -> str:
        """Name of the network the home has joined."""
        return NetworkFile.read(self.home.network).network

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
