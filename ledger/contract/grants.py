"""Rules of ``grant.*``: what an office may ask one owner, how often, and until when.

    requested ──decide──▶ approved ──revoke──▶ revoked
        └──────decide──▶ rejected

The office requests; the owner decides, revokes and reviews, each time with two of its operators. Status only
moves along the arrows; a review needs a grant that was approved and changes nothing.
"""

from __future__ import annotations

from ledger.contract.context import Context, require
from ledger.contract.records import Grant
from ledger.contract.view import dataset_owner
from ledger.errors import EntryRefusedError


def request(ctx: Context) -> None:
    """Record an office's request."""
    body = ctx.body
    require(body["requester"] == ctx.submitter.id, "grant_requester", "an office requests for itself")
    owner = ctx.view.member(body["owner"])
    is_owner = owner is not None and owner.has("department")
    require(is_owner, "grant_owner", "name an owner that is a department of this network")
    datasets = [line["dataset"] for line in body["datasets"]]
    owned = all(dataset_owner(dataset) == body["owner"] for dataset in datasets)
    require(owned, "grant_owner", "a grant covers datasets of its one owner: request others separately")
    require(len(set(datasets)) == len(datasets), "grant_dataset", "name each dataset once")
    require(body["from"] <= body["until"], "grant_dates", "until must not be before from")
    ctx.put_new(f"grant/{body['grant']}", ctx.record(), "grant_exists", "choose a new grant id")
    ctx.append(f"grants/{ctx.submitter.id}", body["grant"])


def decide(ctx: Context) -> None:
    """Record the owner's decision."""
    found = _own_grant(ctx)
    require(found.status == "requested", "grant_decided", "the grant is decided: request a new one")
    ctx.state.put(f"grant-decision/{found.grant}", ctx.record())


def revoke(ctx: Context) -> None:
    """Record that the owner takes an approved grant back."""
    found = _own_grant(ctx)
    require(found.status == "approved", "grant_not_approved", "only an approved grant can be revoked")
    ctx.state.put(f"grant-revoked/{found.grant}", ctx.record())


def review(ctx: Context) -> None:
    """Record the result of a review; the entry itself is the record."""
    found = _own_grant(ctx)
    decided = found.status in ("approved", "revoked")
    require(decided, "grant_not_approved", "only a grant that was approved can be reviewed")


def _own_grant(ctx: Context) -> Grant:
    found = ctx.view.grant(ctx.body["grant"])
    if found is None:
        raise EntryRefusedError("grant_unknown", "name a grant that is on the ledger")
    require(found.owner == ctx.submitter.id, "not_owner", "only the owner of the data speaks about its grant")
    return found
