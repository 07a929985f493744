"""What opens a certificate: elements, R list, case map and consents, with the salts of their commitments.

The registrar gives all of it to the office. The office shows departments the elements, and the trustee the
elements, R list and case map; each of them checks with the functions here that this is what was certified.

Of a list of terms and of a report the ledger holds salted digests, which the party that keeps the salt can
open:
``share.release`` carries ``recorded_list``, ``query.close`` both. Where no total was opened there is no list,
and the random salt itself stands in its place: nobody else can tell the two apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from protocols.check.certificate import Certificate
from protocols.check.json_form import SignatureValue
from protocols.encoding import commit, from_hex, whole
from protocols.errors import CertificateError, EncodingError
from protocols.psi import group


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
    def parse(cls, value: dict[str, Any]) -> Openings:
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


@dataclass(frozen=True)
class CertifiedQuestion:
    """What the office holds of a certified question.

    Attributes:
        certificate, signature: the newest renewal, and the registrar's signature over it.
        openings: what opens its commitments.
    """

    certificate: Certificate
    signature: SignatureValue
    openings: Openings

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> CertifiedQuestion:
        """Read ``to_json``; other fields of the object are left alone.

        Raises:
            CertificateError: a field is missing or malformed.
        """
        try:
            return cls(
                Certificate.parse(value["certificate"]),
                SignatureValue.parse(value["signature"]),
                Openings.parse(value["openings"]),
            )
        except (EncodingError, KeyError) as error:
            raise CertificateError("a certified question lacks a field or holds a malformed one") from error

    def to_json(self) -> dict[str, Any]:
        """The form in which the office and the registrar store it."""
        return {
            "certificate": self.certificate.to_json(),
            "signature": self.signature.to_json(),
            "openings": self.openings.to_json(),
        }


def commit_elements(salt: bytes, elements: Sequence[bytes]) -> bytes:
    """Commitment to the sorted, padded element list."""
    return commit(salt, b"elements", *elements)


def commit_rlist(salt: bytes, rlist: Sequence[bytes]) -> bytes:
    """Commitment to the list of R, one per real element."""
    return commit(salt, b"rlist", *rlist)


def commit_casemap(salt: bytes, casemap: Sequence[int]) -> bytes:
    """Commitment to the case map: one u32 big-endian an element."""
    return commit(salt, b"casemap", b"".join(case.to_bytes(4, "big") for case in casemap))


def commit_consents(salt: bytes, consents: Sequence[str]) -> bytes:
    """Commitment to the ids of the consents a question rests on."""
    return commit(salt, b"consents", *(consent.encode() for consent in consents))


def check_elements(certificate: Certificate, elements: Sequence[bytes], salt: bytes) -> None:
    """Elements are exactly the committed ones: 32 bytes, canonical, not identity, strictly ascending.

    One bad element refuses all, before any key is touched.

    Raises:
        CertificateError: count, order or commitment differs.
        GroupError: an element is no valid point.
    """
    if len(elements) != certificate.count:
        raise CertificateError(
            "the number of elements differs from the certificate: send exactly the certified ones"
        )
    if any(len(element) != 32 for element in elements):
        raise CertificateError("an element is not 32 bytes")
    if any(left >= right for left, right in pairwise(elements)):
        raise CertificateError("the elements are not strictly ascending")
    if commit_elements(salt, elements) != certificate.elements:
        raise CertificateError("the elements are not those the registrar certified")
    group.check_points(list(elements))


def check_openings(certificate: Certificate, openings: Openings) -> None:
    """R list and case map open the certificate's commitments and fit the elements.

    Raises:
        CertificateError: a commitment does not open, or lengths disagree.
        GroupError: an element or an R is no valid point.
    """
    check_elements(certificate, openings.elements, openings.elements_salt)
    if commit_rlist(openings.rlist_salt, openings.rlist) != certificate.rlist:
        raise CertificateError("the R list is not the certified one")
    if any(not 0 <= case <= certificate.cases for case in openings.casemap):
        raise CertificateError("the case map names a case outside the question")
    if commit_casemap(openings.casemap_salt, openings.casemap) != certificate.casemap:
        raise CertificateError("the case map is not the certified one")
    if len(openings.casemap) != len(openings.elements) or len(openings.rlist) != len(openings.real):
        raise CertificateError("R list, case map and elements have lengths that do not fit")
    group.check_points(list(openings.rlist))


def recorded_list(salt: bytes, digest: bytes | None) -> bytes:
    """Salted digest of a list of terms, 32 bytes; the salt where ``digest`` is None."""
    return salt if digest is None else commit(salt, b"list", digest)


def recorded_report(salt: bytes, report: bytes) -> bytes:
    """Salted SHA-256 of a report's bytes, 32 bytes."""
    return commit(salt, b"report", hashlib.sha256(report).digest())


CODE = "refused_without_intent"


def peer_commitment(salt: bytes, peer: str) -> bytes:
    """Salted commitment of an incident's peer, 32 bytes."""
    return commit(salt, b"peer", peer.encode())
