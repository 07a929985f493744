"""The terms of a household's total: exactly the certified people's rows, all of them and no other.

Round::

    office → trustee     certificate, intent's receipt, openings, answers, lines and element proofs of the
                         datasets that decide the total, the signed term list       (OpenRequest)
    trustee → office     its share of C and the proof, after share.release is on the ledger

For **every** real element of the case and **every** amount dataset of the rules, with the sign the rules
give, the list has exactly one term:

    row        the leaf of the element's proven tag
    absent     neighbours prove there is no such leaf
    excluded   a proven match of that element in an ``exclude`` dataset

For every real element and every ``exclude`` dataset match or no match is proven. A match allows only
``excluded``, for all amount datasets; no match in all allows only ``row`` or ``absent``. No leaf stands
twice. Nothing else may appear. So a row cannot be smuggled in, left out, paired with another ciphertext, or
belong to someone uncertified.

The total is C = Π c_j^{±1} mod n² over the ``row`` terms, computed by office, trustee and verifier each from
the leaves. The trustee takes no ciphertext from anyone and nothing is re-randomised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import canonical
from protocols.check.evidence import EvidenceLine
from protocols.errors import TermListError
from protocols.profiles import TAG_BYTES
from protocols.psi.publication import MatchProof

TERMS_DOMAIN = b"hedui/terms/v1\x00"
ROW = "row"
ABSENT = "absent"
EXCLUDED = "excluded"


@dataclass(frozen=True)
class Term:
    """One element and amount dataset of a total.

    Attributes:
        element: position of the element in the certified list.
        dataset: amount dataset.
        sign: +1 income, −1 deduction.
        kind: ``row``, ``absent`` or ``excluded``.
        index: the row's leaf index; None unless ``row``.
        leaf: SHA-256 of the row's leaf bytes; None unless ``row``.
    """

    element: int
    dataset: str
    sign: int
    kind: str
    index: int | None = None
    leaf: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """The signed list's form."""
        value: dict[str, Any] = {
            "element": self.element,
            "dataset": self.dataset,
            "sign": self.sign,
            "kind": self.kind,
        }
        if self.kind == ROW:
            value["index"] = self.index
            value["leaf"] = None if self.leaf is None else self.leaf.hex()
        return value


@dataclass(frozen=True)
class RuleDatasets:
    """Dataset ids of a rule set, as ``rules.publish`` records them.

    Attributes:
        income, deduct, veto, exclude: dataset ids.
    """

    income: tuple[str, ...]
    deduct: tuple[str, ...]
    veto: tuple[str, ...]
    exclude: tuple[str, ...]

    @property
    def signs(self) -> dict[str, int]:
        """Sign of each amount dataset."""
        return dict.fromkeys(self.income, 1) | dict.fromkeys(self.deduct, -1)


def expected_terms(
    elements: Sequence[int], rules: RuleDatasets, lines: Mapping[tuple[int, str], EvidenceLine]
) -> tuple[Term, ...]:
    """The one list the rules and the proven lines allow for these elements.

    Args:
        elements: positions of the real elements of the case, ascending.
        rules: dataset ids with their signs.
        lines: verified lines by (element, dataset).

    Raises:
        TermListError: a line that the rules need is missing, or a leaf would stand twice.
    """
    terms: list[Term] = []
    for element in elements:
        excluded = [_line(lines, element, dataset).answer == "match" for dataset in rules.exclude]
        for dataset, sign in sorted(rules.signs.items()):
            if any(excluded):
                terms.append(Term(element, dataset, sign, EXCLUDED))
                continue
            proof = _line(lines, element, dataset).proof
            if isinstance(proof, MatchProof):
                leaf = hashlib.sha256(proof.leaf).digest()
                terms.append(Term(element, dataset, sign, ROW, proof.index, leaf))
            else:
                terms.append(Term(element, dataset, sign, ABSENT))
    rows = [(term.dataset, term.index) for term in terms if term.kind == ROW]
    if len(set(rows)) != len(rows):
        raise TermListError("a row stands twice in the list of a total")
    return tuple(terms)


def _line(lines: Mapping[tuple[int, str], EvidenceLine], element: int, dataset: str) -> EvidenceLine:
    """The proven line of an element and dataset."""
    try:
        return lines[element, dataset]
    except KeyError as error:
        raise TermListError(
            f"{dataset} has no proven answer for a certified element: a total needs all of them"
        ) from error


def list_document(certificate: Mapping[str, Any], case: int, terms: Iterable[Term]) -> dict[str, Any]:
    """The term list as the canonical object that the office signs and whose digest binds the shares."""
    return {
        "v": 1,
        "network": certificate["network"],
        "query": certificate["query"],
        "case": case,
        "rules": dict(certificate["rules"]),
        "terms": [term.to_json() for term in terms],
    }


def list_message(document: Mapping[str, Any]) -> bytes:
    """Bytes the office signs."""
    return TERMS_DOMAIN + canonical.encode(dict(document))


def list_digest(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of the signed list's message, 32 bytes: it binds shares and proofs to this list."""
    return hashlib.sha256(list_message(document)).digest()


def check_list(
    document: Mapping[str, Any],
    certificate: Mapping[str, Any],
    case: int,
    elements: Sequence[int],
    rules: RuleDatasets,
    lines: Mapping[tuple[int, str], EvidenceLine],
) -> tuple[Term, ...]:
    """The signed list is exactly the list that rules and proven lines allow.

    Returns:
        The terms, recomputed.

    Raises:
        TermListError: it differs, and how.
    """
    terms = expected_terms(elements, rules, lines)
    expected = list_document(certificate, case, terms)
    if dict(document) == expected:
        return terms
    for name in ("v", "network", "query", "case", "rules"):
        if document.get(name) != expected[name]:
            raise TermListError(f"the list's {name} is not that of the certificate")
    named = document.get("terms")
    if not isinstance(named, list):
        raise TermListError("the list has no terms: send those of the certified elements")
    listed = [canonical.encode(term) for term in named]
    wanted = [canonical.encode(term) for term in expected["terms"]]
    if len(set(listed)) != len(listed):
        raise TermListError("a term stands twice in the list")
    if set(wanted) - set(listed):
        raise TermListError("the list leaves out a term that the certified elements and the rules demand")
    if set(listed) - set(wanted):
        raise TermListError("the list names a term that belongs to no certified element")
    raise TermListError("the list's terms are not in their order")


def signed_ciphertexts(
    terms: Iterable[Term], lines: Mapping[tuple[int, str], EvidenceLine]
) -> list[tuple[bytes, int]]:
    """(ciphertext bytes, sign) of each row term, in the list's order."""
    rows: list[tuple[bytes, int]] = []
    for term in terms:
        if term.kind != ROW:
            continue
        proof = lines[term.element, term.dataset].proof
        if not isinstance(proof, MatchProof):
            raise TermListError("a row term has no leaf")
        rows.append((proof.leaf[TAG_BYTES:], term.sign))
    return rows
