"""Random logs of one network in which much is wrong: bad signatures, bad forms, refusals, keys that change.

A log is made from a list of steps (numbers); what a step is wrong about is decided here, what becomes of it
by the contract. Signing keys of members change in the middle, so that the same signature is true before a
place of the log and by a retired key after it.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.entries import bodies
from ledger.entries.entry import Entry, Signature, parse
from ledger.errors import EntryError, EntryRefusedError
from tests.ledger.contract.contract_cases import (
    NETWORK,
    Net,
    digest,
    key_objects,
    operators,
    query_id,
    ready,
    signer,
)


def flipped(signature: Signature) -> Signature:
    """The signature with one bit changed."""
    raw = bytearray(signature.raw)
    raw[40] ^= 1
    return replace(signature, sig=raw.hex())


class MixedLog:
    """A log under construction; ``leaves`` are its leaves so far, the founding included."""

    def __init__(self) -> None:
        self.net: Net = ready()
        self.leaves = [entry.leaf() for entry, _ in self.net.entries]
        self.generation = {"tax": 0, "housing": 0, "office": 0}
        self.steps = [
            self.plain,
            self.bad_signature,
            self.not_an_entry,
            self.unknown_field,
            self.used_id,
            self.used_id_and_bad_signature,
            self.new_keys,
            self.by_a_key_to_come,
            self.by_a_retired_key,
            self.intent,
            self.intent_with_a_bad_certificate,
            self.intent_with_another_digest,
            self.two_people,
            self.two_people_one_false,
            self.another_network,
            self.later,
        ]

    def step(self, kind: int, number: int) -> None:
        """Add what step ``kind`` says; ``number`` chooses among members, slots and ids."""
        made = self.steps[kind % len(self.steps)](number)
        leaf = made.leaf() if isinstance(made, Entry) else made
        self.leaves.append(leaf)
        try:
            self.net.apply(parse(leaf))
        except (EntryError, EntryRefusedError):
            return

    def _member(self, number: int) -> str:
        return list(self.generation)[number % len(self.generation)]

    def _incident(self, number: int, ahead: int = 0, **more: str) -> Entry:
        member = self._member(number)
        key = signer(member, "node", max(0, self.generation[member] + ahead))
        return self.net.entry("incident", key, bodies.incident("x", number), **more)

    def plain(self, number: int) -> Entry:
        return self._incident(number)

    def bad_signature(self, number: int) -> Entry:
        made = self._incident(number)
        return replace(made, sigs=(flipped(made.sigs[0]),))

    def not_an_entry(self, number: int) -> bytes:
        leaf = self._incident(number).leaf()
        return [b"", leaf[:-1], leaf.replace(b'"v":1', b'"v":2'), leaf.replace(b'{"body"', b'{ "body"')][
            number % 4
        ]

    def unknown_field(self, number: int) -> Entry:
        return self.net.entry("incident", "office", {**bodies.incident("x", number), "more": 1})

    def used_id(self, number: int) -> Entry:
        return self._incident(number, id=self.net.entries[number % len(self.net.entries)][0].id)

    def used_id_and_bad_signature(self, number: int) -> Entry:
        made = self.used_id(number)
        return replace(made, sigs=(flipped(made.sigs[0]),))

    def new_keys(self, number: int) -> Entry:
        member = self._member(number)
        self.generation[member] += 1
        keys = key_objects(member, self.generation[member])
        body = bodies.member_key(member, self.generation[member] + 1, keys)
        return self.net.entry("member.key", "seq", body, self.net.founders())

    def by_a_key_to_come(self, number: int) -> Entry:
        return self._incident(number, 1)

    def by_a_retired_key(self, number: int) -> Entry:
        return self._incident(number, -1)

    def intent(self, number: int) -> Entry:
        return self._intent(number, {})

    def intent_with_a_bad_certificate(self, number: int) -> Entry:
        body = self._intent(number, {}).body
        signature = flipped(Signature(**body["signature"]))
        return self._intent(number, {"signature": signature.to_json()})

    def intent_with_another_digest(self, number: int) -> Entry:
        return self._intent(number, {"digest": digest("another")})

    def _intent(self, number: int, changes: dict[str, object]) -> Entry:
        query = query_id(len(self.leaves))
        certificate = self.net.certificate(query)
        body = self.net.intent_body(certificate, self.net.slots(number % 4))
        office = signer("office", "node", self.generation["office"])
        return self.net.entry("query.intent", office, {**body, **changes}, id=query)

    def two_people(self, number: int) -> Entry:
        body = bodies.grant_review("g-tax", f"review {number}")
        tax = signer("tax", "node", self.generation["tax"])
        return self.net.entry("grant.review", tax, body, self._people())

    def two_people_one_false(self, number: int) -> Entry:
        made = self.two_people(number)
        return replace(made, sigs=(*made.sigs[:2], flipped(made.sigs[2])))

    def _people(self) -> list:
        place = 2 * self.generation["tax"]
        return operators("tax") if not place else [signer("tax", "operator", place + n) for n in (0, 1)]

    def another_network(self, number: int) -> bytes:
        return self._incident(number).leaf().replace(NETWORK.encode(), b"x-county")

    def later(self, number: int) -> Entry:
        return self._incident(number, time=f"2026-11-22T02:0{number % 10}:00Z")
