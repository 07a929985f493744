"""Rules of ``rules.publish`` and ``rules.approve``: the texts a verdict follows.

The ledger holds a digest of the text and the dataset ids under income, deduct, veto and exclude, each named
once. An auditor, or the owner of an income or deduct dataset, approves exactly the published digest, once. An
intent may name the rules when an auditor has approved and so has every such owner who is a member then; veto
and exclude datasets need no approval.
"""

from __future__ import annotations

from ledger.contract.context import Context, require
from ledger.contract.view import dataset_owner
from ledger.errors import EntryRefusedError


def publish(ctx: Context) -> None:
    """Record a new version of a rule set."""
    body = ctx.body
    named = body["income"] + body["deduct"] + body["veto"] + body["exclude"]
    require(len(set(named)) == len(named), "rules_overlap", "name each dataset under one head only")
    where = f"rules/{body['rules']}/{body['version']}"
    ctx.put_new(where, ctx.record(), "rules_exist", "publish changed rules under a new version")


def approve(ctx: Context) -> None:
    """Record an approval."""
    body, member = ctx.body, ctx.submitter
    found = ctx.view.rules(body["rules"], body["version"])
    if found is None:
        raise EntryRefusedError("rules_unknown", "name rules that are on the ledger")
    require(body["digest"] == found.digest, "rules_digest", "the digest is not that of the published text")
    owns = member.id in {dataset_owner(dataset) for dataset in found.amounts}
    may = owns or "auditor" in member.roles
    require(may, "not_approver", "auditors and owners of the rules' income and deduct datasets approve")
    where = f"{body['rules']}/{body['version']}"
    remedy = "this member approved the rules already"
    ctx.put_new(f"approval/{where}/{member.id}", ctx.record(), "already_approved", remedy)
    if "auditor" in member.roles and ctx.state.get(f"audit-approval/{where}") is None:
        ctx.state.put(f"audit-approval/{where}", {"member": member.id})
