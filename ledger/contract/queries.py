"""Rules of consents, refusals, answers, closes, totals and notes about cases.

``query.refused``, ``query.answer``, ``query.close``:

- The sequencer records a refused entry by a salted digest, once (how often is its own limit: the contract
  counts nothing).
- The owner of a dataset the intent names says ``answered`` or ``refused:<code>``; a refusal may be followed
  by one ``answered``, and nothing follows ``answered``.
- The office that asked closes once.

``consent.*``, ``certificate.revoke``, ``case.decision``, ``complaint``, ``correction`` and ``incident`` hold
commitments and codes, never content. The registrar commits to consents and revokes them or a certificate,
each once. A certificate may be revoked before its intent arrives; the intent is then refused.
``case.decision``, ``complaint``, ``correction`` and ``incident`` are kept as entries only: nothing later
depends on them.

``sumkey.publish``, ``share.release``, ``share.exception``:

- The sum key is published once, by the office's node, signed by every trustee it names; suite as in genesis,
  a modulus of the stated size, verification values for exactly the holders, and a threshold they can reach.
- A trustee releases once per (query, case, trustee), for a ``sum`` intent every dataset of which is answered:
  a silent source means no release.
- An exception is signed by two of the trustee's people, once per (query, case, trustee).
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
    """Record a department's answer for one dataset."""
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
    """Record that the office closes its query."""
    intent = known_intent(ctx)
    require(
        intent.office == ctx.submitter.id, "not_the_office", "only the office that asked closes the query"
    )
    ctx.put_new(f"close/{intent.query}", ctx.record(), "already_closed", "the query is closed already")


def commit_consents(ctx: Context) -> None:
    """Record salted commitments of consents."""
    mark = {"entry": ctx.entry.id}
    for commitment in ctx.body["commitments"]:
        ctx.put_new(
            f"consent/{commitment}", mark, "consent_exists", "commit to each consent once, with a fresh salt"
        )


def revoke_consent(ctx: Context) -> None:
    """Record that a consent was taken back."""
    commitment = ctx.body["commitment"]
    known = ctx.state.get(f"consent/{commitment}") is not None
    require(known, "consent_unknown", "revoke a consent that was committed here")
    remedy = "the consent is revoked already"
    ctx.put_new(f"consent-revoked/{commitment}", {"entry": ctx.entry.id}, "consent_revoked", remedy)


def revoke_certificate(ctx: Context) -> None:
    """Record that a certificate no longer holds, through all its renewals."""
    remedy = "the certificate is revoked already"
    where = f"certificate-revoked/{ctx.body['digest']}"
    ctx.put_new(where, {"entry": ctx.entry.id}, "certificate_revoked", remedy)


def note(ctx: Context) -> None:
    """Keep the entry; its form and signature are all the contract asks."""


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
