"""How a case of a refused entry is written: a code, a name, a function that gives network and entry.

The ``refused_*`` modules add their cases to ``CASES``; ``test_contract_refusals.py`` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keys.signing import SigningKey
from ledger.entries import bodies
from ledger.entries.entry import Body, Entry
from tests.ledger.contract.contract_cases import Net, query_id, ready

Case = tuple[str, str, Callable[[], tuple[Net, Entry]]]
CASES: list[Case] = []
QUERY = query_id(1)
INCIDENT = bodies.incident("no_intent", 1)
APPROVE = bodies.grant_decide("g-2", "approve")
REMOVE = bodies.member_remove("tax", 2, "x")
RETIRE = bodies.dataset_retired("tax.owner", "2026-11.1", "key destroyed")


def case(
    code: str, name: str
) -> Callable[[Callable[[], tuple[Net, Entry]]], Callable[[], tuple[Net, Entry]]]:
    """Add a case under the code it must be refused with."""

    def add(make: Callable[[], tuple[Net, Entry]]) -> Callable[[], tuple[Net, Entry]]:
        CASES.append((code, name, make))
        return make

    return add


def simple(
    code: str,
    name: str,
    stage: Callable[[], Net],
    type: str,
    by: str | SigningKey,
    body: Body | Callable[[Net], Body],
    co: Iterable[SigningKey] = (),
    **more: Any,
) -> None:
    """Add a case that is one entry on a stage."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        made = body(net) if callable(body) else body
        return net, net.entry(type, by, made, co, **more)

    CASES.append((code, name, make))


def tampered(
    code: str, name: str, change: Callable[[Net, Body], Any], stage: Callable[[], Net] = ready
) -> None:
    """Add a case whose certificate differs before the registrar signs it."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        certificate = net.certificate(QUERY)
        change(net, certificate)
        body = net.intent_body(certificate, net.slots(0))
        return net, net.entry("query.intent", "office", body, id=QUERY)

    CASES.append((code, name, make))


def slotted(
    code: str, name: str, slots: list[tuple[str, str, int]], stage: Callable[[], Net] = ready
) -> None:
    """Add a case of an intent with these slots."""

    def make() -> tuple[Net, Entry]:
        net = stage()
        query = query_id("slots")
        body = net.intent_body(net.certificate(query), slots)
        return net, net.entry("query.intent", "office", body, id=query)

    CASES.append((code, name, make))


def granted(code: str, name: str, **changes: Any) -> None:
    """Add a case of an intent under a second grant of tax that differs so."""

    def make() -> tuple[Net, Entry]:
        net = ready()
        net.grant("tax", "g-2", **changes)
        certificate = net.certificate(QUERY, "tax.owner")
        certificate["datasets"][0]["grant"] = "g-2"
        body = net.intent_body(certificate, net.slots(0, grants=["g-2"]))
        return net, net.entry("query.intent", "office", body, id=QUERY)

    CASES.append((code, name, make))


def requested() -> Net:
    """A ready network with a second grant of tax requested, ``g-2``."""
    net = ready()
    net.do("grant.request", "office", net.grant_body("tax", "g-2"))
    return net


def intent_entry(net: Net, body: Body) -> tuple[Net, Entry]:
    """The network and an intent with this body."""
    return net, net.entry("query.intent", "office", body, id=QUERY)
