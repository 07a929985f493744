"""Finished checks in the network of ``world``, one of each outcome, and their reports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from adapters.identifiers import canonical_bytes, resident_id
from ledger.entries import bodies
from ledger.entries.entry import Signature, certificate_digest, certificate_message
from node.case import Case
from node.member_keys import sign
from node.office.answers import look_up
from node.office.calls import SignedRefusal
from node.office.check import refused_verdict
from node.office.check_state import Answers, Certification, CheckState, HouseholdLines
from node.office.inquiry import Inquiry, OperatorSignature, member_positions
from node.office.report import build_report
from node.references import rule_datasets
from node.report.parts import ReportTotal
from node.rules.ruleset import RuleSet
from node.rules.verdict import NO_GRANT, UNPUBLISHED, Gap, Household, decide, needs_total, summed_lines
from protocols.check.answer import Answer, evaluate, receipt_message, response_digest
from protocols.check.certificate import (
    CertifiedDataset,
    RefusalDocument,
    RulesReference,
    Terms,
    commit_household,
)
from protocols.check.certify import BlindedPerson, certify
from protocols.check.openings import CertifiedQuestion
from protocols.check.terms import PartialOpening, TermList, expected_terms, signed_ciphertexts
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
    household = commit_household(salt, [one.id for one in case.household])
    document = RefusalDocument(net.network, "office", "desk", inquiry.query, code, household)
    refusal = SignedRefusal(document, sign(key("desk"), document.message), salt)
    return CheckState(case, net.rules[rules], inquiry, refused_verdict(case, code), refusal)


def finish(
    net: World,
    case: Case,
    rules: str,
    *,
    silent: Mapping[str, Gap] | None = None,
    missing: Mapping[str, Gap] | None = None,
) -> CheckState:
    """Run a case to its end.

    Args:
        silent: reason by dataset that is asked and does not answer.
        missing: reason by dataset that is not asked.
    """
    rule_set, silent, missing = net.rules[rules], dict(silent or {}), dict(missing or {})
    blinds = [group.random_scalar() for _ in case.household]
    current = Inquiry(secrets.token_hex(16), case.case, blinds, "", "")
    _certify(net, case, rule_set, current, [name for name in rule_set.datasets if name not in missing])
    certification = Certification(member_positions(case, blinds, current.openings), missing)
    given: dict[str, Answer] = {}
    if current.certificate.datasets:
        _intent(net, current)
        for item in current.certificate.datasets:
            if item.dataset not in silent:
                given[item.dataset] = _answer(net, current, item.dataset)
        net.flush()
    answers = Answers(given, silent)
    lines = look_up(net.services, case, rule_set, current, certification, answers)
    total = None
    if needs_total(rule_set, lines.lines) and summed_lines(rule_set, lines.lines):
        total = _total(net, current, lines)
    elif current.certificate.datasets and not silent:
        random = secrets.token_hex(32)
        net.submit("share.release", "trust", bodies.share_release(current.query, 0, random))
        net.flush()
    opened = None if total is None else total.net_fen
    verdict = decide(rule_set, Household(len(case.household)), lines.lines, opened)
    return CheckState(
        case,
        rule_set,
        current,
        verdict,
        positions=certification.positions,
        answers=answers,
        lines=lines,
        total=total,
    )


def _certify(net: World, case: Case, rules: RuleSet, current: Inquiry, datasets: Sequence[str]) -> None:
    terms = Terms(
        network=net.network,
        office="office",
        registrar="desk",
        query=current.query,
        protocol="sum",
        reveal="total",
        purpose="dibao",
        rules=RulesReference(rules.id, rules.version, rules.digest),
        datasets=tuple(
            CertifiedDataset(name, LABEL, net.published[name].public, f"g-{name.partition('.')[0]}")
            for name in sorted(datasets)
        ),
        cases=1,
    )
    persons = [
        BlindedPerson(canonical_bytes(resident_id(one.id)), blind, 0, secrets.token_hex(16))
        for one, blind in zip(case.household, current.blinds, strict=True)
    ]
    certificate, openings = certify(terms, persons, b"padding" * 8, net.time(-120), net.time(900))
    signed = sign(key("desk"), certificate_message(certificate.to_json()))
    current.certified = CertifiedQuestion(certificate, signed, openings)


def _intent(net: World, current: Inquiry) -> None:
    document = current.certificate.to_json()
    operator = sign(key("office", "a"), bytes.fromhex(certificate_digest(document)))
    salt = secrets.token_bytes(32)
    current.operator = OperatorSignature(salt, operator)
    grants = sorted({item.grant for item in current.certificate.datasets})
    slot = next(n for n in range(100) if net.view.slot_taken(grants[0], "2026-11", n) is None)
    body = bodies.query_intent(
        document,
        Signature(**current.signature.to_json()),
        commit(salt, fields(operator.key.encode(), operator.raw)).hex(),
        [(grant, "2026-11", slot) for grant in grants],
    )
    net.submit("query.intent", "office", body, id=current.query)
    net.flush()


def _answer(net: World, current: Inquiry, dataset: str) -> Answer:
    owner, published = dataset.partition(".")[0], net.published[dataset]
    betas, proof = evaluate(published.key, published.public, list(current.openings.elements))
    salt = secrets.token_bytes(32)
    response = response_digest(salt, betas, proof)
    receipt = sign(key(owner), receipt_message(current.certificate, dataset, response))
    body = bodies.query_answer(current.query, dataset, "answered", response.hex())
    net.submit("query.answer", owner, body)
    return Answer(dataset, betas, proof, salt, receipt)


def _total(net: World, current: Inquiry, lines: HouseholdLines) -> ReportTotal:
    rules = rule_datasets(net.view, current.certificate.rules)
    terms = expected_terms(list(current.openings.real), rules, lines.evidence.lines)
    listed = TermList.of(current.certificate, 0, terms)
    public_key, holders = sum_key()
    rows = signed_ciphertexts(terms, lines.evidence.lines)
    total = public_key.public.combine([(public_key.public.from_bytes(data), sign) for data, sign in rows])
    context, salt = ListContext(net.network, current.query, listed.digest), secrets.token_bytes(32)
    recorded = commit(salt, b"list", listed.digest).hex()
    net.submit("share.release", "trust", bodies.share_release(current.query, 0, recorded))
    net.flush()
    values, shown = {}, []
    for share in holders:
        values[share.holder] = partial(public_key, share, total)
        proof = shareproof.prove(public_key, share, total, values[share.holder], context)
        value = public_key.public.to_bytes(values[share.holder])
        salted = None if share.holder == "office" else salt
        shown.append(PartialOpening(share.holder, listed.digest, proof, value, salted))
    opened = decode(public_key.public, combine(public_key, values), len(rows))
    return ReportTotal(listed, sign(key("office"), listed.message), tuple(shown), opened)


OUTCOMES: dict[str, Callable[[World], CheckState]] = {
    "total": lambda w: finish(w, w.case("2026-000001", PLAIN, IDS[0], IDS[2], IDS[3]), PLAIN),
    "single": lambda w: finish(w, w.case("2026-000002", PLAIN, IDS[3], IDS[2], IDS[4]), PLAIN),
    "no_rows": lambda w: finish(w, w.case("2026-000003", PLAIN, IDS[3]), PLAIN),
    "vetoed": lambda w: finish(w, w.case("2026-000004", PLAIN, IDS[0], IDS[1]), PLAIN),
    "gaps": lambda w: finish(
        w,
        w.case("2026-000005", AGED, IDS[0], IDS[3]),
        AGED,
        silent={"tax.owner": Gap.refused("grant")},
        missing={"bank.deposit": UNPUBLISHED},
    ),
    "region": lambda w: finish(w, _elsewhere(w), STRICT, missing={"bank.deposit": NO_GRANT}),
    "nothing": lambda w: finish(
        w,
        w.case("2026-000007", PLAIN, IDS[3]),
        PLAIN,
        missing=dict.fromkeys(w.rules[PLAIN].datasets, NO_GRANT),
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
