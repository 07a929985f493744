"""TLS identities: a certificate authority for each member, and the certificates that it issues.

Rules:
1. Every member creates its own authority and publishes the certificate (DER) on the ledger. There is no
   authority above it: the ledger determines who a peer is, and a new leaf needs no entry.
2. Profile of an authority: X.509 v3, self-signed, ECDSA P-256 with SHA-256, subject O=hedui, OU=authority,
   CN=<member>, basicConstraints critical CA path length 0, keyUsage critical certificate and CRL signing.
3. Profile of a leaf: ECDSA P-256 with SHA-256, issued directly by the authority, basicConstraints no CA,
   keyUsage critical digital signature, extendedKeyUsage server *and* client (a node is both), subjectAltName
   "<member>.hedui" and the hosts it is reached by. It has no other name under .hedui.
4. A client trusts only the one authority of the peer it calls and asks for the name "<member>.hedui". A
   server must trust the authorities of all members at once, so TLS alone does not establish *which*
   member is calling: any member's authority could issue a certificate for any name. ``peer_member`` does: the
   .hedui name in the leaf selects the authority, and the leaf must be issued by that one.
5. Times are passed in (aware datetimes); leaves and authorities are back-dated by five minutes for slow
   clocks.

TLS 1.3 only. ``ssl`` takes ``minimum_version``. gRPC's Python interface has no such setting; at TLS 1.2 it
chooses among the suites of the environment variable GRPC_SSL_CIPHER_SUITES, which do not concern TLS 1.3.
With ``GRPC_CIPHER_SUITES`` there, a suite that needs a pre-shared key, which no peer has, no TLS 1.2
handshake can succeed, as server or client, whatever certificate the peer presents. It is read when ``grpc``
is imported: it must be in the environment before that (setting it later has no effect and raises no error).

Sources: RFC 5280, RFC 8446, RFC 9525 (names), RFC 5489 and 7905 (the pre-shared-key suite).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.certificate_checks import (
    ZONE,
    authority_name,
    check_authority,
    check_profile,
    check_validity,
    issued_by,
    load_pem,
    peer_member,
    read_authority,
    server_name,
)
from keys.errors import MalformedKeyError, WrongNameError

__all__ = [
    "AUTHORITY_DAYS",
    "GRPC_CIPHER_SUITES",
    "LEAF_DAYS",
    "Authority",
    "Identity",
    "check_authority",
    "check_profile",
    "issued_by",
    "peer_member",
    "server_name",
]

GRPC_CIPHER_SUITES = "ECDHE-PSK-CHACHA20-POLY1305"
"""Value of GRPC_SSL_CIPHER_SUITES that leaves only TLS 1.3 (see above)."""

BACKDATE = timedelta(minutes=5)
AUTHORITY_DAYS = 3650
LEAF_DAYS = 90

MAX_COMMON_NAME = 64
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


@dataclass(frozen=True)
class Identity:
    """Certificate and key of a TLS server or client.

    Attributes:
        chain_pem: leaf, then the authority's certificate.
        key_pem: the leaf's private key, PKCS #8, unencrypted: for the vault or memory only.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


class Authority:
    """A member's own certificate authority, with its private key."""

    __slots__ = ("_certificate", "_key", "_member")

    def __init__(self, member: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Use ``create`` or ``from_pem``."""
        self._member, self._certificate, self._key = member, certificate, key

    @classmethod
    def create(cls, member: str, *, now: datetime | None = None, days: int = AUTHORITY_DAYS) -> Authority:
        """Create an authority for ``member``, valid from ``now`` (the system's clock if None) for ``days``.

        Raises:
            WrongNameError: the member id is no DNS label.
        """
        server_name(member)
        start = _moment(now)
        key = ec.generate_private_key(ec.SECP256R1())
        name = authority_name(member)
        builder = (
            _builder(name, name, key, start, start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(member, builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def from_pem(cls, pem: bytes) -> Authority:
        """Read the authority that ``to_pem`` wrote.

        Raises:
            TlsCertificateMalformedError: it holds no certificate of an authority's profile.
            MalformedKeyError: it holds no private key, or not that of the certificate.
        """
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            raise MalformedKeyError("no private key of an authority: restore it from its backup") from None
        certificate = load_pem(pem)
        member = read_authority(certificate)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise MalformedKeyError(
                "the private key is not that of the authority's certificate: restore both together"
            )
        return cls(member, certificate, key)

    def to_pem(self) -> bytes:
        """Private key and certificate, unencrypted: for the vault only."""
        return _private_pem(self._key) + self.certificate_pem

    @property
    def member(self) -> str:
        """The member whose authority this is."""
        return self._member

    @property
    def certificate_der(self) -> bytes:
        """The certificate in DER, as it is recorded on the ledger."""
        return self._certificate.public_bytes(Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM, as TLS libraries expect it."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        common_name: str,
        hosts: Sequence[str] = (),
        days: int = LEAF_DAYS,
        *,
        now: datetime | None = None,
    ) -> Identity:
        """Create a key and issue a leaf certificate for one process of the member.

        Args:
            common_name: for people who read certificates, 1 to 64 characters; nothing relies on it.
            hosts: further DNS names (lower case, no wildcard) and IP addresses of the process.
            days: validity; never beyond the authority's own.
            now: start of validity; the system's clock if None.

        Raises:
            WrongNameError: a name that cannot be in a leaf of this member.
            TlsCertificateExpiredError: the authority is not valid at ``now``.
        """
        start = _moment(now)
        check_validity(self._certificate, start)
        if not (1 <= len(common_name) <= MAX_COMMON_NAME and common_name.isprintable()):
            raise WrongNameError("a common name has 1 to 64 printable characters: choose another")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hedui"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        end = min(start + timedelta(days=days), self._certificate.not_valid_after_utc)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        leaf = (
            _builder(subject, self._certificate.subject, key, start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(_names(self._member, hosts)), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Identity(leaf.public_bytes(Encoding.PEM) + self.certificate_pem, _private_pem(key))

    def __repr__(self) -> str:
        return f"Authority({self._member!r})"


def _moment(now: datetime | None) -> datetime:
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return moment.replace(microsecond=0)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(end)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _names(member: str, hosts: Sequence[str]) -> list[x509.GeneralName]:
    own = server_name(member)
    names: list[x509.GeneralName] = [x509.DNSName(own)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
            continue
        except ValueError:
            pass
        if _HOST.fullmatch(host) is None or host.endswith(ZONE):
            raise WrongNameError(
                f"a host is an IP address or a lower-case DNS name, no wildcard, not under {ZONE}: correct it"
            )
        names.append(x509.DNSName(host))
    return names


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
