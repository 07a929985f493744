"""Rules of what follows an intent: ``query.refused``, ``query.answer``, ``query.close``.

- The sequencer records a refused entry by a salted digest, once (how often is its own limit: the contract
  counts nothing).
- The owner of a dataset the intent names says ``answered`` or ``refused:<code>``; a refusal may be followed
  by one ``answered``, and nothing follows ``answered``.
- The office that asked closes once.
"""

from __future__ import annotations

from ledger.contract.context import Context, require
from ledger.contract.records import Intent
from ledger.contract.view import dataset_owner
from ledger.errors import EntryRefusedError


def known_intent(ctx: Context) -> Intent:
    """The intent that the body's ``query`` names.

    Raises:
        EntryRefusedError: ``query_unknown``.
    """
    found = ctx.view.intent(ctx.body["query"])
    if found is None:
        raise EntryRefusedError("query_unknown", "log the intent first")
    return found


def refused(ctx: Context) -> None:
    """Record that an entry was refused before ordering."""
    remedy = "this refusal is recorded already"
    ctx.put_new(f"refused/{ctx.body['entry']}", ctx.record(), "already_recorded", remedy)


def answer(ctx: Context) -> None:
    """Record a department's word on one dataset."""
    intent, dataset = known_intent(ctx), ctx.body["dataset"]
    require(intent.dataset(dataset) is not None, "dataset_not_asked", "the intent does not name the dataset")
    own = dataset_owner(dataset) == ctx.submitter.id
    require(own, "not_owner", "only the owner of a dataset answers for it")
    before = ctx.view.answer(intent.query, dataset)
    if before is not None:
        require(not before.answered, "already_answered", "nothing follows an answer")
        answers = ctx.body["result"] == "answered"
        require(answers, "already_refused", "a refusal is recorded: only an answer may follow it")
    ctx.state.put(f"answer/{intent.query}/{dataset}", ctx.record())


def close(ctx: Context) -> None:
    """Record the office's last word on its query."""
    intent = known_intent(ctx)
    require(
        intent.office == ctx.submitter.id, "not_the_office", "only the office that asked closes the query"
    )
    ctx.put_new(f"close/{intent.query}", ctx.record(), "already_closed", "the query is closed already")
