"""A holder's share of an opened total, as it crosses the wire and stands in a report.

The value is the holder's partial opening of C (``protocols.sums.threshold``); the proof shows that it is
right (``protocols.sums.shareproof``). A trustee's share also carries the salt that opens its
``share.release``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.check.certificate import NAME
from protocols.check.json_form import JsonForm, octets
from protocols.errors import EvidenceError

_MOST_BYTES = 1 << 14
_FORM = JsonForm(
    "the share",
    EvidenceError,
    {
        "holder": NAME,
        "list": octets(32),
        "proof": octets(1, _MOST_BYTES),
        "value": octets(1, _MOST_BYTES),
        "salt": octets(32),
    },
    optional=frozenset({"salt"}),
)


@dataclass(frozen=True)
class PartialOpening:
    """One holder's share of an opened total.

    Attributes:
        holder: member that holds the share of the sum key.
        list: digest of the term list it belongs to, 32 bytes.
        proof: proof that the value is the holder's opening of C for this list.
        value: the partial opening, big-endian, as many bytes as a ciphertext.
        salt: opens the digest in the trustee's ``share.release``, 32 bytes; None for the office's own share.
    """

    holder: str
    list: bytes
    proof: bytes
    value: bytes
    salt: bytes | None = None

    @classmethod
    def parse(cls, value: object) -> PartialOpening:
        """Read ``{holder, list, proof, value, salt?}``.

        Raises:
            EvidenceError: a field is missing, unknown or malformed; the message names it.
        """
        return cls(**_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{holder, list, proof, value}``, and ``salt`` where there is one."""
        return _FORM.write(self)
