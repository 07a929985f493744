"""A small real network in one process, and finished checks in it: what the report's tests start from.

Real keys, contract, witnesses, replica, publications and sum key (fixed 2048-bit test primes); only the
wire and the clock are missing. ``world()`` is built once; ``World.finish(...)`` runs one household to its
``Finished``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from adapters.identifiers import canonical_bytes
from keys.signing import SigningKey
from ledger.contract.view import View
from ledger.entries import bodies
from ledger.entries.entry import Body, draft, sign_body, signed
from ledger.entries.times import format_time
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from ledger.merkle import MemoryTree, consistency_path, leaf_hash
from ledger.replica.replica import Replica
from ledger.storage.database import METADATA, open_database
from ledger.witness import AddCheckpoint, MemoryWitnessStore, Witness
from node.case import Case, Person
from node.config import Configuration
from node.home import Home
from node.rules.ruleset import RuleSet, parse
from node.services import Services
from node.store.setfiles import write_set
from protocols.profiles import PAILLIER_2048_TEST, TAG_BYTES
from protocols.psi import voprf
from protocols.psi.publication import published_leaves
from protocols.psi.tags import tag
from protocols.sums.sumkey import Share, SumKey
from protocols.sums.threshold import deal

NETWORK = "s-county"
LABEL = "2026-11.1"
START = 1_795_312_800
"""2026-11-22T02:00:00Z."""

ROLES = {
    "seq": ("sequencer",),
    "audit": ("auditor",),
    "trust": ("trustee",),
    "desk": ("registrar",),
    "office": ("office",),
    "tax": ("department",),
    "hib": ("department",),
    "housing": ("department",),
}
ADULT, SPOUSE, CHILD, OTHER, SINGLE = (
    "33102219800101001X",
    "331022198203040024",
    "331022201005060038",
    "331022199912310041",
    "331022197001010055",
)


def identifier(digits: str) -> str:
    """A valid identifier from the first 17 characters."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(weight * int(digit) for weight, digit in zip(weights, digits[:17], strict=True))
    return digits[:17] + "10X98765432"[total % 11]


IDS = [identifier(text) for text in (ADULT, SPOUSE, CHILD, OTHER, SINGLE)]
"""Applicant with income, veto hit, person in custody, person without a row, person with a single row."""

ROWS: dict[str, dict[str, int]] = {
    "tax.income": {IDS[0]: 1_234_500, IDS[1]: -20_000, IDS[2]: 900_000, IDS[4]: 50_000},
    "hib.selfpaid": {IDS[0]: 34_500},
    "tax.owner": {IDS[1]: 0},
    "housing.custody": {IDS[2]: 0},
    "housing.local": {},
}
KINDS = {"tax.income": "amount", "hib.selfpaid": "amount"}
AS_OF = {"housing.local": "2026-01-31"}
REGIONS = {"housing.local": ["3310"]}

PLAIN = """id = "dibao"
version = "2026.1"
region = "3310"
effective = "2026-01-01"
per_head_monthly_fen = 110000
income = ["tax.income"]
deduct = ["hib.selfpaid"]
veto = ["tax.owner"]
exclude = ["housing.custody"]
[[outcome]]
code = "dibao"
at_most = "1.0"
[[outcome]]
code = "edge"
below = "1.5"
[otherwise]
code = "none"
"""
VETO = '"tax.owner", "housing.local", "bank.deposit"'
STRICT = PLAIN.replace("2026.1", "2026.2").replace('"tax.owner"', VETO)
AGED = STRICT.replace("2026.2", "2026.3").replace("per_head", "max_age_days = 200\nper_head")


@cache
def key(member: str, use: str = "node") -> SigningKey:
    """A member's signing key."""
    return SigningKey.from_seed(hashlib.sha256(f"{member}/{use}".encode()).digest())


@cache
def sum_key() -> tuple[SumKey, tuple[Share, ...]]:
    """Sum key and shares of office and trustee, from the fixed test primes."""
    vectors = json.loads((Path(__file__).parents[2] / "vectors" / "paillier.json").read_text())
    case = vectors["cases"]["paillier-2048-test"]
    primes = (int(case["p"], 16), int(case["q"], 16))
    dealt = deal(
        PAILLIER_2048_TEST, ["office", "trust"], 2, primes, ceremony=hashlib.sha256(b"ceremony").digest()
    )
    return dealt.key, dealt.shares


@dataclass(frozen=True)
class Published:
    """A publication's secrets."""

    key: int
    public: bytes


class MemoryLedger:
    """The office's ledger client over a replica that is always up to date."""

    def __init__(self, network: str, policy: Policy, replica: Replica) -> None:
        self.network = network
        self.policy = policy
        self.replica = replica

    @property
    def view(self) -> View:
        return View(self.replica.state)

    def wait_for(self, ready: Callable[[View], bool], seconds: float) -> bool:
        return ready(self.view)


class World:
    """The network: log, witnesses, replica, publications."""

    def __init__(self, folder: Path, network: str = NETWORK) -> None:
        self.folder = folder
        self.network = network
        self.now = START
        self._count = 0
        self._tree = MemoryTree()
        self._pending: list[bytes] = []
        self._log = NoteSigner(f"log.{network}.hedui", key(f"{network}/seq", "log"))
        cosigners = [self._cosigner(member) for member in ROLES if member != "seq"]
        self._witnesses = [Witness(each, [self._log.verifier], MemoryWitnessStore()) for each in cosigners]
        self.policy = Policy.create(self._log.verifier, [each.verifier for each in cosigners])
        engine = open_database(f"sqlite:///{folder / 'replica.db'}")
        METADATA.create_all(engine)
        self.replica = Replica(engine, network, None, self.policy)
        self.published: dict[str, Published] = {}
        self.rules = {text: parse(text.encode()) for text in (PLAIN, STRICT, AGED)}
        nowhere = "sqlite://"
        office = Configuration(Home(folder), "office", "核对中心", ("office",), "", "", nowhere, nowhere)
        keys: Any = SimpleNamespace(node=key("office"))
        absent: Any = None
        ledger: Any = MemoryLedger(network, self.policy, self.replica)
        self.services = Services(office, keys, absent, ledger, absent, absent, absent, lambda: self.now)
        self._found()

    @property
    def view(self) -> View:
        return View(self.replica.state)

    # The log.

    def submit(
        self, kind: str, by: str, body: Body, co: Sequence[SigningKey] = (), id: str | None = None
    ) -> None:
        """Put one entry into the next batch."""
        self._count += 1
        self.now += 1
        name = f"e{self._count:031d}" if id is None else id
        made = draft(self.network, kind, name, self.time(), body)
        self._pending.append(signed(made, key(by), [sign_body(each, made) for each in co]).leaf())

    def time(self, later: int = 0) -> str:
        return format_time(self.now + later)

    def flush(self) -> None:
        """Order the batch, have it cosigned, replay it."""
        old = self._tree.size
        for leaf in self._pending:
            self._tree.append(leaf_hash(leaf))
        path = tuple(consistency_path(old, self._tree.size, self._tree)) if old else ()
        checkpoint = Checkpoint(self._log.verifier.name, self._tree.size, self._tree.root())
        note = sign_checkpoint(checkpoint, self._log)
        lines = []
        for witness in self._witnesses:
            status, body, _ = witness.add_checkpoint(
                AddCheckpoint(old, path, note.format()).format(), self.now
            )
            assert status == 200, body
            lines.append(body)
        complete = note.format() + b"".join(lines)
        Note.parse(complete)
        self.replica.extend(self._pending, complete)
        assert not self.replica.voids(), self.replica.voids()
        self._pending = []

    def _cosigner(self, member: str) -> Cosigner:
        return Cosigner(f"witness.{member}.hedui", key(f"{self.network}/{member}", "witness"))

    # The network's life up to a question.

    def _found(self) -> None:
        members = [self._member(member, roles) for member, roles in ROLES.items()]
        body = bodies.network_genesis(
            pilot=False, epoch="2026-11", members=members, params={"suite": PAILLIER_2048_TEST.name}
        )
        self.submit("network.genesis", "seq", body, [key(member) for member in ROLES], id="genesis")
        self.submit("sumkey.publish", "office", sum_key()[0].to_body(), [key("trust")])
        for dataset, rows in ROWS.items():
            self._publish(dataset, rows)
        for text, rules in self.rules.items():
            self._approve(text, rules)
        for owner in ("tax", "hib", "housing"):
            self._grant(owner)
        moved = bodies.member_endpoint("tax", 2, "tax2.example:7443")
        self.submit("member.endpoint", "tax", moved)
        self.flush()

    def _member(self, member: str, roles: tuple[str, ...]) -> Body:
        named = self._log.verifier if member == "seq" else self._cosigner(member).verifier
        use = "log" if member == "seq" else "witness"
        keys = [
            bodies.key("node", "ed25519", key(member).public.raw),
            bodies.key("operator", "ed25519", key(member, "a").public.raw),
            bodies.key("operator", "ed25519", key(member, "b").public.raw),
            bodies.key(use, "ed25519", named.public.raw, named.name),
        ]
        return bodies.member(member, f"成员 {member}", roles, keys, f"{member}.example:7443", b"\x30\x00")

    def _publish(self, dataset: str, rows: Mapping[str, int]) -> None:
        secret = hashlib.sha512(dataset.encode()).digest()
        scalar = int.from_bytes(secret[:31], "little")
        public = voprf.public_key(scalar)
        self.published[dataset] = Published(scalar, public)
        kind, paillier = KINDS.get(dataset, "member"), sum_key()[0].public

        def cipher(name: bytes, amount: int, purpose: bytes) -> bytes:
            if kind == "member":
                return b""
            return paillier.to_bytes(paillier.encrypt_row(secret, name, amount, purpose))

        found = []
        for text, amount in rows.items():
            name = canonical_bytes(text)
            [point] = voprf.evaluate(scalar, voprf.hash_inputs([name]))
            found.append((tag(dataset, LABEL, point), cipher(name, amount, b"row")))
        filler = None if kind == "member" else lambda at: cipher(at.to_bytes(TAG_BYTES, "big"), 0, b"dummy")
        leaves = published_leaves(secret, sorted(found), len(found), filler)
        facts = write_set(self.services.publication_folder(dataset, LABEL), dataset, LABEL, kind, leaves)
        owner = dataset.partition(".")[0]
        body = bodies.dataset_publish(
            dataset=dataset,
            epoch="2026-11",
            revision=1,
            kind=kind,
            suite=PAILLIER_2048_TEST.name if kind == "amount" else "voprf",
            key=public.hex(),
            root=facts.root,
            count=facts.count,
            as_of=AS_OF.get(dataset, "2026-10-31"),
            coverage=bodies.coverage(f"标题 {dataset}", regions=REGIONS.get(dataset)),
            definition=hashlib.sha256(dataset.encode()).hexdigest(),
            secrecy="sensitive",
        )
        self.submit("dataset.publish", owner, body)
        for member in ("office", "audit"):
            self.submit("dataset.verified", member, bodies.dataset_verified(dataset, LABEL, facts.root))

    def _approve(self, text: str, rules: RuleSet) -> None:
        lists = {name: getattr(rules, name) for name in ("income", "deduct", "veto", "exclude")}
        digest = hashlib.sha256(text.encode()).hexdigest()
        body = bodies.rules_publish(
            rules=rules.id,
            version=rules.version,
            digest=digest,
            region="3310",
            effective="2026-01-01",
            **lists,
        )
        self.submit("rules.publish", "office", body)
        for member in ("tax", "hib", "audit"):
            self.submit("rules.approve", member, bodies.rules_approve(rules.id, rules.version, digest))

    def _grant(self, owner: str) -> None:
        definitions = {
            name: hashlib.sha256(name.encode()).hexdigest() for name in ROWS if name.startswith(f"{owner}.")
        }
        body = bodies.grant_request(
            grant=f"g-{owner}",
            requester="office",
            owner=owner,
            definitions=definitions,
            protocol="sum",
            reveal="total",
            purpose="dibao",
            basis="社会救助暂行办法 58",
            first="2026-11-01",
            last="2026-12-31",
            period="month",
            slots=100,
            elements=8,
            min_terms=0,
        )
        self.submit("grant.request", "office", body)
        decided = bodies.grant_decide(f"g-{owner}", "approve")
        self.submit("grant.decide", owner, decided, [key(owner, "a"), key(owner, "b")])

    def case(self, number: str, rules: str, *ids: str, **changes: Any) -> Case:
        """An application of the persons with these identifiers."""
        household = tuple(
            Person(
                name=f"王{'甲乙丙丁戊'[at]}",
                id=text,
                relation="self" if at == 0 else "child",
                consent="signed",
                region="331022",
            )
            for at, text in enumerate(ids)
        )
        made = Case(
            case=number,
            rules=self.rules[rules].key,
            applied=dt.date(2026, 11, 2),
            office="office",
            household=household,
        )
        return made.model_copy(update=changes)


@cache
def world(network: str = NETWORK) -> World:
    """The network, built once a run; its folder goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="report-world-")
    made = World(Path(folder.name), network)
    made.keep = folder  # type: ignore[attr-defined]  # removed when the world is
    return made
