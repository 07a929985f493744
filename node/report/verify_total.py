"""Checks ``terms``, ``release``, ``shares``, ``total``, ``verdict``: the total and what follows.

    terms     the signed list is the one list that rules and proven lines allow; the office signed it
    release   every trustee whose share is shown recorded its release of exactly this list
    shares    each share is its holder's opening of C = Π c^{±1}, recomputed from the leaves, for this list
    total     the shares combine and decode to the stated fen
    verdict   outcome, net income, heads and grounds, recomputed from lines, rules and total

Where nothing needs opening there is no total, and a total that was not needed fails ``verdict``.
"""

from __future__ import annotations

from typing import Any

from node.membership.sum_key import sum_key
from node.report.findings import CheckFailedError, require
from node.report.subject import Subject, text_of
from node.rules.verdict import SUMMED, Household, LineAnswer, VerdictLine, decide
from protocols.check.json_form import SignatureValue
from protocols.check.openings import recorded_list
from protocols.check.terms import PartialOpening, check_list, expected_terms, signed_ciphertexts
from protocols.sums import shareproof
from protocols.sums.shareproof import ListContext
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import combine, decode

CASE_INDEX = 0


def check_result(subject: Subject) -> None:
    """Run every check of this module."""
    if subject.report.get("total") is not None:
        check_terms(subject)
        check_release(subject)
        check_shares(subject)
        check_total(subject)
    check_verdict(subject)


def check_terms(subject: Subject) -> None:
    """The list and its signature."""
    with subject.found.check("terms"):
        lines, elements = subject.evidence, subject.elements
        check_list(subject.term_list, subject.certificate, CASE_INDEX, elements, subject.rule_datasets, lines)
    with subject.found.check("terms"):
        signature = SignatureValue.parse(subject.report["total"]["list_signature"])
        subject.proven.check_signature(subject.office, signature, subject.term_list.message, subject.asked_at)


def check_release(subject: Subject) -> None:
    """``share.release`` of every trustee shown, for this list."""
    for share in _shares(subject):
        holder = str(share.get("holder"))
        if holder == subject.report.get("office"):
            continue
        with subject.found.check("release", holder):
            digest = subject.term_list.digest
            recorded = subject.view.release(subject.query, CASE_INDEX, holder)
            if recorded is None:
                raise CheckFailedError("the trustee's release is not among the report's proven entries")
            salt = PartialOpening.parse(share).salt
            opened = None if salt is None else recorded_list(salt, digest).hex()
            require(recorded.list == opened, "the trustee released another list")


def check_shares(subject: Subject) -> None:
    """Holders, and each share's proof."""
    with subject.found.check("shares"):
        key = sum_key(subject.view)
        holders = [text_of(share, "holder") for share in subject.report["total"]["shares"]]
        require(holders == sorted(set(holders)), "the shares are not in their order, each holder's once")
        require(set(holders) <= set(key.holders), "a share is of nobody who holds one")
        require(key.office in holders and len(holders) >= key.threshold, "too few holders' shares are shown")
        require(key.office == subject.office, "the sum key is another office's")
    for item in _shares(subject):
        with subject.found.check("shares", str(item.get("holder"))):
            key, share = sum_key(subject.view), PartialOpening.parse(item)
            require(share.list == subject.term_list.digest, "the share is of another list")
            require(
                (share.salt is not None) == (share.holder != key.office),
                "a trustee's share opens its release, no other",
            )
            ciphertext, _ = _ciphertext(subject, key)
            value = key.public.from_bytes(share.value)
            context = ListContext(subject.network, subject.query, share.list)
            shareproof.verify(key, share.holder, ciphertext, value, share.proof, context)


def check_total(subject: Subject) -> None:
    """The opened value."""
    with subject.found.check("total"):
        key = sum_key(subject.view)
        shares = [PartialOpening.parse(item) for item in subject.report["total"]["shares"]]
        values = {share.holder: key.public.from_bytes(share.value) for share in shares}
        _, rows = _ciphertext(subject, key)
        net = decode(key.public, combine(key, values), rows)
        require(net == subject.net_fen, "the shares open to another total than stated")


def check_verdict(subject: Subject) -> None:
    """Outcome, net income, heads and grounds."""
    with subject.found.check("verdict"):
        given = subject.report["verdict"]
        if subject.refused:
            _check_refused(subject, given)
            return
        household = Household(subject.household_size)
        lines = [VerdictLine(line.member, line.dataset, _word(line.answer)) for line in subject.lines]
        verdict = decide(subject.rules, household, lines, subject.net_fen)
        for name in ("outcome", "net_fen", "heads"):
            same = given[name] == getattr(verdict, name)
            require(same, f"{name} does not follow from the lines and the rules")
        require(
            given["reasons"] == verdict.to_json()["reasons"],
            "the grounds do not follow from the lines and the rules",
        )


def _check_refused(subject: Subject, given: dict[str, Any]) -> None:
    """A refused case: nothing is known, and its grounds name the household's members or nobody."""
    require(given["net_fen"] is None and given["heads"] is None, "no question left, so nothing is counted")
    members = [reason["member"] for reason in given["reasons"]]
    bare = all(reason["dataset"] is None and reason["limit"] is None for reason in given["reasons"])
    require(bare, "the grounds of a refusal name no dataset or limit")
    if members == [None]:
        return
    size = subject.household_size
    inside = members == sorted(set(members)) and all(1 <= member <= size for member in members)
    require(bool(members) and inside, "the grounds name a member outside the household, or one twice")


def _shares(subject: Subject) -> list[dict[str, Any]]:
    """The shares, as far as they are objects."""
    total = subject.report.get("total")
    given = total.get("shares") if isinstance(total, dict) else None
    return [share for share in given if isinstance(share, dict)] if isinstance(given, list) else []


def _ciphertext(subject: Subject, key: SumKey) -> tuple[int, int]:
    """C of the proven lines and the number of its rows."""
    lines = subject.evidence
    rows = signed_ciphertexts(expected_terms(subject.elements, subject.rule_datasets, lines), lines)
    return key.public.combine([(key.public.from_bytes(data), sign) for data, sign in rows]), len(rows)


def _word(answer: str) -> LineAnswer:
    """The rules' word for a shown answer."""
    return LineAnswer.MATCH if answer == SUMMED else LineAnswer(answer)
