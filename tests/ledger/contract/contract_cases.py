"""A small valid network with real Ed25519 keys, and entries in it: what the contract's tests start from.

``Net`` holds a state and the contract's time. ``Net.ready()`` is a network where everything an intent needs
is done: sum key, publications verified, rules approved, grants approved. Keys derive from names, so runs are
repeatable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from keys.signing import SigningKey
from ledger.contract import apply
from ledger.contract.state import MemoryState
from ledger.contract.view import View
from ledger.entries import bodies
from ledger.entries.entry import (
    Body,
    Entry,
    Signature,
    certificate_message,
    draft,
    parse,
    sign_body,
    sign_message,
    signed,
)
from ledger.entries.times import period_label

NETWORK = "s-county"
NOW = "2026-11-22T02:00:00Z"
MEMBERS: dict[str, tuple[str, ...]] = {
    "seq": ("sequencer",),
    "audit": ("auditor",),
    "trust": ("trustee",),
    "desk": ("registrar",),
    "office": ("office",),
    "tax": ("department",),
    "housing": ("department",),
}
KINDS = {"tax.income": "amount", "tax.owner": "member", "housing.two": "member"}
LABEL = "2026-11.1"
SUITE = "paillier-2048-test"
RULES = {"id": "dibao", "version": "2026.1"}


def digest(*words: object) -> str:
    """A 32-byte hex value that stands for something."""
    return hashlib.sha256(repr(words).encode()).hexdigest()


def query_id(name: object) -> str:
    """A query id."""
    return digest("query", name)[:32]


@cache
def signer(member: str, use: str = "node", number: int = 0) -> SigningKey:
    """The signing key of a member for one use."""
    return SigningKey.from_seed(hashlib.sha256(f"{member}/{use}/{number}".encode()).digest())


def key_objects(member: str, number: int = 0, *, sequencer: bool = False) -> list[Body]:
    """A full valid set of keys; ``number`` makes a fresh one."""
    vkey = "log" if sequencer else "witness"
    return [
        bodies.key("node", "ed25519", signer(member, "node", number).public.raw),
        bodies.key("operator", "ed25519", signer(member, "operator", 2 * number).public.raw),
        bodies.key("operator", "ed25519", signer(member, "operator", 2 * number + 1).public.raw),
        bodies.key(vkey, "ed25519", signer(member, vkey, number).public.raw, f"{NETWORK}/{member}"),
        bodies.key("seal", "x25519", bytes.fromhex(digest("seal", member, number))),
    ]


def member_object(member: str, roles: Sequence[str], number: int = 0) -> Body:
    """A valid member object."""
    keys = key_objects(member, number, sequencer="sequencer" in roles)
    return bodies.member(member, f"成员 {member}", roles, keys, f"{member}.example:7443", b"\x30\x00")


def genesis_body(
    roles: Mapping[str, tuple[str, ...]] | None = None, *, pilot: bool = False, suite: str = SUITE
) -> Body:
    """The body of a genesis entry."""
    members = [member_object(id, held) for id, held in (MEMBERS if roles is None else roles).items()]
    return bodies.network_genesis(pilot=pilot, epoch="2026-11", members=members, params={"suite": suite})


def operators(member: str) -> list[SigningKey]:
    """The member's two operators."""
    return [signer(member, "operator", 0), signer(member, "operator", 1)]


class Net:
    """A network under test.

    Attributes:
        state: the contract's state.
        now: the contract's time.
        entries: every entry accepted through this object, in order.
    """

    def __init__(self) -> None:
        self.state = MemoryState()
        self.now = NOW
        self.entries: list[tuple[Entry, str]] = []
        self._count = 0

    @property
    def view(self) -> View:
        return View(self.state)

    def entry(
        self,
        type: str,
        by: str | SigningKey,
        body: Body,
        co: Iterable[SigningKey] = (),
        id: str | None = None,
        time: str | None = None,
    ) -> Entry:
        """A signed entry, through its leaf bytes as a replica would read it."""
        self._count += 1
        name = digest("entry", self._count)[:32] if id is None else id
        made = draft(NETWORK, type, name, self.now if time is None else time, body)
        node = signer(by) if isinstance(by, str) else by
        return parse(signed(made, node, [sign_body(key, made) for key in co]).leaf())

    def apply(self, entry: Entry) -> Entry:
        """Apply an entry at the contract's time."""
        apply(self.state, entry, self.now)
        self.entries.append((entry, self.now))
        return entry

    def do(
        self, type: str, by: str | SigningKey, body: Body, co: Iterable[SigningKey] = (), **more: Any
    ) -> Entry:
        """Make and apply an entry."""
        return self.apply(self.entry(type, by, body, co, **more))

    # Steps of a network's life.

    def genesis(self, body: Body | None = None) -> Net:
        """Found the network."""
        body = genesis_body() if body is None else body
        co = [signer(member["id"]) for member in body["members"]]
        self.do("network.genesis", "seq", body, co, id="genesis")
        return self

    def founders(self, count: int = 4) -> list[SigningKey]:
        """Node keys of the first founders; four of seven are a majority."""
        return [signer(member) for member in list(MEMBERS)[:count]]

    def sumkey_body(self, **changes: Any) -> Body:
        """A sum key of the right shape (no ceremony behind it)."""
        fields: dict[str, Any] = {
            "suite": SUITE,
            "bits": 2048,
            "office": "office",
            "trustees": ["trust"],
            "threshold": 2,
            "modulus": "8" + digest("n") * 7 + digest("n")[:63],
            "base": digest("h"),
            "v": digest("v"),
            "verification": {"office": digest("v1"), "trust": digest("v2")},
            "ceremony": digest("ceremony"),
            "proof": [digest("p", index) for index in range(3)],
        }
        return bodies.sumkey_publish(**{**fields, **changes})

    def publish_body(self, dataset: str, revision: int = 1, **changes: Any) -> Body:
        """A publication."""
        kind = KINDS.get(dataset, "member")
        fields: dict[str, Any] = {
            "dataset": dataset,
            "epoch": "2026-11",
            "revision": revision,
            "kind": kind,
            "suite": SUITE if kind == "amount" else "voprf",
            "key": digest("K", dataset, revision),
            "root": digest("root", dataset, revision),
            "count": 125,
            "as_of": "2026-10-31",
            "coverage": bodies.coverage("全县", "2025-11/2026-10", ["3310"]),
            "definition": digest("definition", dataset),
            "secrecy": "sensitive",
        }
        return bodies.dataset_publish(**{**fields, **changes})

    def verify(self, by: str, dataset: str, revision: int = 1) -> Entry:
        """``dataset.verified`` by a member."""
        root = digest("root", dataset, revision)
        return self.do("dataset.verified", by, bodies.dataset_verified(dataset, f"2026-11.{revision}", root))

    def publish(self, dataset: str, revision: int = 1, **changes: Any) -> None:
        """Publish, and verify by office and auditor."""
        owner = dataset.partition(".")[0]
        self.do("dataset.publish", owner, self.publish_body(dataset, revision, **changes))
        self.verify("office", dataset, revision)
        self.verify("audit", dataset, revision)

    def rules_body(self, **changes: Any) -> Body:
        """Rules with an amount owner who is a member, one who is none, and bits."""
        fields: dict[str, Any] = {
            "rules": RULES["id"],
            "version": RULES["version"],
            "digest": digest("rules"),
            "region": "3310",
            "effective": "2026-01-01",
            "income": ["tax.income", "sib.pension"],
            "veto": ["tax.owner", "housing.two"],
        }
        return bodies.rules_publish(**{**fields, **changes})

    def approve_body(self, **changes: Any) -> Body:
        """An approval of the rules."""
        return {"rules": RULES["id"], "version": RULES["version"], "digest": digest("rules"), **changes}

    def grant_body(self, owner: str, grant: str | None = None, **changes: Any) -> Body:
        """A grant on all datasets of ``owner``: three slots a month of eight elements each."""
        fields: dict[str, Any] = {
            "grant": f"g-{owner}" if grant is None else grant,
            "requester": "office",
            "owner": owner,
            "definitions": {
                name: digest("definition", name) for name in KINDS if name.startswith(f"{owner}.")
            },
            "protocol": "sum",
            "reveal": "total",
            "purpose": "dibao",
            "basis": "社会救助暂行办法 58",
            "first": "2026-11-01",
            "last": "2026-12-31",
            "period": "month",
            "slots": 3,
            "elements": 8,
            "min_terms": 0,
        }
        return bodies.grant_request(**{**fields, **changes})

    def grant(self, owner: str, grant: str | None = None, **changes: Any) -> None:
        """Request and approve a grant."""
        body = self.grant_body(owner, grant, **changes)
        self.do("grant.request", "office", body)
        self.do("grant.decide", owner, bodies.grant_decide(body["grant"], "approve"), operators(owner))

    def lines(self, *datasets: str, revision: int = 1) -> list[Body]:
        """Dataset lines of a certificate."""
        return [
            {
                "dataset": name,
                "publication": f"2026-11.{revision}",
                "key": digest("K", name, revision),
                "grant": f"g-{name.partition('.')[0]}",
            }
            for name in sorted(datasets)
        ]

    def certificate(self, query: str, *datasets: str, count: int = 4, **changes: Any) -> Body:
        """A certificate over all datasets, or those given."""
        fields: dict[str, Any] = {
            "v": 1,
            "network": NETWORK,
            "office": "office",
            "registrar": "desk",
            "query": query,
            "protocol": "sum",
            "reveal": "total",
            "purpose": "dibao",
            "rules": {**RULES, "digest": digest("rules")},
            "datasets": self.lines(*(datasets or tuple(KINDS))),
            "count": count,
            "cases": 1,
            "elements": digest("elements", query),
            "rlist": digest("rlist", query),
            "casemap": digest("casemap", query),
            "consents": digest("consents", query),
            "trace": sorted(digest("trace", query, index)[:32] for index in range(count)),
            "not_before": "2026-11-22T01:58:00Z",
            "not_after": "2026-11-22T02:13:00Z",
        }
        return {**fields, **changes}

    def slots(
        self, *indexes: int, grants: Sequence[str] = ("g-housing", "g-tax")
    ) -> list[tuple[str, str, int]]:
        """The same slots of several grants, this month."""
        period = period_label(self.now, "month")
        return [(grant, period, index) for grant in grants for index in indexes]

    def intent_body(
        self, certificate: Body, slots: Iterable[tuple[str, str, int]], key: SigningKey | None = None
    ) -> Body:
        """An intent whose certificate the registrar signed."""
        by = signer("desk") if key is None else key
        signature: Signature = sign_message(by, certificate_message(certificate))
        return bodies.query_intent(certificate, signature, digest("operator", certificate["query"]), slots)

    def intent(self, name: object = 1, slot: int = 0, **changes: Any) -> Entry:
        """An intent on every dataset with slot ``slot`` of each grant, not yet applied."""
        query = query_id(name)
        body = self.intent_body(self.certificate(query, **changes), self.slots(slot))
        return self.entry("query.intent", "office", body, id=query)

    def answers(self, name: object = 1) -> None:
        """Every owner answers."""
        for dataset in KINDS:
            body = bodies.query_answer(query_id(name), dataset, "answered", digest("response", dataset))
            self.do("query.answer", dataset.partition(".")[0], body)

    def prepare(self) -> Net:
        """Do everything an intent needs."""
        self.do("sumkey.publish", "office", self.sumkey_body(), [signer("trust")])
        for dataset in KINDS:
            self.publish(dataset)
        self.do("rules.publish", "office", self.rules_body())
        self.do("rules.approve", "tax", self.approve_body())
        self.do("rules.approve", "audit", self.approve_body())
        self.grant("tax")
        self.grant("housing")
        return self

    def copy(self) -> Net:
        """An independent network in the same state."""
        other = Net()
        other.state.values = dict(self.state.values)
        other.now = self.now
        other.entries = list(self.entries)
        other._count = self._count
        return other


@cache
def _stage(name: str) -> Net:
    if name == "empty":
        return Net()
    if name == "founded":
        return Net().genesis()
    if name == "ready":
        return founded().prepare()
    net = ready()
    net.apply(net.intent())
    if name == "answered":
        net.answers()
    return net


def _starter(name: str) -> Callable[[], Net]:
    return lambda: _stage(name).copy()


empty = _starter("empty")
founded = _starter("founded")
ready = _starter("ready")
asked = _starter("asked")
answered = _starter("answered")
