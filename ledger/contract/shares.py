"""Rules of the sum key and of opening totals: ``sumkey.publish``, ``share.release``, ``share.exception``.

- The sum key is published once, by the office's node, signed by every trustee it names; suite as in genesis,
  a modulus of the stated size, verification values for exactly the holders, and a threshold they can reach.
- A trustee releases once a (query, case, trustee), for a ``sum`` intent every dataset of which is answered: a
  silent source means no release.
- An exception is signed by two of the trustee's people, once a (query, case, trustee).
"""

from __future__ import annotations

from ledger.contract.context import Context, require
from ledger.contract.queries import known_intent
from ledger.contract.records import Intent


def sumkey(ctx: Context) -> None:
    """Record the network's sum key."""
    body = ctx.body
    require(body["suite"] == ctx.network.suite, "suite_mismatch", "use the suite that genesis fixed")
    require(
        body["office"] == ctx.submitter.id,
        "sumkey_holders",
        "the office that holds a share publishes the key",
    )
    trustees = [ctx.view.member(trustee) for trustee in body["trustees"]]
    all_trustees = all(member is not None and member.has("trustee") for member in trustees)
    require(all_trustees, "sumkey_holders", "name members with the role trustee")
    holders = {body["office"], *body["trustees"]}
    complete = set(body["verification"]) == holders
    require(complete, "sumkey_holders", "give one verification value for the office and each trustee")
    reachable = min(2, len(holders)) <= body["threshold"] <= len(holders)
    require(reachable, "sumkey_threshold", "the threshold is between 2 and the number of shares")
    exact = int(body["modulus"], 16).bit_length() == body["bits"]
    require(exact, "sumkey_modulus", "the modulus has not the stated number of bits")
    ctx.put_new("sumkey", ctx.record(), "sumkey_exists", "the network has its sum key")


def release(ctx: Context) -> None:
    """Record that a trustee released its share, before it does."""
    intent = _sum_intent(ctx)
    for line in intent.datasets:
        answer = ctx.view.answer(intent.query, line.dataset)
        answered = answer is not None and answer.answered
        require(
            answered, "not_answered", "every dataset of the query must be answered before a share is released"
        )
    where = f"release/{intent.query}/{ctx.body['case']}/{ctx.submitter.id}"
    remedy = "this trustee has released for the case: the index is closed permanently"
    ctx.put_new(where, ctx.record(), "already_released", remedy)


def exception(ctx: Context) -> None:
    """Record that two of the trustee's people allow rows to open in another term set."""
    intent = _sum_intent(ctx)
    where = f"exception/{intent.query}/{ctx.body['case']}/{ctx.submitter.id}"
    ctx.put_new(where, ctx.record(), "exception_exists", "this trustee has an exception for the case")


def _sum_intent(ctx: Context) -> Intent:
    intent = known_intent(ctx)
    require(
        intent.protocol == "sum", "protocol_not_sum", "only a question of protocol sum has a total to open"
    )
    require(ctx.body["case"] < intent.cases, "case_range", "the query has fewer cases")
    return intent
