"""Checks of a peer's TLS certificate: whether it identifies this member now, by the profile in ``keys.tls``.

A check raises the error that names what is wrong, in this order: profile and member of the authority,
signature, validity, profile of the leaf certificate, names. Signature, chain and extensions are then checked
a second time by the path validator of the cryptography library (RFC 5280 with rules of the CA/Browser Forum);
a leaf must pass both.

Revocation is not checked. A leaf is valid for weeks; a stolen one becomes invalid when the member publishes a
new authority on the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from keys.errors import (
    TlsCertificateExpiredError,
    TlsCertificateMalformedError,
    WrongIssuerError,
    WrongNameError,
)

ZONE = ".hedui"
_MEMBER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def server_name(member: str) -> str:
    """Return the DNS name that a member's certificate must have, "<member>.hedui".

    Raises:
        WrongNameError: the member id is no DNS label (1 to 63 of a-z 0-9 -, no hyphen at either end).
    """
    if _MEMBER.fullmatch(member) is None:
        raise WrongNameError(
            "a member id is 1 to 63 of a-z 0-9 and -, without a hyphen at either end: choose another"
        )
    return member + ZONE


def check_authority(ca_der: bytes, *, member: str, at: datetime) -> None:
    """Check that ``ca_der`` may be recorded as the authority of ``member`` (rule 2 of ``keys.tls``).

    Raises:
        TlsCertificateMalformedError: not a certificate, or outside the profile.
        TlsCertificateExpiredError: not valid at ``at``.
        WrongNameError: made for another member.
    """
    check_profile(ca_der, member=member)
    check_validity(load_der(ca_der), at)


def check_profile(ca_der: bytes, *, member: str) -> None:
    """Check an authority as ``check_authority`` does, without its validity.

    Raises:
        TlsCertificateMalformedError: not a certificate, or outside the profile.
        WrongNameError: made for another member.
    """
    _expect_authority(load_der(ca_der), member)


def issued_by(leaf_pem: bytes, ca_der: bytes, *, member: str, at: datetime) -> None:
    """Check that a leaf certificate identifies ``member``: profile, signature, validity of both, names.

    Args:
        leaf_pem: certificate that the peer presented; further certificates after the first are ignored.
        ca_der: the member's authority, from the ledger.
        member: the member it is presented for.
        at: the time at which it must be valid.

    Raises:
        TlsCertificateMalformedError: a certificate outside its profile.
        TlsCertificateExpiredError: leaf or authority not valid at ``at``.
        WrongIssuerError: issued by another authority, or the signature does not verify.
        WrongNameError: "<member>.hedui" is missing, or there is another .hedui name as well.
    """
    authority, leaf = load_der(ca_der), load_pem(leaf_pem)
    _expect_authority(authority, member)
    if not _signed_by(leaf, authority):
        raise WrongIssuerError(
            "the certificate was not issued by this member's authority: update the ledger, or its owner "
            "must issue it again"
        )
    check_validity(authority, at)
    check_validity(leaf, at)
    _check_leaf(leaf, authority, at)
    if _zone_names(leaf) != [server_name(member)]:
        raise WrongNameError(
            "the certificate's .hedui name is not this member's: its owner must issue it again"
        )


def peer_member(leaf_pem: bytes, authorities: Mapping[str, bytes], *, at: datetime) -> str:
    """The member that a leaf identifies (rule 4 of ``keys.tls``); for a server, after the handshake.

    Args:
        leaf_pem: the peer's certificate.
        authorities: certificate authority (DER) of each present member, by member id.
        at: the time at which it must be valid.

    Raises:
        WrongNameError: it does not have exactly one .hedui name, or not that of a present member.
        TlsCertificateMalformedError, TlsCertificateExpiredError, WrongIssuerError: as ``issued_by``.
    """
    names = _zone_names(load_pem(leaf_pem))
    member = names[0].removesuffix(ZONE) if len(names) == 1 else ""
    ca_der = authorities.get(member)
    if ca_der is None:
        raise WrongNameError(
            "the certificate names no present member: its owner must be admitted, or issue it again"
        )
    issued_by(leaf_pem, ca_der, member=member, at=at)
    return member


def authority_name(member: str) -> x509.Name:
    """Subject of a member's authority: O=hedui, OU=authority, CN=<member>."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hedui"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, member),
        ]
    )


def read_authority(certificate: x509.Certificate) -> str:
    """Return the member an authority was made for, after checking its profile (rule 2), not its validity.

    Raises:
        TlsCertificateMalformedError: outside the profile.
    """
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    member = str(common_names[0].value) if len(common_names) == 1 else ""
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    problems = {
        "its name is not that of a member's authority": _MEMBER.fullmatch(member) is None
        or certificate.subject != authority_name(member),
        "it is not ECDSA P-256 with SHA-256": not _p256(certificate),
        "it is no authority of path length 0": not constraints.ca or constraints.path_length != 0,
        "it may not sign certificates": not usage.key_cert_sign,
        "it does not sign itself": not _signed_by(certificate, certificate),
    }
    _raise_first("the authority's certificate", problems)
    return member


def check_validity(certificate: x509.Certificate, at: datetime) -> None:
    """Check that ``at`` (aware) lies in the certificate's validity, both ends included.

    Raises:
        TlsCertificateExpiredError: it does not.
    """
    if at < certificate.not_valid_before_utc:
        raise TlsCertificateExpiredError(
            "the certificate is not valid yet: set the clock of this machine or of its issuer"
        )
    if at > certificate.not_valid_after_utc:
        raise TlsCertificateExpiredError("the certificate has expired: its owner must issue a new one")


def load_pem(pem: bytes) -> x509.Certificate:
    """Read the first certificate of a PEM text.

    Raises:
        TlsCertificateMalformedError: there is no certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion):
        raise TlsCertificateMalformedError("not a PEM certificate: ask its owner for it again") from None
    return _whole(certificate)


def load_der(der: bytes) -> x509.Certificate:
    """Read the certificate of exactly these DER bytes.

    Raises:
        TlsCertificateMalformedError: they are not exactly one certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise TlsCertificateMalformedError("not a DER certificate: ask its owner for it again") from None
    return _whole(certificate)


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    """Parse every part, which the library does only on access, and require strict DER."""
    try:
        parts = (
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.extensions,
            certificate.public_key(),
            certificate.signature_hash_algorithm,
            certificate.signature_algorithm_parameters,
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise TlsCertificateMalformedError(
            "the certificate is malformed: its owner must issue it again"
        ) from None
    whole_bits = certificate.public_bytes(Encoding.DER).endswith(b"\x00" + certificate.signature)
    if None in parts or certificate.serial_number <= 0 or not whole_bits:
        raise TlsCertificateMalformedError("the certificate is not strict DER: its owner must issue it again")
    return certificate


def _expect_authority(certificate: x509.Certificate, member: str) -> None:
    if read_authority(certificate) != member:
        raise WrongNameError(
            "the authority was made for another member: publish the one made for this member"
        )


def _check_leaf(leaf: x509.Certificate, authority: x509.Certificate, at: datetime) -> None:
    usages = list(_extension(leaf, x509.ExtendedKeyUsage))
    usage = _extension(leaf, x509.KeyUsage)
    problems = {
        "it is not ECDSA P-256 with SHA-256": not _p256(leaf),
        "it is an authority itself": _extension(leaf, x509.BasicConstraints).ca,
        "its key may not sign handshakes": not usage.digital_signature or usage.key_cert_sign,
        "it is not for servers": ExtendedKeyUsageOID.SERVER_AUTH not in usages,
        "it is not for clients": ExtendedKeyUsageOID.CLIENT_AUTH not in usages,
    }
    _raise_first("the certificate", problems)
    policy = PolicyBuilder().store(Store([authority])).time(at).max_chain_depth(0)
    try:
        policy.build_client_verifier().verify(leaf, [])
    except VerificationError as error:
        raise TlsCertificateMalformedError(
            f"the certificate does not validate ({error}): its owner must issue it again"
        ) from None


def _raise_first(what: str, problems: Mapping[str, bool]) -> None:
    for problem, found in problems.items():
        if found:
            raise TlsCertificateMalformedError(
                f"{what} is outside the profile, {problem}: its owner must issue it again"
            )


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _p256(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    algorithm = certificate.signature_hash_algorithm
    return (
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1)
        and isinstance(algorithm, hashes.SHA256)
    )


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        raise TlsCertificateMalformedError(
            f"the certificate lacks {kind.__name__}: its owner must issue it again"
        ) from None


def _zone_names(leaf: x509.Certificate) -> list[str]:
    """DNS names under the zone in any spelling: case, wildcard and a closing dot do not hide one."""
    names = _extension(leaf, x509.SubjectAlternativeName).get_values_for_type(x509.DNSName)
    return [name for name in names if ("." + name.lower().rstrip(".")).endswith(ZONE)]
