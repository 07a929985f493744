"""The registrar's certificate as the ledger sees it: what is signed and what the digest covers.

    message = "hedui/certificate/v1" ‖ 0x00 ‖ canonical(certificate)
    digest  = SHA-256("hedui/certificate-digest/v1" ‖ 0x00 ‖ canonical(certificate without its times))

The times are ``not_before`` and ``not_after``. A renewal changes only these, so it keeps the digest and needs
no new intent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ledger.canonical import encode

SIGNATURE_DOMAIN = b"hedui/certificate/v1\x00"
DIGEST_DOMAIN = b"hedui/certificate-digest/v1\x00"
RENEWED_FIELDS = ("not_before", "not_after")


def certificate_message(certificate: Mapping[str, Any]) -> bytes:
    """The bytes the registrar's node key signs."""
    return SIGNATURE_DOMAIN + encode(dict(certificate))


def certificate_digest(certificate: Mapping[str, Any]) -> str:
    """Hex digest that names the certificate through all its renewals."""
    lasting = {name: value for name, value in certificate.items() if name not in RENEWED_FIELDS}
    return hashlib.sha256(DIGEST_DOMAIN + encode(lasting)).hexdigest()
