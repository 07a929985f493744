"""Grants: what an office may ask of an owner, how often and until when; requested, decided, revoked.

    office   request_grant ─▶ grant.request     with the definitions of the datasets now on the ledger
    owner    GrantDecision.draft ─▶ grant.decide     signed by two of its people, then submitted by its node
    owner    GrantRevocation.draft ─▶ grant.revoke   signed by two of its people, then submitted by its node

A decision and a revocation are drafts (``node.governance.entry_drafts``), because the keys of the owner's
people are outside its node.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ledger.entries import bodies
from node.errors import RefusalError
from node.governance.entry_drafts import EntryDraft
from node.services import Services

REVEALED = {"sum": "total", "check": "bits"}
"""What a question under each protocol reveals to the office."""

_RENAMED = {"first": "from", "last": "until"}
_TEXTS = ("owner", "protocol", "reveal", "purpose", "basis", "first", "last", "period")
_NUMBERS = ("slots", "elements", "min_terms")


@dataclass(frozen=True)
class GrantRequest:
    """What an office asks an owner for.

    Attributes:
        owner: id of the member whose data it is.
        datasets: ids of datasets of that owner.
        protocol: ``sum`` or ``check``.
        reveal: ``total`` or ``bits``, see ``REVEALED``.
        purpose: code of the purpose.
        basis: legal basis.
        first, last: dates from and until, ``YYYY-MM-DD`` in UTC+8, both included.
        period: ``month`` or ``day``.
        slots: questions a period.
        elements: blinded elements a slot.
        min_terms: fewest rows a total may open over.
    """

    owner: str
    datasets: tuple[str, ...]
    protocol: str
    reveal: str
    purpose: str
    basis: str
    first: str
    last: str
    period: str
    slots: int
    elements: int
    min_terms: int

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> GrantRequest:
        """A request from its JSON object; the contract checks the values.

        Raises:
            RefusalError: ``malformed``: a field is missing, unknown or of another type.
        """
        names = {_RENAMED.get(name, name): name for name in ("datasets", *_TEXTS, *_NUMBERS)}
        if value.keys() != names.keys():
            raise RefusalError("malformed", f"a grant request has exactly the fields {', '.join(names)}")
        fields = {name: value[written] for written, name in names.items()}
        datasets = fields.pop("datasets")
        is_typed = (
            isinstance(datasets, list)
            and all(type(item) is str for item in datasets)
            and all(type(fields[name]) is str for name in _TEXTS)
            and all(type(fields[name]) is int for name in _NUMBERS)
        )
        if not is_typed:
            raise RefusalError("malformed", "a field of the grant request has a value of another type")
        return cls(datasets=tuple(datasets), **fields)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``parse`` reads."""
        plain = {_RENAMED.get(name, name): getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        return {**plain, "datasets": list(self.datasets)}


class Decision(Enum):
    """An owner's decision on a grant request."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True)
class GrantDecision:
    """An owner's decision on one grant request.

    Attributes:
        grant: its id.
        decision: approve or reject.
    """

    grant: str
    decision: Decision

    def draft(self) -> EntryDraft:
        """The entry that two of the owner's people sign."""
        return EntryDraft.new("grant.decide", bodies.grant_decide(self.grant, self.decision.value))


@dataclass(frozen=True)
class GrantRevocation:
    """The end of an approved grant before its last day.

    Attributes:
        grant: its id.
        reason: code of the reason.
    """

    grant: str
    reason: str

    def draft(self) -> EntryDraft:
        """The entry that two of the owner's people sign."""
        return EntryDraft.new("grant.revoke", bodies.grant_revoke(self.grant, self.reason))


def request_grant(services: Services, request: GrantRequest) -> str:
    """At an office: ask an owner for a grant over its datasets, as their current publications define them.

    Returns:
        The new grant's id.

    Raises:
        RefusalError: ``role`` where this node is no office; ``unpublished`` for a dataset without a
            publication that this office and an auditor have verified; or the contract's refusal.
        ServiceUnavailableError: the ledger is out of reach.
    """
    services.require_role("office")
    services.ledger.sync()
    definitions = {dataset: _definition(services, dataset) for dataset in request.datasets}
    grant = secrets.token_hex(16)
    body = bodies.grant_request(
        grant=grant,
        requester=services.member,
        owner=request.owner,
        definitions=definitions,
        protocol=request.protocol,
        reveal=request.reveal,
        purpose=request.purpose,
        basis=request.basis,
        first=request.first,
        last=request.last,
        period=request.period,
        slots=request.slots,
        elements=request.elements,
        min_terms=request.min_terms,
    )
    services.ledger.submit("grant.request", secrets.token_hex(16), body)
    return grant


def _definition(services: Services, dataset: str) -> str:
    """Definition digest of the publication that is current for this office."""
    publication = services.view.current(dataset, services.member)
    if publication is None:
        raise RefusalError(
            "unpublished", f"{dataset} has no publication that this office and an auditor verified"
        )
    return publication.definition
