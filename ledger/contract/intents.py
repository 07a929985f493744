"""Rules of ``query.intent``: the one entry without which no department answers.

Checked in this order; the first that fails names the refusal:
1. the certificate is of this network, this office, this entry, and its digest is recomputed and not revoked;
2. the contract's time lies between ``not_before`` and ``not_after``, both included;
3. the element count is a padding step, there are no more cases than elements, and the trace list has one tag
   an element, sorted (above 256 elements: only the Merkle root of the public side file, 32 bytes);
4. the rules are on the ledger with this digest, approved, and name every dataset;
5. datasets are sorted and different, each with the publication current for this office and its K; amounts
   only under protocol ``sum``, and ``sum`` only once the sum key is published (``pad64`` has none);
6. each dataset's grant is active today, of this office and the dataset's owner (a member still), for exactly
   this protocol, reveal and purpose, and lists the dataset with the publication's definition;
7. for each grant exactly ⌈count / its elements per slot⌉ different slots, below its slots, of the period of
   the contract's time, all free, shared by the grant's datasets; no slot of another grant;
8. the registrar named is the registrar now and its node key signed the certificate.

The slots are taken permanently.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ledger.contract.context import Context, require
from ledger.contract.records import Grant, Publication
from ledger.contract.signers import verify_signature
from ledger.contract.view import dataset_owner
from ledger.entries.entry import Signature, certificate_digest, certificate_message
from ledger.entries.times import local_date, period_label
from ledger.errors import EntryRefusedError

LEAST_ELEMENTS = 4
STEP_ELEMENTS = 1024
INLINE_TRACES = 256
_TRACE_HEX = 32


def is_element_step(count: int) -> bool:
    """Whether ``count`` is 4, 8, 16, …, 1024 or a multiple of 1024 (protocols, named parameters)."""
    if count > STEP_ELEMENTS:
        return count % STEP_ELEMENTS == 0
    return count >= LEAST_ELEMENTS and count & (count - 1) == 0


def intent(ctx: Context) -> None:
    """Accept an intent and take its slots."""
    certificate = ctx.body["certificate"]
    _check_binding(ctx, certificate)
    _check_counts(certificate)
    _check_rules(ctx, certificate)
    publications = _current_publications(ctx, certificate)
    grants = {line["grant"]: _active_grant(ctx, line["grant"]) for line in certificate["datasets"]}
    for grant in grants.values():
        _check_width(grant, certificate)
    for line, publication in zip(certificate["datasets"], publications, strict=True):
        _check_coverage(ctx, grants[line["grant"]], publication)
    _take_slots(ctx, grants, certificate["count"])
    _check_registrar(ctx, certificate)
    ctx.state.put(f"intent/{certificate['query']}", ctx.record())


def _check_binding(ctx: Context, certificate: Mapping[str, Any]) -> None:
    same_network = certificate["network"] == ctx.network.network
    require(same_network, "certificate_network", "the certificate is for another network")
    same_office = certificate["office"] == ctx.submitter.id
    require(same_office, "certificate_office", "only the office the certificate names may log its intent")
    same_query = certificate["query"] == ctx.entry.id
    require(same_query, "certificate_query", "the entry's id must be the certificate's query id")
    digest = ctx.body["digest"] if ctx.proven else certificate_digest(certificate)
    require(ctx.body["digest"] == digest, "certificate_digest", "the digest is not that of the certificate")
    live = not ctx.view.certificate_revoked(digest)
    require(live, "certificate_revoked", "the registrar revoked this certificate: ask for a new one")
    begun = certificate["not_before"] <= ctx.now
    require(begun, "certificate_early", "the certificate is not valid yet: submit the intent later")
    valid = ctx.now <= certificate["not_after"]
    require(valid, "certificate_expired", "the certificate has expired: ask the registrar for a renewal")


def _check_counts(certificate: Mapping[str, Any]) -> None:
    count, trace = certificate["count"], certificate["trace"]
    padded = is_element_step(count)
    require(padded, "elements_not_padded", "pad the elements to 4, 8, 16, … 1024 or a multiple of 1024")
    require(certificate["cases"] <= count, "case_count", "there are more cases than elements")
    if count > INLINE_TRACES:
        is_root = len(trace) == 1 and len(trace[0]) == 2 * _TRACE_HEX
        require(
            is_root, "trace_count", "above 256 elements the trace list is the 32-byte root of its side file"
        )
        return
    complete = len(trace) == count and all(len(tag) == _TRACE_HEX for tag in trace)
    require(complete, "trace_count", "the trace list has one 16-byte tag per element")
    require(trace == sorted(trace), "trace_order", "sort the trace list")


def _check_rules(ctx: Context, certificate: Mapping[str, Any]) -> None:
    named = certificate["rules"]
    rules = ctx.view.rules(named["id"], named["version"])
    if rules is None:
        raise EntryRefusedError("rules_unknown", "publish the rules before asking under them")
    require(named["digest"] == rules.digest, "rules_digest", "the digest is not that of the published rules")
    approved = ctx.view.is_approved(named["id"], named["version"])
    remedy = "an auditor and every owner of an amount dataset must approve the rules first"
    require(approved, "rules_not_approved", remedy)
    datasets = [line["dataset"] for line in certificate["datasets"]]
    listed = all(dataset in rules.datasets for dataset in datasets)
    require(listed, "dataset_not_in_rules", "ask only datasets that the rules name")
    ascending = all(left < right for left, right in pairwise(datasets))
    require(ascending, "datasets_order", "name each dataset once, in ascending order")


def _current_publications(ctx: Context, certificate: Mapping[str, Any]) -> list[Publication]:
    is_sum = certificate["protocol"] == "sum"
    ready = not is_sum or ctx.network.suite == "pad64" or ctx.view.sumkey() is not None
    require(ready, "sumkey_missing", "publish the network's sum key before asking for totals")
    found = []
    for line in certificate["datasets"]:
        current = ctx.view.current(line["dataset"], ctx.submitter.id)
        if current is None or current.label != line["publication"]:
            remedy = "ask about the publication that this office and an auditor verified last"
            raise EntryRefusedError("publication_not_current", remedy)
        same_key = line["key"] == current.key
        require(same_key, "publication_key", "the key is not that of the publication on the ledger")
        fits = is_sum or current.kind == "member"
        require(fits, "protocol_not_sum", "a question that names an amount dataset is of protocol sum")
        found.append(current)
    return found


def _active_grant(ctx: Context, grant: str) -> Grant:
    found = ctx.view.grant(grant)
    if found is None:
        raise EntryRefusedError("grant_unknown", "name a grant that is on the ledger")
    require(found.status != "revoked", "grant_revoked", "the owner revoked the grant: request a new one")
    require(found.status == "approved", "grant_not_approved", "the owner has not approved the grant")
    today = local_date(ctx.now)
    require(found.first <= today <= found.last, "grant_dates", "the grant does not cover today (UTC+8)")
    return found


def _check_width(grant: Grant, certificate: Mapping[str, Any]) -> None:
    own = grant.requester == certificate["office"]
    require(own, "grant_requester", "the grant was given to another office")
    same_protocol = grant.protocol == certificate["protocol"]
    require(same_protocol, "grant_protocol", "every grant of a question says the question's protocol")
    require(grant.reveal == certificate["reveal"], "grant_reveal", "the grant allows another kind of result")
    require(grant.purpose == certificate["purpose"], "grant_purpose", "the grant is for another purpose")


def _check_coverage(ctx: Context, grant: Grant, publication: Publication) -> None:
    owner = ctx.view.member(dataset_owner(publication.dataset))
    present = owner is not None and owner.has("department")
    require(present, "owner_gone", "the owner of a dataset is no department of the network any more")
    definition = grant.datasets.get(publication.dataset)
    require(definition is not None, "grant_dataset", "the grant does not list the dataset")
    same = definition == publication.definition
    require(
        same, "definition_changed", "the dataset is defined otherwise than when granted: request a new grant"
    )


def _take_slots(ctx: Context, grants: Mapping[str, Grant], count: int) -> None:
    taken = dict.fromkeys(grants, 0)
    mark = {"query": ctx.entry.id}
    seen: set[str] = set()
    for slot in ctx.body["slots"]:
        grant = grants.get(slot["grant"])
        if grant is None:
            raise EntryRefusedError("slot_grant", "take slots only of grants the certificate names")
        right_period = slot["period"] == period_label(ctx.now, grant.period)
        require(right_period, "slot_period", "take slots of the current period (UTC+8)")
        require(slot["slot"] < grant.slots, "slot_range", "the grant has fewer slots a period")
        key = f"slot/{grant.grant}/{slot['period']}/{slot['slot']}"
        require(key not in seen, "slot_twice", "name each slot once")
        seen.add(key)
        ctx.put_new(key, mark, "slot_taken", "choose a slot that is free")
        taken[grant.grant] += 1
    for grant in grants.values():
        exact = taken[grant.grant] == -(-count // grant.elements)
        require(
            exact,
            "slot_count",
            "take exactly the padded count over the grant's elements per slot, rounded up",
        )


def _check_registrar(ctx: Context, certificate: Mapping[str, Any]) -> None:
    registrar = ctx.view.member(certificate["registrar"])
    if registrar is None or not registrar.has("registrar"):
        raise EntryRefusedError(
            "registrar_role", "the certificate must be from the member that is registrar now"
        )
    signature = Signature(**ctx.body["signature"])
    key = registrar.key_for("node")
    if key is None or signature.key != key.id:
        raise EntryRefusedError(
            "registrar_key", "the certificate must be signed by the registrar's active node key"
        )
    if not ctx.proven:
        verify_signature(key, signature, certificate_message(certificate), "certificate_signature")
