"""Whatever an entry says, the contract takes it or refuses it: nothing else comes out, on no node.

Another exception would end the replay of every honest node at an entry that was ordered. Entries of
every type are changed at random places, signed again by the same keys, and put before the contract at the
place of the history where the unchanged one was accepted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from ledger import contract
from ledger.contract.replay import Replay, apply_proven_for
from ledger.contract.signature_check import is_proven, keys_of
from ledger.contract.state import MemoryState
from ledger.entries import bodies
from ledger.entries.body_schema import SCHEMAS
from ledger.entries.entry import (
    Entry,
    body_message,
    certificate_digest,
    certificate_message,
    node_message,
    sign_message,
)
from ledger.errors import CanonicalError
from tests.ledger.contract.contract_cases import (
    MEMBERS,
    digest,
    empty,
    key_objects,
    member_object,
    operators,
    query_id,
    signer,
)

EXTREMES: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    (1 << 53) - 1,
    1 - (1 << 53),
    "",
    "\u0000",
    "０",
    "9999-12-31",
    "0001-01-01",
    "0001-01-01T00:00:00Z",
    "9998-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "ff" * 32,
    "00" * 32,
    "01" + "00" * 31,
    "ed25519",
    "x25519",
    "sm2",
    [],
    {},
    [[]],
    {"": {}},
]
TIMES = [
    "0001-01-01T00:00:00Z",
    "2026-12-31T15:59:59Z",
    "2026-12-31T16:00:00Z",
    "9998-12-31T23:59:59Z",
    "9999-12-31T15:59:59Z",
    "9999-12-31T23:59:59Z",
]
DATES = ["0001-01-01", "2026-11-22", "9999-12-31"]
NUMBERS = [0, 1, 2, 3, 4, 12, 1000, 1024, (1 << 31), (1 << 53) - 1]


Moment = tuple[Entry, dict[str, Any]]
"""An entry, and the state before it."""


@cache
def keys() -> dict[str, Any]:
    """Every signing key of the history by its id."""
    uses = ("node", "operator", "witness", "log")
    made = (signer(who, use, i) for who in (*MEMBERS, "late") for use in uses for i in range(4))
    return {key.public.id: key for key in made}


@cache
def history() -> list[Moment]:
    """One entry of every type at least, each with the state before it."""
    net, found = empty(), list[Moment]()
    apply = net.apply

    def seen(entry: Entry) -> Entry:
        found.append((entry, dict(net.state.values)))
        return apply(entry)

    net.apply = seen  # type: ignore[method-assign]
    net.genesis().prepare()
    net.do("consent.commit", "desk", bodies.consent_commit([digest("c", 1), digest("c", 2)]))
    net.do("consent.revoke", "desk", bodies.consent_revoke(digest("c", 1)))
    net.apply(net.intent())
    net.answers()
    net.do("share.release", "trust", bodies.share_release(query_id(1), 0, digest("l")))
    exception = bodies.share_exception(query_id(1), 0, digest("l"), "x")
    net.do("share.exception", "trust", exception, operators("trust"))
    net.do("query.close", "office", bodies.query_close(query_id(1), digest(1), digest(2)))
    net.do("query.refused", "seq", bodies.query_refused(digest("e"), "slot_taken"))
    net.do("certificate.revoke", "desk", bodies.certificate_revoke(digest("d")))
    for type, by in (("case.decision", "office"), ("complaint", "tax"), ("correction", "tax")):
        net.do(type, by, {"commitment": digest(type), "code": "x"})
    net.do("incident", "tax", bodies.incident("no_intent", 1))
    net.do("grant.review", "tax", bodies.grant_review("g-tax", "x"), operators("tax"))
    net.do("grant.revoke", "tax", bodies.grant_revoke("g-tax", "x"), operators("tax"))
    net.do("dataset.retired", "tax", bodies.dataset_retired("tax.owner", "2026-11.1", "x"))
    admit = bodies.member_admit(member_object("late", ["department"]), 1)
    net.do("member.admit", "seq", admit, net.founders())
    net.do("member.endpoint", "late", bodies.member_endpoint("late", 2, "late.example:1"))
    net.do("member.key", "seq", bodies.member_key("late", 3, key_objects("late", 1)), net.founders())
    net.do("member.remove", "seq", bodies.member_remove("late", 4, "x"), net.founders())
    return found


@cache
def pool() -> list[Any]:
    """Values to put anywhere: the extremes, and whatever stands in the history."""
    parts = [part for entry, _ in history() for _, part in places(entry.body)]
    return EXTREMES + [part for part in parts if not isinstance(part, dict | list)]


def places(value: Any, put: Callable[[Any], None] | None = None) -> Iterator[tuple[Any, Any]]:
    """(how to replace it, value) of every value within ``value``."""
    if put is not None:
        yield put, value
    for name, item in list(value.items() if isinstance(value, dict) else enumerate_list(value)):
        yield from places(item, lambda new, name=name: value.__setitem__(name, new))


def enumerate_list(value: Any) -> Iterator[tuple[int, Any]]:
    return enumerate(value) if isinstance(value, list) else enumerate(())


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def alike(old: Any, chance: random.Random) -> Any:
    """Another value of much the same form."""
    if type(old) is int:
        return chance.choice([*NUMBERS, max(old, 1) - 1, old ^ 1])
    if type(old) is not str:
        return copied(old)
    if old[-1:] == "Z" and "T" in old:
        return chance.choice(TIMES)
    if len(old) == 10 and old[4] == old[7] == "-":
        return chance.choice(DATES)
    texts = [one for one in pool() if type(one) is str and len(one) == len(old)]
    return chance.choice([*texts, old.replace("0", "1"), old[:-1], old[::-1]])


def change(body: Any, chance: random.Random) -> None:
    """Change one place of a body: another value, a field more or less, an item twice."""
    put, old = chance.choice(list(places(body)))
    kind = chance.randrange(20)
    if kind == 0:
        put(copied(chance.choice(pool())))
    elif isinstance(old, dict) and old and kind < 3:
        del old[chance.choice(list(old))]
    elif isinstance(old, dict) and kind < 6:
        old[chance.choice(["name", "period", "regions", "commitment", "x"])] = chance.choice(pool())
    elif isinstance(old, list) and old and kind < 12:
        old.append(copied(chance.choice(old)))
    elif isinstance(old, list):
        chance.shuffle(old)
    else:
        put(alike(old, chance))


def signed_again(entry: Entry, chance: random.Random) -> Entry:
    """The entry signed by the keys that signed it before, the certificate too; seldom a false signature."""
    body = entry.body
    if entry.type == "query.intent" and chance.random() < 0.9:
        try:
            message = certificate_message(body["certificate"])
            body["signature"] = sign_message(signer("desk"), message).to_json()
            body["digest"] = certificate_digest(body["certificate"])
        except (KeyError, TypeError, ValueError, AttributeError, CanonicalError):
            pass
    message = body_message(entry.network, entry.type, entry.id, body)
    more = [sign_message(keys()[one.key], message) for one in entry.sigs[1:]]
    sigs = [sign_message(keys()[entry.sigs[0].key], node_message(entry)), *more]
    if chance.random() < 0.1:
        place = chance.randrange(len(sigs))
        sig, key = "ff" * chance.choice([32, 64, 100]), chance.choice(list(keys()))
        odd = chance.choice([{"alg": "x25519"}, {"alg": "sm2"}, {"sig": sig}, {"key": key}])
        sigs[place] = replace(sigs[place], **odd)
    return replace(entry, sigs=tuple(sigs))


def agreed(leaf: bytes, before: dict[str, Any], time: str) -> str | None:
    """What the replay makes of a leaf, with and without proving it first."""
    states = [MemoryState(), MemoryState()]
    for state in states:
        state.values = dict(before)
    proven = is_proven(leaf, {**keys_of(states[0]), **{id: key.public.raw for id, key in keys().items()}})
    replays = [Replay(state, contract.apply, time, apply_proven_for(contract.apply)) for state in states]
    whole = replays[0].step(leaf)
    again = replays[1].step_proven(leaf) if proven else replays[1].step(leaf)
    assert (whole.void, states[0].values, replays[0].time) == (again.void, states[1].values, replays[1].time)
    assert whole.void is None or states[0].values == before
    return whole.void


def test_the_history_has_every_type_and_is_accepted() -> None:
    assert {entry.type for entry, _ in history()} == set(SCHEMAS)
    for entry, before in history():
        assert agreed(entry.leaf(), before, entry.time) is None


@settings(max_examples=400)
@given(st.integers(0, (1 << 64) - 1))
def test_only_a_refusal_comes_out_of_the_contract(seed: int) -> None:
    chance = random.Random(seed)
    type = chance.choice(["query.intent", *SCHEMAS])
    entry, before = chance.choice([moment for moment in history() if moment[0].type == type])
    body, now = copied(entry.body), chance.choice([entry.time] * 6 + TIMES)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        if body:
            change(body, chance)
    changed = signed_again(replace(entry, body=body, time=now), chance)
    agreed(changed.leaf(), before, chance.choice([entry.time] * 3 + [""]))


def test_an_intent_at_the_end_of_all_dates_is_no_entry() -> None:
    """Its day in UTC+8 would lie in the year 10000; nobody but the office has signed it."""
    entry, before = next(moment for moment in history() if moment[0].type == "query.intent")
    late = "9999-12-31T23:59:59Z"
    for time in (late, "9998-12-31T23:59:59Z"):
        body = copied(entry.body)
        body["certificate"]["not_after"] = late
        body["digest"] = certificate_digest(body["certificate"])
        made = signed_again(replace(entry, body=body, time=time), random.Random(0))
        expected = "entry" if time == late else "bad_field"
        assert agreed(made.leaf(), before, entry.time) == expected
