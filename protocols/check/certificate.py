"""The registrar's certificate: which blinded elements may be asked, of which publications, for which purpose.

Rounds (one household or a batch of them; ``x`` a canonical identifier, ``r`` a scalar of the office)::

    office → registrar      for each person i: x_i, r_i, case index            (Terms, BlindedPerson)
    registrar               α_i = r_i·H(x_i), R_i = r_i·G recomputed here; padding H(HMAC(secret, query ‖ j))
                            added; all elements sorted bytewise                (``certify``)
    registrar → office      certificate, signature, all openings               (CertifiedQuestion)
    office → department     certificate, elements with their salt
    office → trustee        besides: R list and case map with their salts      (Openings)

The certificate holds salted commitments only: ``elements`` (sorted), ``rlist`` (one R a real element, in that
order), ``casemap`` (one u32 an element in that order: 0 padding, else case index + 1), ``consents`` (their
ids). What is signed, and the digest that a renewal keeps, is defined by ``ledger.entries.entry``.

A household that may not be asked gets a signed refusal instead, which names nobody (``RefusalDocument``).

What each side learns: the registrar learns whose question it is (it must check consent); departments learn a
padded count; the trustee learns which elements are real and to which case they belong; nobody else learns
anything. Padding is the registrar's own, so nobody can smuggle an identifier in as padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger import canonical
from protocols.check.json_form import (
    MOMENT,
    JsonForm,
    SignatureValue,
    choice,
    integer,
    listed,
    matching,
    octets,
    part,
    text,
)
from protocols.encoding import commit
from protocols.errors import CertificateError

REFUSAL_DOMAIN = b"hedui/refusal/v1\x00"
TRACE_BYTES = 16

NAME = text(64)
"""Network, member or purpose, as the ledger limits them."""
DIGEST = octets(32)
QUERY_ID = matching(r"[0-9a-f]{32}", "32 lower-case hex characters")

_RULES_FORM = JsonForm(
    "the reference to the rules",
    CertificateError,
    {
        "id": NAME,
        "version": NAME,
        "digest": matching(r"[0-9a-f]{64}", "32 bytes in lower-case hex"),
    },
)
_DATASET_FORM = JsonForm(
    "the certified dataset",
    CertificateError,
    {
        "dataset": matching(r"[a-z][a-z0-9_-]{0,31}\.[a-z0-9_-]{1,64}", "a dataset id, <owner>.<what>"),
        "grant": NAME,
        "key": DIGEST,
        "publication": NAME,
    },
)


@dataclass(frozen=True)
class RulesReference:
    """Which rule set a question is asked under.

    Attributes:
        id: id of the rules, such as ``dibao``.
        version: their version.
        digest: SHA-256 of their text in hex, as ``rules.publish`` records it.
    """

    id: str
    version: str
    digest: str

    @classmethod
    def parse(cls, value: object) -> RulesReference:
        """Read ``{id, version, digest}``.

        Raises:
            CertificateError: a field is missing, unknown or malformed.
        """
        return cls(**_RULES_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{id, version, digest}``."""
        return _RULES_FORM.write(self)


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

    @property
    def owner(self) -> str:
        """The department whose dataset it is: the member before the dot."""
        return self.dataset.partition(".")[0]

    @classmethod
    def parse(cls, value: object) -> CertifiedDataset:
        """Read the certificate's form of this item.

        Raises:
            CertificateError: a field is missing, unknown or malformed.
        """
        return cls(**_DATASET_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """The certificate's form of this item."""
        return _DATASET_FORM.write(self)


_PROPOSED = {
    "network": NAME,
    "office": NAME,
    "registrar": NAME,
    "query": NAME,
    "protocol": choice("sum", "check"),
    "reveal": choice("total", "bits"),
    "purpose": NAME,
    "rules": part(RulesReference.parse),
    "datasets": listed(part(CertifiedDataset.parse)),
}
"""What the office proposes; the registrar checks the query id and certifies all of it as it stands."""

_TERMS_FORM = JsonForm("the question's terms", CertificateError, _PROPOSED)
_CERTIFICATE_FORM = JsonForm(
    "the certificate",
    CertificateError,
    {
        **_PROPOSED,
        "query": QUERY_ID,
        "count": integer(1),
        "cases": integer(1, (1 << 32) - 2),
        "elements": DIGEST,
        "rlist": DIGEST,
        "casemap": DIGEST,
        "consents": DIGEST,
        "trace": listed(octets(TRACE_BYTES, 2 * TRACE_BYTES)),
        "not_before": MOMENT,
        "not_after": MOMENT,
    },
    version=1,
)
"""The one list of a certificate's fields."""


@dataclass(frozen=True)
class Terms:
    """Everything of a certificate that the office proposes and the registrar signs as it stands.

    Attributes:
        network, office, registrar: ids.
        query: 128 random bits, 32 lower-case hex characters.
        protocol: ``sum`` or ``check``.
        reveal: ``total`` or ``bits``.
        purpose: code of the purpose.
        rules: the rule set.
        datasets: sorted by dataset id.
        cases: number of cases in the question; sent beside the terms as the list of case numbers.
    """

    network: str
    office: str
    registrar: str
    query: str
    protocol: str
    reveal: str
    purpose: str
    rules: RulesReference
    datasets: tuple[CertifiedDataset, ...]
    cases: int

    @classmethod
    def parse(cls, value: object, cases: int) -> Terms:
        """Read the terms of a request.

        Args:
            value: the JSON object; it does not hold the number of cases.
            cases: number of cases in the request.

        Raises:
            CertificateError: a field is missing, unknown or malformed.
        """
        return cls(**_TERMS_FORM.read(value), cases=cases)

    def to_json(self) -> dict[str, Any]:
        """The terms as a request carries them, without the number of cases."""
        return _TERMS_FORM.write(self)


@dataclass(frozen=True)
class Certificate:
    """What the registrar signs: one question, with commitments to everything it must not show.

    Attributes:
        network, office, registrar, query, protocol, reveal, purpose, rules, datasets, cases: as in ``Terms``.
        count: padded number of elements.
        elements, rlist, casemap, consents: salted commitments, 32 bytes each; ``Openings`` opens them.
        trace: one keyed random value an element, sorted; above 256 elements the root of a public side file.
        not_before, not_after: validity, both included; a renewal changes these two fields and no other.
    """

    network: str
    office: str
    registrar: str
    query: str
    protocol: str
    reveal: str
    purpose: str
    rules: RulesReference
    datasets: tuple[CertifiedDataset, ...]
    count: int
    cases: int
    elements: bytes
    rlist: bytes
    casemap: bytes
    consents: bytes
    trace: tuple[bytes, ...]
    not_before: str
    not_after: str

    @classmethod
    def parse(cls, value: object) -> Certificate:
        """Read a certificate's JSON object; ``to_json`` gives back exactly this object.

        Raises:
            CertificateError: a field is missing, unknown or malformed; the message names it.
        """
        return cls(**_CERTIFICATE_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """The object whose canonical bytes the registrar signs (``ledger.entries.entry``)."""
        return _CERTIFICATE_FORM.write(self)

    def dataset(self, name: str) -> CertifiedDataset | None:
        """The certified item of a dataset, or None where the question does not name it."""
        return next((item for item in self.datasets if item.dataset == name), None)


RENEWABLE = ("not_before", "not_after")
"""What a renewal changes."""


def first_difference(certificate: Certificate, intended: Certificate) -> str | None:
    """Name of a field in which a certificate differs from the one its intent holds, its validity apart."""
    names = (name for name in _CERTIFICATE_FORM.fields if name not in RENEWABLE)
    return next((name for name in names if getattr(certificate, name) != getattr(intended, name)), None)


@dataclass(frozen=True)
class SignedCertificate:
    """A certificate with the registrar's signature over it."""

    certificate: Certificate
    signature: SignatureValue


_REFUSAL_FORM = JsonForm(
    "the refusal",
    CertificateError,
    {
        "network": NAME,
        "office": NAME,
        "registrar": NAME,
        "query": NAME,
        "code": matching(r"[a-z0-9_]{1,64}", "a code: lower-case letters, digits and _"),
        "household": DIGEST,
    },
    version=1,
)


@dataclass(frozen=True)
class RefusalDocument:
    """What the registrar signs when it refuses to certify a household; it names nobody.

    Attributes:
        network, office, registrar, query: of the question as it was proposed.
        code: why no question may leave, such as ``no_consent``.
        household: salted commitment to the identifiers as written, 32 bytes.
    """

    network: str
    office: str
    registrar: str
    query: str
    code: str
    household: bytes

    @classmethod
    def parse(cls, value: object) -> RefusalDocument:
        """Read a refusal's JSON object.

        Raises:
            CertificateError: a field is missing, unknown or malformed; the message names it.
        """
        return cls(**_REFUSAL_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """The object that is signed."""
        return _REFUSAL_FORM.write(self)

    @property
    def message(self) -> bytes:
        """The bytes the registrar signs."""
        return REFUSAL_DOMAIN + canonical.encode(self.to_json())


def commit_household(salt: bytes, identifiers: Sequence[str]) -> bytes:
    """Commitment of a refusal to a household: the identifiers as written in the application."""
    return commit(salt, b"household", *(identifier.encode() for identifier in identifiers))
