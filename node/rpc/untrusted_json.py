"""Values from peers: canonical JSON, and openings of a certificate as protobuf messages.

The form is checked here, the meaning where the value is used.
"""

from __future__ import annotations

from typing import Any

from ledger import canonical
from ledger.errors import CanonicalError
from node.errors import RefusalError
from protocols.check.json_form import SignatureValue
from protocols.check.openings import Openings
from protocols.errors import EncodingError
from protocols.wire import check_pb2

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
"""Limits for documents from peers; evidence is larger and deeper than a ledger entry."""


def read_object(data: bytes) -> dict[str, Any]:
    """A canonical JSON object.

    Raises:
        RefusalError: ``malformed``: not canonical, too large or too deep, or no object.
    """
    value = _decode(data)
    if not isinstance(value, dict):
        raise RefusalError("malformed", "a document is not an object: send its canonical JSON")
    return value


def read_list(data: bytes) -> list[Any]:
    """A canonical JSON list.

    Raises:
        RefusalError: ``malformed``: not canonical, too large or too deep, or no list.
    """
    value = _decode(data)
    if not isinstance(value, list):
        raise RefusalError("malformed", "a document is not a list: send its canonical JSON")
    return value


def read_texts(data: bytes) -> dict[str, str]:
    """A canonical JSON object whose values are all texts, such as a signature object.

    Raises:
        RefusalError: ``malformed``.
    """
    value = read_object(data)
    if not all(isinstance(item, str) for item in value.values()):
        raise RefusalError("malformed", "a document holds something other than texts")
    return value


def read_signature(data: bytes) -> SignatureValue:
    """A canonical JSON signature object.

    Raises:
        RefusalError: ``malformed``: no canonical object of texts; ``bad_signature``: not the fields of one.
    """
    try:
        return SignatureValue.parse(read_texts(data))
    except EncodingError as error:
        raise RefusalError("bad_signature", "a signature has exactly the fields key, alg and sig") from error


def _decode(data: bytes) -> Any:
    try:
        return canonical.decode(bytes(data), max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except CanonicalError:
        pass
    raise RefusalError("malformed", "a document is not canonical JSON")


def openings_to_wire(openings: Openings, *, consents: bool = False) -> check_pb2.Openings:
    """Openings as a message; the consents' ids only where the receiver is the office."""
    message = check_pb2.Openings(
        elements=openings.elements,
        elements_salt=openings.elements_salt,
        rlist=openings.rlist,
        rlist_salt=openings.rlist_salt,
        casemap=openings.casemap,
        casemap_salt=openings.casemap_salt,
    )
    if consents:
        message.consents.extend(openings.consents)
        message.consents_salt = openings.consents_salt
    return message


def openings_from_wire(message: check_pb2.Openings) -> Openings:
    """Openings from a message."""
    return Openings(
        tuple(message.elements),
        bytes(message.elements_salt),
        tuple(message.rlist),
        bytes(message.rlist_salt),
        tuple(message.casemap),
        bytes(message.casemap_salt),
        tuple(message.consents),
        bytes(message.consents_salt),
    )
