"""A household's question step by step: what the office sends is held back, shown, changed and sent by a test.

``Steps(network, *ids)`` runs the office's own check up to a round and keeps the message of that round instead
of delivering it; ``send`` delivers a message, changed or not, and gives the answer or raises the refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from keys.signing import SigningKey
from ledger import canonical
from ledger.entries.entry import certificate_message
from node.case import Case
from node.errors import RefusalError, ServiceUnavailableError
from node.governance import rule_sets
from node.member_keys import sign
from node.rpc.status import raise_from_wire
from protocols.wire import check_pb2, check_pb2_grpc
from tests.node.network_in_memory import Network
from tests.node.rpc.wire_in_memory import WireError

STUBS: dict[str, Callable[[Any], Any]] = {
    "Certify": check_pb2_grpc.RegistrarStub,
    "Renew": check_pb2_grpc.RegistrarStub,
    "Answer": check_pb2_grpc.DepartmentStub,
    "Open": check_pb2_grpc.TrusteeStub,
}


class HeldError(Exception):
    """A message was held back."""


def send(network: Network, member: str, method: str, request: Any, caller: str = "office") -> Any:
    """Deliver a message.

    Raises:
        RefusalError, ServiceUnavailableError: as the caller sees them.
    """
    stub = STUBS[method](network.services[caller].channels.to(member))
    try:
        return getattr(stub, method)(request, timeout=10)
    except grpc.RpcError as error:
        raise_from_wire(error, member)


def refused(
    network: Network, member: str, method: str, request: Any, code: str, caller: str = "office"
) -> None:
    """Deliver a message that must be refused with this code."""
    with pytest.raises((RefusalError, ServiceUnavailableError)) as caught:
        send(network, member, method, request, caller)
    assert getattr(caught.value, "code", None) == code, str(caught.value)


def hold(network: Network, case: Case, member: str, method: str) -> Any:
    """Run the office's check of a case up to a round, and take that round's message instead of its member."""
    held: list[Any] = []

    def keep(message: Any) -> Any:
        held.append(message)
        raise WireError(grpc.StatusCode.UNAVAILABLE, "held_back|try again")

    network.wire.taps[member, method] = keep
    rules = rule_sets.text_of(network.services["office"], case.rules)
    try:
        network.office.to_verdict(case, rules, lambda _: None)
    except ServiceUnavailableError:
        pass
    finally:
        del network.wire.taps[member, method]
    return copied(held[0])


def check(network: Network, case: Case) -> Any:
    """The whole check of a case."""
    rules = rule_sets.text_of(network.services["office"], case.rules)
    return network.office.to_verdict(case, rules, lambda _: None)


def copied(message: Any, **changes: Any) -> Any:
    """A message with other values in some fields."""
    made = type(message)()
    made.CopyFrom(message)
    for name, value in changes.items():
        if not isinstance(getattr(made, name), bytes | str | int):
            made.ClearField(name)
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


def terms_of(request: Any) -> dict[str, Any]:
    """The terms of a certify request."""
    value = canonical.decode(request.terms)
    assert isinstance(value, dict)
    return value


def with_terms(request: Any, **changes: Any) -> Any:
    """A certify request with other terms."""
    return copied(request, terms=canonical.encode({**terms_of(request), **changes}))


def named(request: Any, *ids: str) -> Any:
    """A certify request about these identifiers, blinds kept."""
    blinds = [person.blind for person in request.persons]
    persons = [
        check_pb2.CertifyRequest.Person(identifier=text, blind=blinds[at % len(blinds)], case_index=0)
        for at, text in enumerate(ids)
    ]
    return copied(request, persons=persons)


def certificate_of(message: Any) -> dict[str, Any]:
    """The certificate of a message that carries one."""
    value = canonical.decode(message.certificate, max_bytes=1 << 20)
    assert isinstance(value, dict)
    return value


def signed_certificate(message: Any, key: SigningKey, **changes: Any) -> Any:
    """A message whose certificate is changed and signed again."""
    certificate = certificate_of(message) | changes
    value = sign(key, certificate_message(certificate))
    return copied(
        message, certificate=canonical.encode(certificate), signature=canonical.encode(value.to_json())
    )
