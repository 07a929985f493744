"""Grants: what an office may ask of an owner, how often and until when; requested, decided, revoked.

    office   request_grant ─▶ grant.request     with the definitions of the datasets now on the ledger
    owner    GrantDecision.draft ─▶ grant.decide     signed by two of its people, then submitted by its node
    owner    GrantRevocation.draft ─▶ grant.revoke   signed by two of its people, then submitted by its node

A decision and a revocation are drafts (``node.governance.entry_drafts``), because the keys of the owner's
people are outside its node.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from pydantic import Field

from ledger.entries import bodies
from node.errors import RefusalError
from node.governance.entry_drafts import EntryDraft
from node.services import Services
from node.validation.model import Listed, StrictModel
from node.validation.reading import read_request

REVEALED = {"sum": "total", "check": "bits"}
"""What a question under each protocol reveals to the office."""

_Text = Annotated[str, Field(description="a text")]
_Number = Annotated[int, Field(description="an integer")]


class GrantRequest(StrictModel, validate_by_name=True):
    """What an office asks an owner for; the contract checks the values.

    Attributes:
        owner: id of the member whose data it is.
        datasets: ids of datasets of that owner.
        protocol: ``sum`` or ``check``.
        reveal: ``total`` or ``bits``, see ``REVEALED``.
        purpose: code of the purpose.
        basis: legal basis.
        first, last: dates from and until, ``YYYY-MM-DD`` in UTC+8, both included.
        period: ``month`` or ``day``.
        slots: questions per period.
        elements: blinded elements per slot.
        min_terms: fewest rows a total may open over.
    """

    owner: _Text
    datasets: Listed[Annotated[str, Field(description="the id of a dataset")]]
    protocol: _Text
    reveal: _Text
    purpose: _Text
    basis: _Text
    first: _Text = Field(validation_alias="from", serialization_alias="from")
    last: _Text = Field(validation_alias="until", serialization_alias="until")
    period: _Text
    slots: _Number
    elements: _Number
    min_terms: _Number

    @classmethod
    def parse(cls, value: object) -> GrantRequest:
        """A request from its JSON object.

        Raises:
            RefusalError: ``malformed``: fields are missing, unknown or of another type.
        """
        return read_request(cls, value, "grant request")

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``parse`` reads."""
        return self.model_dump(mode="json", by_alias=True)


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
