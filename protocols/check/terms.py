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

``PartialOpening`` is a holder's share as it crosses the wire and stands in a report. The value is the
holder's partial opening of C (``protocols.sums.threshold``); the proof shows that it is
right (``protocols.sums.shareproof``). A trustee's share also carries the salt that opens its
``share.release``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import canonical
from protocols.check.certificate import NAME, QUERY_ID, Certificate, RulesReference
from protocols.check.evidence import EvidenceLine
from protocols.check.json_form import JsonForm, choice, integer, listed, octets, part, text
from protocols.errors import EvidenceError, TermListError
from protocols.profiles import TAG_BYTES
from protocols.psi.publication import MatchProof

TERMS_DOMAIN = b"hedui/terms/v1\x00"
ROW = "row"
ABSENT = "absent"
EXCLUDED = "excluded"
_TERM_FORM = JsonForm(
    "a term",
    TermListError,
    {
        "element": integer(0),
        "dataset": text(128),
        "sign": integer(-1, 1),
        "kind": choice(ROW, ABSENT, EXCLUDED),
        "index": integer(0),
        "leaf": octets(32),
    },
    optional=frozenset({"index", "leaf"}),
)


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

    @classmethod
    def parse(cls, value: object) -> Term:
        """Read the signed list's form.

        Raises:
            TermListError: a field is missing, unknown or malformed, or belongs to another kind of term.
        """
        term = cls(**_TERM_FORM.read(value))
        if (term.index is not None, term.leaf is not None) != (term.kind == ROW, term.kind == ROW):
            raise TermListError("a term names a leaf exactly when it is a row")
        if term.sign == 0:
            raise TermListError("a term's sign is 1 or -1")
        return term

    def to_json(self) -> dict[str, Any]:
        """The signed list's form."""
        return _TERM_FORM.write(self)


_LIST_FORM = JsonForm(
    "the term list",
    TermListError,
    {
        "network": NAME,
        "query": QUERY_ID,
        "case": integer(0),
        "rules": part(RulesReference.parse),
        "terms": listed(part(Term.parse)),
    },
    version=1,
)


@dataclass(frozen=True)
class TermList:
    """The list of a total's terms, which the office signs and whose digest binds the shares.

    Attributes:
        network, query, rules: of the certificate.
        case: case index.
        terms: every term, by element and dataset.
    """

    network: str
    query: str
    case: int
    rules: RulesReference
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, certificate: Certificate, case: int, terms: Iterable[Term]) -> TermList:
        """The list of one case of a certified question."""
        return cls(certificate.network, certificate.query, case, certificate.rules, tuple(terms))

    @classmethod
    def parse(cls, value: object) -> TermList:
        """Read a list's JSON object; ``to_json`` gives back exactly this object.

        Raises:
            TermListError: a field is missing, unknown or malformed; the message names it.
        """
        return cls(**_LIST_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """The object that is signed."""
        return _LIST_FORM.write(self)

    @property
    def message(self) -> bytes:
        """The bytes the office signs."""
        return list_message(self.to_json())

    @property
    def digest(self) -> bytes:
        """SHA-256 of the signed bytes, 32 bytes: it binds shares and proofs to this list."""
        return hashlib.sha256(self.message).digest()


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


def list_message(document: Mapping[str, Any]) -> bytes:
    """Bytes the office signs, of a list's JSON object."""
    return TERMS_DOMAIN + canonical.encode(dict(document))


def list_digest(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of the signed bytes of a list's JSON object, 32 bytes."""
    return hashlib.sha256(list_message(document)).digest()


def check_list(
    listed: TermList,
    certificate: Certificate,
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
    expected = TermList.of(certificate, case, expected_terms(elements, rules, lines))
    if listed == expected:
        return expected.terms
    for name in ("network", "query", "case", "rules"):
        if getattr(listed, name) != getattr(expected, name):
            raise TermListError(f"the list's {name} is not that of the certificate")
    given, wanted = set(listed.terms), set(expected.terms)
    if len(given) != len(listed.terms):
        raise TermListError("a term stands twice in the list")
    if wanted - given:
        raise TermListError("the list leaves out a term that the certified elements and the rules demand")
    if given - wanted:
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


_MOST_BYTES = 1 << 14
_FORM = JsonForm(
    "the share",
    EvidenceError,
    {
        "holder": NAME,
        "list": octets(32),
        "proof": octets(1, _MOST_BYTES),
        "value": octets(1, _MOST_BYTES),
        "salt": octets(32),
    },
    optional=frozenset({"salt"}),
)


@dataclass(frozen=True)
class PartialOpening:
    """One holder's share of an opened total.

    Attributes:
        holder: member that holds the share of the sum key.
        list: digest of the term list it belongs to, 32 bytes.
        proof: proof that the value is the holder's opening of C for this list.
        value: the partial opening, big-endian, as many bytes as a ciphertext.
        salt: opens the digest in the trustee's ``share.release``, 32 bytes; None for the office's own share.
    """

    holder: str
    list: bytes
    proof: bytes
    value: bytes
    salt: bytes | None = None

    @classmethod
    def parse(cls, value: object) -> PartialOpening:
        """Read ``{holder, list, proof, value, salt?}``.

        Raises:
            EvidenceError: a field is missing, unknown or malformed; the message names it.
        """
        return cls(**_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{holder, list, proof, value}``, and ``salt`` where there is one."""
        return _FORM.write(self)
