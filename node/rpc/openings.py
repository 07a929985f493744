"""Conversion between a certificate's openings and their protobuf messages."""

from __future__ import annotations

from protocols.check.openings import Openings
from protocols.wire import check_pb2


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
