"""Finished checks in the network of ``world``, one of each outcome, and their reports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from adapters.identifiers import canonical_bytes, resident_id
from ledger.entries import bodies
from ledger.entries.certificate import certificate_digest, certificate_message
from node.case import Case
from node.member_keys import signature
from node.office.calls import SignedRefusal
from node.office.check import Office, refused_verdict
from node.office.check_state import CheckState, Total
from node.office.inquiry import Inquiry, member_positions
from node.office.report import build_report
from node.references import rule_datasets
from node.rules.verdict import Household, decide, needs_total, summed_lines
from protocols.check import certificate as certificates
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest
from protocols.check.certificate import refusal_message
from protocols.check.terms import (
    expected_terms,
    list_digest,
    list_document,
    list_message,
    signed_ciphertexts,
)
from protocols.encoding import commit, fields
from protocols.psi import group
from protocols.sums import shareproof
from protocols.sums.shareproof import ListContext
from protocols.sums.threshold import combine, decode, partial
from tests.node.report.world import AGED, IDS, LABEL, PLAIN, STRICT, World, key, sum_key, world


def refuse(net: World, case: Case, rules: str, code: str) -> CheckState:
    """A case the registrar refuses."""
    inquiry = Inquiry(
        secrets.token_hex(16), case.case, [group.random_scalar() for _ in case.household], "", ""
    )
    salt = secrets.token_bytes(32)
    document = {
        "v": 1,
        "network": net.network,
        "office": "office",
        "registrar": "desk",
        "query": inquiry.query,
        "code": code,
        "household": commit(salt, b"household", *(one.id.encode() for one in case.household)).hex(),
    }
    refusal = SignedRefusal(document, signature(key("desk"), refusal_message(document)), salt)
    finished = CheckState(case, net.rules[rules], inquiry, refusal)
    finished.verdict = refused_verdict(case, code)
    return finished


def finish(
    net: World,
    case: Case,
    rules: str,
    *,
    silent: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> CheckState:
    """Run a case to its end.

    Args:
        silent: reason by dataset that is asked and does not answer.
        missing: reason by dataset that is not asked.
    """
    rule_set, silent, missing = net.rules[rules], dict(silent or {}), dict(missing or {})
    blinds = [group.random_scalar() for _ in case.household]
    current = Inquiry(secrets.token_hex(16), case.case, blinds, "", "")
    finished = CheckState(case, rule_set, current)
    _certify(net, finished, [name for name in rule_set.datasets if name not in missing])
    finished.positions = member_positions(case, current)
    if current.certificate["datasets"]:
        _intent(net, current)
        for item in current.certificate["datasets"]:
            if item["dataset"] not in silent:
                _answer(net, finished, item["dataset"])
        net.flush()
    Office(net.services)._look_up(finished, missing | silent)
    if needs_total(rule_set, finished.lines) and summed_lines(rule_set, finished.lines):
        finished.total = _total(net, finished)
    elif current.certificate["datasets"] and not silent:
        random = secrets.token_hex(32)
        net.submit("share.release", "trust", bodies.share_release(current.query, 0, random))
        net.flush()
    net = None if finished.total is None else finished.total.net
    finished.verdict = decide(rule_set, Household(len(case.household)), finished.lines, net)
    return finished


def _certify(net: World, finished: CheckState, datasets: Sequence[str]) -> None:
    current, rules = finished.inquiry, finished.rules
    terms = certificates.Terms(
        network=net.network,
        office="office",
        registrar="desk",
        query=current.query,
        protocol="sum",
        reveal="total",
        purpose="dibao",
        rules={"id": rules.id, "version": rules.version, "digest": rules.digest},
        datasets=tuple(
            certificates.CertifiedDataset(
                name, LABEL, net.published[name].public, f"g-{name.partition('.')[0]}"
            )
            for name in sorted(datasets)
        ),
        cases=1,
    )
    persons = [
        certificates.BlindedPerson(canonical_bytes(resident_id(one.id)), blind, 0, secrets.token_hex(16))
        for one, blind in zip(finished.case.household, current.blinds, strict=True)
    ]
    document, openings = certificates.certify(terms, persons, b"padding" * 8, net.time(-120), net.time(900))
    current.certificate, current.openings = document, openings.to_json()
    current.signature = signature(key("desk"), certificate_message(document))


def _intent(net: World, current: Inquiry) -> None:
    certificate = current.certificate
    digest = certificate_digest(certificate)
    operator = signature(key("office", "a"), bytes.fromhex(digest))
    salt = secrets.token_bytes(32)
    current.operator = {"salt": salt.hex(), **operator}
    grants = sorted({item["grant"] for item in certificate["datasets"]})
    slot = next(n for n in range(100) if net.view.slot_taken(grants[0], "2026-11", n) is None)
    body = {
        "certificate": certificate,
        "signature": current.signature,
        "digest": digest,
        "operator": commit(salt, fields(operator["key"].encode(), bytes.fromhex(operator["sig"]))).hex(),
        "slots": [{"grant": grant, "period": "2026-11", "slot": slot} for grant in grants],
    }
    net.submit("query.intent", "office", body, id=current.query)
    net.flush()


def _answer(net: World, finished: CheckState, dataset: str) -> None:
    current, owner = finished.inquiry, dataset.partition(".")[0]
    published = net.published[dataset]
    betas, proof = evaluate(published.key, published.public, list(current.opened().elements))
    salt = secrets.token_bytes(32)
    response = response_digest(salt, betas, proof)
    receipt = signature(key(owner), receipt_message(current.certificate, dataset, response))
    finished.answers[dataset] = Answer(dataset, betas, proof, salt, receipt)
    body = bodies.query_answer(current.query, dataset, "answered", response.hex())
    net.submit("query.answer", owner, body)


def _total(net: World, finished: CheckState) -> Total:
    current = finished.inquiry
    rules = rule_datasets(net.view, current.certificate["rules"])
    terms = expected_terms(list(current.opened().real), rules, finished.evidence.lines)
    document = list_document(current.certificate, 0, terms)
    digest = list_digest(document)
    public_key, shares = sum_key()
    rows = signed_ciphertexts(terms, finished.evidence.lines)
    total = public_key.public.combine([(public_key.public.from_bytes(data), sign) for data, sign in rows])
    context, salt = ListContext(net.network, current.query, digest), secrets.token_bytes(32)
    recorded = commit(salt, b"list", digest).hex()
    net.submit("share.release", "trust", bodies.share_release(current.query, 0, recorded))
    net.flush()
    values, shown = {}, []
    for share in shares:
        values[share.holder] = partial(public_key, share, total)
        proof = shareproof.prove(public_key, share, total, values[share.holder], context)
        value = public_key.public.to_bytes(values[share.holder]).hex()
        shown.append({"holder": share.holder, "list": digest.hex(), "proof": proof.hex(), "value": value})
    shown[1]["salt"] = salt.hex()
    net = decode(public_key.public, combine(public_key, values), len(rows))
    return Total(net, document, signature(key("office"), list_message(document)), shown)


OUTCOMES: dict[str, Callable[[World], CheckState]] = {
    "total": lambda w: finish(w, w.case("2026-000001", PLAIN, IDS[0], IDS[2], IDS[3]), PLAIN),
    "single": lambda w: finish(w, w.case("2026-000002", PLAIN, IDS[3], IDS[2], IDS[4]), PLAIN),
    "no_rows": lambda w: finish(w, w.case("2026-000003", PLAIN, IDS[3]), PLAIN),
    "vetoed": lambda w: finish(w, w.case("2026-000004", PLAIN, IDS[0], IDS[1]), PLAIN),
    "gaps": lambda w: finish(
        w,
        w.case("2026-000005", AGED, IDS[0], IDS[3]),
        AGED,
        silent={"tax.owner": "refused_grant"},
        missing={"bank.deposit": "unpublished"},
    ),
    "region": lambda w: finish(w, _elsewhere(w), STRICT, missing={"bank.deposit": "no_grant"}),
    "nothing": lambda w: finish(
        w,
        w.case("2026-000007", PLAIN, IDS[3]),
        PLAIN,
        missing=dict.fromkeys(w.rules[PLAIN].datasets, "no_grant"),
    ),
    "no_consent": lambda w: refuse(w, _unwilling(w), PLAIN, "no_consent"),
    "invalid": lambda w: refuse(
        w, w.case("2026-000009", PLAIN, IDS[0], "331022198001010011"), PLAIN, "invalid_identifier"
    ),
}


def with_person(case: Case, place: int, **changes: Any) -> Case:
    """The case with one person changed."""
    household = list(case.household)
    household[place] = household[place].model_copy(update=changes)
    return case.model_copy(update={"household": tuple(household)})


def _elsewhere(made: World) -> Case:
    case = made.case("2026-000006", STRICT, IDS[0], IDS[3])
    return with_person(case, 0, region="440100")


def _unwilling(made: World) -> Case:
    case = made.case("2026-000008", PLAIN, IDS[0], IDS[3])
    return with_person(case, 1, consent="none")


@cache
def finished(outcome: str) -> CheckState:
    """A finished check of each kind, made once."""
    return OUTCOMES[outcome](world())


@cache
def report(outcome: str) -> bytes:
    """Its report."""
    return build_report(world().services, finished(outcome))
