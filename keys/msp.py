"""Signatures of a Hyperledger Fabric identity: ECDSA P-256 over SHA-256, DER, with the lower of the two s.

An identity of a Fabric member service provider (MSP) is an X.509 certificate and its private key. Rules:

1. The key is ECDSA on P-256 in PEM: PKCS#8 as in the profile; SEC 1 is accepted too.
2. For every signature (r, s) the pair (r, n − s) verifies as well. Fabric accepts only s ≤ n/2, so that
   a signature has only one form; this module produces and requires that one.
3. The certificate must hold the key's public half; the peer checks who issued it.

Source: the Fabric documentation, "Membership Service Providers"; the rule of the low s is that of Fabric's
BCCSP.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keys.errors import BadSignatureError, MalformedKeyError, TlsCertificateMalformedError

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n, the order of P-256 (SEC 2, secp256r1)."""

_ALGORITHM = ec.ECDSA(hashes.SHA256())


class MspKey:
    """The private key of a Fabric identity. Its representation does not show the key."""

    __slots__ = ("_key",)

    def __init__(self, pem: bytes) -> None:
        """Read the key.

        Raises:
            MalformedKeyError: no unencrypted ECDSA P-256 key in PEM.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise MalformedKeyError(
                "the client key is no ECDSA P-256 key in PEM without a passphrase: take the file in the "
                "identity's keystore folder, as the organisation's authority issued it"
            )
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """DER signature of ``message`` with the lower s."""
        r, s = decode_dss_signature(self._key.sign(message, _ALGORITHM))
        return encode_dss_signature(r, min(s, _ORDER - s))

    def check_certificate(self, pem: bytes) -> None:
        """Check that a certificate belongs to this key.

        Raises:
            TlsCertificateMalformedError: it is no certificate, or one of another key.
        """
        if _public(pem).public_numbers() != self._key.public_key().public_numbers():
            raise TlsCertificateMalformedError(
                "the client certificate is that of another key: use the pair together"
            )

    def __repr__(self) -> str:
        return "MspKey()"


def verify(certificate: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature under the key in a PEM certificate, as a peer does.

    Raises:
        TlsCertificateMalformedError: not a certificate of an ECDSA P-256 key.
        BadSignatureError: not a signature of that key over exactly these bytes, or with the higher s.
    """
    public = _public(certificate)
    try:
        low = decode_dss_signature(signature)[1] <= _ORDER // 2
        public.verify(signature, message, _ALGORITHM)
    except (InvalidSignature, ValueError):
        low = False
    if not low:
        raise BadSignatureError(
            "the signature of the Fabric identity does not verify: sign with its own key, low s"
        )


def _public(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = x509.load_pem_x509_certificate(pem).public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TlsCertificateMalformedError(
            "the client certificate is no X.509 certificate of an ECDSA P-256 key in PEM: take the file in "
            "the identity's signcerts folder"
        )
    return key
