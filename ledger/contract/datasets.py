"""Rules of ``dataset.*``: publications, who verified them, and their retirement.

- Only the owner (the member before the dot, a department) publishes and retires. A publication is new, its K
  was never used by any publication, its kind is that of the dataset's first publication, its suite ``voprf``
  for a member dataset and the network's suite for amounts, its count a padding step of at least 12 leaves.
- A changed definition is accepted here; grants name the old one, so intents under them are refused until a
  grant names the new one.
- An office or an auditor verifies once, with the root as published.
"""

from __future__ import annotations

from ledger.contract.context import Context, require
from ledger.contract.records import Publication
from ledger.contract.view import dataset_owner
from ledger.errors import EntryRefusedError

LEAST_LEAVES = 12
"""Ten dummies and two sentinels."""

ROW_SIGNIFICANDS = frozenset({1, 125, 15, 2, 25, 3, 4, 5, 6, 8})
"""Row padding (protocols, named parameters) is 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8 × 10^k, integers only."""


def is_row_step(count: int) -> bool:
    """Whether ``count``, at least 1, is a padding step of rows."""
    while count % 10 == 0:
        count //= 10
    return count in ROW_SIGNIFICANDS


def publish(ctx: Context) -> None:
    """Record a new publication."""
    body = ctx.body
    dataset, label = body["dataset"], f"{body['epoch']}.{body['revision']}"
    _check_owner(ctx, dataset)
    _check_form(ctx)
    before = ctx.state.get(f"dataset/{dataset}")
    if before is None:
        ctx.state.put("datasets", sorted([*ctx.view.datasets(), dataset]))
        before = {"kind": body["kind"], "publications": []}
    require(before["kind"] == body["kind"], "kind_changed", "publish another kind under another dataset id")
    where = f"publication/{dataset}/{label}"
    ctx.put_new(where, ctx.record(), "publication_exists", "use the next revision")
    mark = {"dataset": dataset, "publication": label}
    ctx.put_new(f"voprf/{body['key']}", mark, "key_reused", "draw a fresh key for every publication")
    ctx.state.put(f"dataset/{dataset}", {**before, "publications": [*before["publications"], label]})


def verified(ctx: Context) -> None:
    """Record that an office or auditor rebuilt and checked a publication."""
    found = _publication(ctx)
    where = f"{found.dataset}/{found.label}"
    open_ = not ctx.view.retired(found.dataset, found.label)
    require(open_, "publication_retired", "verify a publication that is in use")
    require(
        ctx.body["root"] == found.root, "root_differs", "the root is not the published one: do not verify it"
    )
    remedy = "this member verified the publication already"
    ctx.put_new(f"verified/{where}/{ctx.submitter.id}", ctx.record(), "already_verified", remedy)
    if "auditor" in ctx.submitter.roles and not ctx.view.audited(found.dataset, found.label):
        ctx.state.put(f"audited/{where}", {"member": ctx.submitter.id})


def retired(ctx: Context) -> None:
    """Record that the owner withdrew a publication or destroyed its key."""
    found = _publication(ctx)
    _check_owner(ctx, found.dataset)
    where = f"retired/{found.dataset}/{found.label}"
    ctx.put_new(where, ctx.record(), "publication_retired", "the publication is retired already")


def _check_owner(ctx: Context, dataset: str) -> None:
    own = dataset_owner(dataset) == ctx.submitter.id
    require(own, "not_owner", "only the member before the dot speaks for a dataset")


def _check_form(ctx: Context) -> None:
    body = ctx.body
    suite = "voprf" if body["kind"] == "member" else ctx.network.suite
    require(
        body["suite"] == suite,
        "suite_mismatch",
        f"datasets of this kind use the suite {suite} in this network",
    )
    padded = body["count"] >= LEAST_LEAVES and is_row_step(body["count"])
    require(
        padded, "rows_not_padded", "pad the leaves to a step: 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, …"
    )


def _publication(ctx: Context) -> Publication:
    found = ctx.view.publication(ctx.body["dataset"], ctx.body["publication"])
    if found is None:
        raise EntryRefusedError("publication_unknown", "name a publication that is on the ledger")
    return found
