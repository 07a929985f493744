"""The registrar's certificate: which blinded elements may be asked, of which publications, for which purpose.

Rounds (one household or a batch of them; ``x`` a canonical identifier, ``r`` a scalar of the office)::

    office → registrar      for each person i: x_i, r_i, case index            (Asked)
    registrar               α_i = r_i·H(x_i), R_i = r_i·G recomputed here; padding H(HMAC(secret, query ‖ j))
                            added; all elements sorted bytewise
    registrar → office      certificate, signature, all openings               (Certified)
    office → department     certificate, elements with their salt              (ElementsOpening)
    office → trustee        besides: R list and case map with their salts      (Openings)

The certificate holds salted commitments only: ``elements`` (sorted), ``rlist`` (one R a real element, in that
order), ``casemap`` (one u32 an element in that order: 0 padding, else case index + 1), ``consents`` (their
ids). What is signed, and the digest that a renewal keeps, is ``ledger.entries.certificate``'s.

What each side learns: the registrar whose question it is (it must check consent); departments a padded count;
the trustee which elements are real and to which case they belong; nobody else anything. Padding is the
registrar's own, so nobody can smuggle an identifier in as padding.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ledger import canonical
from protocols import profiles
from protocols.encoding import commit, fields, from_hex, whole
from protocols.errors import CertificateError, EncodingError
from protocols.psi import group, voprf

REFUSAL_DOMAIN = b"hedui/refusal/v1\x00"
PADDING_DOMAIN = b"hedui/padding/v1"
TRACE_BYTES = 16


@dataclass(frozen=True)
class CertifiedDataset:
    """One publication a certificate admits a question to.

    Attributes:
        dataset: id of the dataset, ``<owner>.<what>``.
        publication: label ``<epoch>.<revision>``.
        key: public VOPRF key K of the publication, 32 bytes.
        grant: id of the grant the question is asked under.
    """

    dataset: str
    publication: str
    key: bytes
    grant: str

    def to_json(self) -> dict[str, str]:
        """The certificate's form of this item."""
        return {
            "dataset": self.dataset,
            "grant": self.grant,
            "key": self.key.hex(),
            "publication": self.publication,
        }


@dataclass(frozen=True)
class Terms:
    """Everything of a certificate that the office proposes and the registrar signs as it stands.

    Attributes:
        network, office, registrar: ids.
        query: 128 random bits, 32 lower-case hex characters.
        protocol: ``sum`` or ``check``.
        reveal: ``total`` or ``bits``.
        purpose: code of the purpose.
        rules: ``{"id", "version", "digest"}``.
        datasets: sorted by dataset id.
        cases: number of cases in the question.
    """

    network: str
    office: str
    registrar: str
    query: str
    protocol: str
    reveal: str
    purpose: str
    rules: dict[str, str]
    datasets: tuple[CertifiedDataset, ...]
    cases: int


@dataclass(frozen=True)
class BlindedPerson:
    """One person of a question as the office gives it to the registrar.

    Attributes:
        identifier: canonical identifier bytes.
        blind: scalar r, 1 ≤ r < ℓ.
        case: index of the case, from 0.
        consent: id of the registrar's own consent record.
    """

    identifier: bytes
    blind: int
    case: int
    consent: str


@dataclass(frozen=True)
class Openings:
    """What opens a certificate's commitments; the office holds all of it.

    Attributes:
        elements: padded α list, sorted bytewise, 32 bytes each.
        rlist: R of each real element, in the order of the elements.
        casemap: one integer an element: 0 padding, else case index + 1.
        consents: ids of consents, sorted.
        *_salt: 32 random bytes each.
    """

    elements: tuple[bytes, ...]
    elements_salt: bytes
    rlist: tuple[bytes, ...]
    rlist_salt: bytes
    casemap: tuple[int, ...]
    casemap_salt: bytes
    consents: tuple[str, ...]
    consents_salt: bytes

    @property
    def real(self) -> tuple[int, ...]:
        """Positions of the real elements, ascending; ``rlist[j]`` belongs to ``elements[real[j]]``."""
        return tuple(position for position, case in enumerate(self.casemap) if case)

    def to_json(self) -> dict[str, Any]:
        """Fields in hex, as a store or a report holds them."""
        return {
            "elements": [element.hex() for element in self.elements],
            "elements_salt": self.elements_salt.hex(),
            "rlist": [point.hex() for point in self.rlist],
            "rlist_salt": self.rlist_salt.hex(),
            "casemap": list(self.casemap),
            "casemap_salt": self.casemap_salt.hex(),
            "consents": list(self.consents),
            "consents_salt": self.consents_salt.hex(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Openings:
        """Read ``to_json``; a form without consents (for the trustee, in a report) has none.

        Raises:
            CertificateError: a field is missing or malformed.
        """
        try:
            return cls(
                tuple(from_hex(element) for element in value["elements"]),
                from_hex(value["elements_salt"]),
                tuple(from_hex(point) for point in value["rlist"]),
                from_hex(value["rlist_salt"]),
                tuple(whole(case) for case in value["casemap"]),
                from_hex(value["casemap_salt"]),
                tuple(str(consent) for consent in value.get("consents", [])),
                from_hex(value.get("consents_salt", "")),
            )
        except (EncodingError, KeyError, TypeError, ValueError) as error:
            raise CertificateError("the openings lack a field or hold a malformed one") from error


def commit_elements(salt: bytes, elements: Sequence[bytes]) -> bytes:
    """Commitment to the sorted, padded element list."""
    return commit(salt, b"elements", *elements)


def commit_rlist(salt: bytes, rlist: Sequence[bytes]) -> bytes:
    """Commitment to the list of R, one a real element."""
    return commit(salt, b"rlist", *rlist)


def commit_casemap(salt: bytes, casemap: Sequence[int]) -> bytes:
    """Commitment to the case map: one u32 big-endian an element."""
    return commit(salt, b"casemap", b"".join(case.to_bytes(4, "big") for case in casemap))


def commit_consents(salt: bytes, consents: Sequence[str]) -> bytes:
    """Commitment to the ids of the consents a question rests on."""
    return commit(salt, b"consents", *(consent.encode() for consent in consents))


def refusal_message(document: dict[str, Any]) -> bytes:
    """Bytes the registrar signs when it refuses a household: the refusal names nobody."""
    return REFUSAL_DOMAIN + canonical.encode(document)


def draw_padding(secret: bytes, query: str, count: int) -> list[bytes]:
    """``count`` padding elements H(HMAC(secret, query ‖ j)): like any blinded element, of nobody.

    Args:
        secret: the registrar's own padding secret.
        query: query id in hex.
        count: how many.
    """
    inputs = [
        hmac.digest(secret, PADDING_DOMAIN + fields(from_hex(query), j.to_bytes(4, "big")), "sha512")
        for j in range(count)
    ]
    return voprf.hash_inputs(inputs)


def draw_trace(secret: bytes, query: str, count: int) -> list[str]:
    """Trace list of keyed random values, one an element, sorted on its own; 32 hex characters each."""
    drawn = (
        hmac.digest(
            secret, b"hedui/trace-filler/v1" + fields(from_hex(query), j.to_bytes(4, "big")), "sha256"
        )
        for j in range(count)
    )
    return sorted(value[:TRACE_BYTES].hex() for value in drawn)


def certify(
    terms: Terms, persons: Sequence[BlindedPerson], padding_secret: bytes, not_before: str, not_after: str
) -> tuple[dict[str, Any], Openings]:
    """Build the certificate and its openings from persons whose consents the caller has checked.

    Args:
        terms: what is asked; the registrar has compared it with the ledger.
        persons: real persons, each once in a case.
        padding_secret: the registrar's own.
        not_before, not_after: RFC 3339 UTC.

    Returns:
        The certificate as canonical JSON object, and the openings for the office.

    Raises:
        CertificateError: nobody is asked about, a person stands twice in a case, or a case index is out of
        range.
        GroupError: a blind is zero or not reduced.
    """
    if not persons:
        raise CertificateError("a question must name at least one person")
    if len({(person.case, person.identifier) for person in persons}) != len(persons):
        raise CertificateError("a person is named twice in one household: correct the application")
    if not all(0 <= person.case < terms.cases for person in persons):
        raise CertificateError("a case index is outside the question")
    blinds = [person.blind for person in persons]
    alphas = voprf.blind([person.identifier for person in persons], blinds)
    commitments = group.multiply_base(blinds)
    count = profiles.padded_elements(len(persons))
    rows = [
        (alpha, r, person.case + 1) for alpha, r, person in zip(alphas, commitments, persons, strict=True)
    ]
    padding = draw_padding(padding_secret, terms.query, count - len(persons))
    rows += [(alpha, b"", 0) for alpha in padding]
    rows.sort(key=lambda row: row[0])
    openings = Openings(
        elements=tuple(row[0] for row in rows),
        elements_salt=secrets.token_bytes(32),
        rlist=tuple(row[1] for row in rows if row[2]),
        rlist_salt=secrets.token_bytes(32),
        casemap=tuple(row[2] for row in rows),
        casemap_salt=secrets.token_bytes(32),
        consents=tuple(sorted(person.consent for person in persons)),
        consents_salt=secrets.token_bytes(32),
    )
    trace = draw_trace(padding_secret, terms.query, count)
    return _compose(terms, openings, trace, not_before, not_after), openings


def _compose(
    terms: Terms, openings: Openings, trace: list[str], not_before: str, not_after: str
) -> dict[str, Any]:
    """The certificate's fields in one JSON object."""
    return {
        "v": 1,
        "network": terms.network,
        "office": terms.office,
        "registrar": terms.registrar,
        "query": terms.query,
        "protocol": terms.protocol,
        "reveal": terms.reveal,
        "purpose": terms.purpose,
        "rules": dict(terms.rules),
        "datasets": [dataset.to_json() for dataset in terms.datasets],
        "count": len(openings.elements),
        "cases": terms.cases,
        "elements": commit_elements(openings.elements_salt, openings.elements).hex(),
        "rlist": commit_rlist(openings.rlist_salt, openings.rlist).hex(),
        "casemap": commit_casemap(openings.casemap_salt, openings.casemap).hex(),
        "consents": commit_consents(openings.consents_salt, openings.consents).hex(),
        "trace": trace,
        "not_before": not_before,
        "not_after": not_after,
    }


def check_elements(certificate: dict[str, Any], elements: Sequence[bytes], salt: bytes) -> None:
    """Elements are exactly the committed ones: 32 bytes, canonical, not identity, strictly ascending.

    One bad element refuses all, before any key is touched.

    Raises:
        CertificateError: count, order or commitment differs.
        GroupError: an element is no valid point.
    """
    if len(elements) != certificate["count"]:
        raise CertificateError(
            "the number of elements differs from the certificate: send exactly the certified ones"
        )
    if any(len(element) != 32 for element in elements):
        raise CertificateError("an element is not 32 bytes")
    if any(left >= right for left, right in pairwise(elements)):
        raise CertificateError("the elements are not strictly ascending")
    if commit_elements(salt, elements).hex() != certificate["elements"]:
        raise CertificateError("the elements are not those the registrar certified")
    group.check_points(list(elements))


def check_openings(certificate: dict[str, Any], openings: Openings) -> None:
    """R list and case map open the certificate's commitments and fit the elements.

    Raises:
        CertificateError: a commitment does not open, or lengths disagree.
        GroupError: an element or an R is no valid point.
    """
    check_elements(certificate, openings.elements, openings.elements_salt)
    if commit_rlist(openings.rlist_salt, openings.rlist).hex() != certificate["rlist"]:
        raise CertificateError("the R list is not the certified one")
    if any(not 0 <= case <= certificate["cases"] for case in openings.casemap):
        raise CertificateError("the case map names a case outside the question")
    if commit_casemap(openings.casemap_salt, openings.casemap).hex() != certificate["casemap"]:
        raise CertificateError("the case map is not the certified one")
    if len(openings.casemap) != len(openings.elements) or len(openings.rlist) != len(openings.real):
        raise CertificateError("R list, case map and elements have lengths that do not fit")
    group.check_points(list(openings.rlist))
