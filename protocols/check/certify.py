"""Making a certificate: the registrar blinds every identifier itself, pads, sorts, and commits to all."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from protocols import profiles
from protocols.check.certificate import TRACE_BYTES, Certificate, Terms
from protocols.check.openings import Openings, commit_casemap, commit_consents, commit_elements, commit_rlist
from protocols.encoding import fields, from_hex
from protocols.errors import CertificateError
from protocols.psi import group, voprf

PADDING_DOMAIN = b"hedui/padding/v1"


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


def draw_trace(secret: bytes, query: str, count: int) -> tuple[bytes, ...]:
    """Trace list of keyed random values, one per element, sorted on its own; 16 bytes each."""
    drawn = (
        hmac.digest(
            secret, b"hedui/trace-filler/v1" + fields(from_hex(query), j.to_bytes(4, "big")), "sha256"
        )
        for j in range(count)
    )
    return tuple(sorted(value[:TRACE_BYTES] for value in drawn))


def certify(
    terms: Terms, persons: Sequence[BlindedPerson], padding_secret: bytes, not_before: str, not_after: str
) -> tuple[Certificate, Openings]:
    """Build the certificate and its openings from persons whose consents the caller has checked.

    Args:
        terms: what is asked; the registrar has compared it with the ledger.
        persons: real persons, each once in a case.
        padding_secret: the registrar's own.
        not_before, not_after: RFC 3339 UTC.

    Returns:
        The certificate, and the openings for the office.

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
    terms: Terms, openings: Openings, trace: tuple[bytes, ...], not_before: str, not_after: str
) -> Certificate:
    """The certificate of these terms, with commitments to the openings."""
    return Certificate(
        network=terms.network,
        office=terms.office,
        registrar=terms.registrar,
        query=terms.query,
        protocol=terms.protocol,
        reveal=terms.reveal,
        purpose=terms.purpose,
        rules=terms.rules,
        datasets=terms.datasets,
        count=len(openings.elements),
        cases=terms.cases,
        elements=commit_elements(openings.elements_salt, openings.elements),
        rlist=commit_rlist(openings.rlist_salt, openings.rlist),
        casemap=commit_casemap(openings.casemap_salt, openings.casemap),
        consents=commit_consents(openings.consents_salt, openings.consents),
        trace=trace,
        not_before=not_before,
        not_after=not_after,
    )
