"""The signature object of a document outside the ledger: certificate, refusal, answer, term list, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.check.json_form import JsonForm, text
from protocols.encoding import from_hex
from protocols.errors import EncodingError

_ANY_TEXT = text(1 << 15, shortest=0)
_FORM = JsonForm("the signature", EncodingError, {"key": _ANY_TEXT, "alg": _ANY_TEXT, "sig": _ANY_TEXT})


@dataclass(frozen=True)
class SignatureValue:
    """One signature; whether it verifies, and under whose key, is for the reader to check.

    Attributes:
        key: id of the signing key, 32 hex characters.
        alg: name of the algorithm, such as ``ed25519``.
        sig: the signature in lower-case hex.
    """

    key: str
    alg: str
    sig: str

    @property
    def raw(self) -> bytes:
        """The signature's bytes.

        Raises:
            EncodingError: ``sig`` is not lower-case hex.
        """
        return from_hex(self.sig)

    @classmethod
    def parse(cls, value: object) -> SignatureValue:
        """Read ``{key, alg, sig}``, three texts.

        Raises:
            EncodingError: a field is missing, unknown or not text.
        """
        return cls(**_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{key, alg, sig}``."""
        return _FORM.write(self)
