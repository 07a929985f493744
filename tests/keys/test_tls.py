"""Identities: what a member issues is accepted for that member alone, at that time."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from keys.certificate_checks import authority_name, load_pem
from keys.errors import (
    MalformedKeyError,
    TlsCertificateError,
    TlsCertificateExpiredError,
    TlsCertificateMalformedError,
    WrongIssuerError,
    WrongNameError,
)
from keys.tls import (
    AUTHORITY_DAYS,
    LEAF_DAYS,
    Authority,
    check_authority,
    issued_by,
    peer_member,
    server_name,
)

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TAX = Authority.create("tax", now=NOW)
BANK = Authority.create("bank", now=NOW)
LEAF = TAX.issue("node", ["10.1.2.3", "::1", "node.tax.gov.example"], now=NOW)
ALL = {"tax": TAX.certificate_der, "bank": BANK.certificate_der}

SubjectKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def make(
    *,
    signer: ec.EllipticCurvePrivateKey = TAX._key,
    issuer: x509.Name = TAX._certificate.subject,
    subject: x509.Name | None = None,
    key: SubjectKey | None = None,
    names: list[x509.GeneralName] | None = None,
    usages: list[x509.ObjectIdentifier] | None = None,
    ca: bool = False,
    path_length: int | None = None,
    signs: bool = False,
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
    leave_out: type[x509.ExtensionType] | None = None,
) -> x509.Certificate:
    """A certificate like ``Authority`` makes them, with one thing changed."""
    key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]) if subject is None else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca, path_length), True),
        (usage, True),
        (x509.ExtendedKeyUsage(both if usages is None else usages), False),
        (x509.SubjectAlternativeName([x509.DNSName("tax.hedui")] if names is None else names), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    for extension, critical in extensions:
        if not isinstance(extension, leave_out or ()):
            builder = builder.add_extension(extension, critical)
    return builder.sign(signer, digest or hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def test_accepted() -> None:
    issued_by(LEAF.chain_pem, TAX.certificate_der, member="tax", at=NOW)
    issued_by(pem(make()), TAX.certificate_der, member="tax", at=NOW)
    check_authority(TAX.certificate_der, member="tax", at=NOW)
    assert peer_member(LEAF.chain_pem, ALL, at=NOW) == "tax"
    assert peer_member(BANK.issue("n", now=NOW).chain_pem, ALL, at=NOW) == "bank"


def test_profile() -> None:
    leaf = load_pem(LEAF.chain_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["tax.hedui", "node.tax.gov.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3", "::1"]
    assert leaf.not_valid_after_utc == NOW + timedelta(days=LEAF_DAYS)
    assert x509.load_pem_x509_certificates(LEAF.chain_pem)[1] == load_pem(TAX.certificate_pem)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_any_member_id(member: str) -> None:
    authority = Authority.create(member, now=NOW)
    leaf = authority.issue("node", now=NOW).chain_pem
    assert peer_member(leaf, {member: authority.certificate_der}, at=NOW) == member


@pytest.mark.parametrize("member", ["", "-a", "a-", "A", "a.b", "a b", "税", "a" * 64, "*", "a\n"])
def test_impossible_member_ids(member: str) -> None:
    with pytest.raises(WrongNameError):
        server_name(member)
    with pytest.raises(WrongNameError):
        Authority.create(member)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*.example",
        "Bank.example",
        "bank.hedui",
        "a.bank.hedui",
        "tax.hedui",
        "x..y",
        "x_y",
        "税",
        "a" * 254,
    ],
)
def test_impossible_hosts(host: str) -> None:
    with pytest.raises(WrongNameError, match="host"):
        TAX.issue("node", [host], now=NOW)


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb"])
def test_impossible_common_names(name: str) -> None:
    with pytest.raises(WrongNameError, match="common name"):
        TAX.issue(name, now=NOW)


def test_pem_round_trip() -> None:
    again = Authority.from_pem(TAX.to_pem())
    assert (again.member, again.certificate_der) == ("tax", TAX.certificate_der)
    issued_by(again.issue("node", now=NOW).chain_pem, TAX.certificate_der, member="tax", at=NOW)


def test_pem_of_mixed_or_missing_parts() -> None:
    key_pem = TAX.to_pem().removesuffix(TAX.certificate_pem)
    with pytest.raises(MalformedKeyError, match="not that of"):
        Authority.from_pem(key_pem + BANK.certificate_pem)
    with pytest.raises(MalformedKeyError, match="no private key"):
        Authority.from_pem(TAX.certificate_pem)
    with pytest.raises(TlsCertificateMalformedError):
        Authority.from_pem(key_pem)
    with pytest.raises(TlsCertificateError):
        Authority.from_pem(LEAF.key_pem + LEAF.chain_pem)


def test_validity() -> None:
    edges = [NOW - timedelta(minutes=5), NOW + timedelta(days=LEAF_DAYS)]
    for at in edges:
        issued_by(LEAF.chain_pem, TAX.certificate_der, member="tax", at=at)
        issued_by(
            LEAF.chain_pem, TAX.certificate_der, member="tax", at=at.astimezone(timezone(timedelta(hours=8)))
        )
    with pytest.raises(TlsCertificateExpiredError, match="not valid yet"):
        issued_by(LEAF.chain_pem, TAX.certificate_der, member="tax", at=edges[0] - timedelta(seconds=1))
    with pytest.raises(TlsCertificateExpiredError, match="has expired"):
        issued_by(LEAF.chain_pem, TAX.certificate_der, member="tax", at=edges[1] + timedelta(seconds=1))


def test_a_leaf_ends_with_its_authority() -> None:
    short = Authority.create("tax", now=NOW, days=10)
    leaf = short.issue("node", now=NOW).chain_pem
    assert load_pem(leaf).not_valid_after_utc == NOW + timedelta(days=10)
    late = NOW + timedelta(days=11)
    with pytest.raises(TlsCertificateExpiredError):
        short.issue("node", now=late)
    with pytest.raises(TlsCertificateExpiredError):
        check_authority(short.certificate_der, member="tax", at=late)
    with pytest.raises(TlsCertificateExpiredError):
        TAX.issue("node", now=NOW + timedelta(days=AUTHORITY_DAYS + 1))


def test_another_members_authority() -> None:
    with pytest.raises(WrongIssuerError):
        issued_by(LEAF.chain_pem, BANK.certificate_der, member="bank", at=NOW)
    with pytest.raises(WrongNameError, match="another member"):
        issued_by(LEAF.chain_pem, TAX.certificate_der, member="bank", at=NOW)
    impostor = Authority.create("tax", now=NOW)
    with pytest.raises(WrongIssuerError):
        issued_by(impostor.issue("node", now=NOW).chain_pem, TAX.certificate_der, member="tax", at=NOW)


@pytest.mark.parametrize(
    "names",
    [
        ["bank.hedui"],
        ["tax.hedui", "bank.hedui"],
        ["bank.hedui", "tax.hedui"],
        ["*.hedui"],
        ["tax.hedui", "*.hedui"],
        ["TAX.hedui"],
        ["tax.hedui."],
        ["tax.hedui", "tax.hedui"],
        ["a.tax.hedui"],
        ["tax.hedui.example"],
        ["tax"],
        ["hedui"],
    ],
)
def test_names_that_are_not_the_members(names: list[str]) -> None:
    leaf = pem(make(names=[x509.DNSName(name) for name in names]))
    with pytest.raises((WrongNameError, TlsCertificateMalformedError)):
        issued_by(leaf, TAX.certificate_der, member="tax", at=NOW)
    with pytest.raises((WrongNameError, WrongIssuerError, TlsCertificateMalformedError)):
        peer_member(leaf, ALL, at=NOW)


def test_an_authority_cannot_name_another_member() -> None:
    leaf = pem(make(names=[x509.DNSName("bank.hedui")]))
    with pytest.raises(WrongIssuerError):
        peer_member(leaf, ALL, at=NOW)
    with pytest.raises(WrongNameError):
        peer_member(leaf, {"tax": TAX.certificate_der}, at=NOW)
    with pytest.raises(WrongNameError):
        peer_member(leaf, {"tax": TAX.certificate_der, "bank": TAX.certificate_der}, at=NOW)


@pytest.mark.parametrize(
    ("leaf", "error"),
    [
        (make(usages=[ExtendedKeyUsageOID.SERVER_AUTH]), TlsCertificateMalformedError),
        (make(usages=[ExtendedKeyUsageOID.CLIENT_AUTH]), TlsCertificateMalformedError),
        (make(usages=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), TlsCertificateMalformedError),
        (make(ca=True), TlsCertificateMalformedError),
        (make(ca=True, signs=True), TlsCertificateMalformedError),
        (make(signs=True), TlsCertificateMalformedError),
        (make(key=rsa.generate_private_key(65537, 2048)), TlsCertificateMalformedError),
        (make(key=ec.generate_private_key(ec.SECP384R1())), TlsCertificateMalformedError),
        (make(digest=hashes.SHA384()), TlsCertificateMalformedError),
        (make(leave_out=x509.BasicConstraints), TlsCertificateMalformedError),
        (make(leave_out=x509.KeyUsage), TlsCertificateMalformedError),
        (make(leave_out=x509.ExtendedKeyUsage), TlsCertificateMalformedError),
        (make(leave_out=x509.SubjectAlternativeName), TlsCertificateMalformedError),
        (make(signer=BANK._key), WrongIssuerError),
        (make(issuer=BANK._certificate.subject), WrongIssuerError),
    ],
)
def test_leaves_outside_the_profile(leaf: x509.Certificate, error: type[TlsCertificateError]) -> None:
    with pytest.raises(error):
        issued_by(pem(leaf), TAX.certificate_der, member="tax", at=NOW)


def test_no_second_level() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    middle = make(key=key, subject=authority_name("tax"), ca=True, path_length=0, signs=True)
    leaf = make(signer=key)
    with pytest.raises(WrongIssuerError):
        issued_by(pem(leaf) + pem(middle), TAX.certificate_der, member="tax", at=NOW)
    with pytest.raises(TlsCertificateMalformedError, match="sign itself"):
        issued_by(pem(leaf), middle.public_bytes(Encoding.DER), member="tax", at=NOW)


def self_signed(
    *,
    subject: x509.Name | None = None,
    ca: bool = True,
    path_length: int | None = 0,
    signs: bool = True,
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
    curve: ec.EllipticCurve | None = None,
    leave_out: type[x509.ExtensionType] | None = None,
) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    name = subject or authority_name("tax")
    certificate = make(
        signer=key, issuer=name, subject=name, key=key, ca=ca, path_length=path_length, signs=signs,
        digest=digest, leave_out=leave_out,
    )  # fmt: skip
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        TAX.certificate_der[:-1],
        TAX.certificate_der + b"\x00",
        TAX.certificate_pem,
        self_signed(ca=False, path_length=None),
        self_signed(path_length=1),
        self_signed(path_length=None),
        self_signed(signs=False),
        self_signed(digest=hashes.SHA384()),
        self_signed(curve=ec.SECP384R1()),
        self_signed(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tax")])),
        self_signed(subject=authority_name("Tax")),
        self_signed(leave_out=x509.BasicConstraints),
        self_signed(leave_out=x509.KeyUsage),
    ],
)
def test_authorities_outside_the_profile(der: bytes) -> None:
    with pytest.raises(TlsCertificateMalformedError):
        check_authority(der, member="tax", at=NOW)
    with pytest.raises(TlsCertificateMalformedError):
        issued_by(LEAF.chain_pem, der, member="tax", at=NOW)


def test_an_authority_of_another_member() -> None:
    with pytest.raises(WrongNameError):
        check_authority(TAX.certificate_der, member="bank", at=NOW)


def test_every_byte_of_a_leaf_and_of_an_authority_counts() -> None:
    leaf = load_pem(LEAF.chain_pem).public_bytes(Encoding.DER)
    for at in range(len(leaf)):
        changed = bytearray(leaf)
        changed[at] ^= 1
        text = ssl.DER_cert_to_PEM_cert(bytes(changed)).encode()
        with pytest.raises(TlsCertificateError):
            issued_by(text, TAX.certificate_der, member="tax", at=NOW)
    for at in range(len(TAX.certificate_der)):
        changed = bytearray(TAX.certificate_der)
        changed[at] ^= 1
        with pytest.raises(TlsCertificateError):
            check_authority(bytes(changed), member="tax", at=NOW)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_certificate(data: bytes) -> None:
    for text in (data, ssl.DER_cert_to_PEM_cert(data).encode()):
        with pytest.raises(TlsCertificateMalformedError):
            peer_member(text, ALL, at=NOW)
    with pytest.raises(TlsCertificateMalformedError):
        check_authority(data, member="tax", at=NOW)


def test_no_private_key_is_shown() -> None:
    assert "PRIVATE" not in repr(LEAF)
    assert repr(TAX) == "Authority('tax')"
