"""A whole network in one process: real homes, keys, stores, log, witnesses, roles; no socket, no clock.

``Network`` puts the members together over one embedded sequencer, with ``tests.node.rpc.wire_in_memory``
between
them; its clock stands still until a test moves it. Nothing here is a mock: only wire and clock are ours.

``shared()`` is built once a process; a test that breaks a network permanently makes its own.
"""

from __future__ import annotations

import atexit
import datetime as dt
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine

from keys.signing import SigningKey
from ledger.entries import entry as entries
from ledger.entries.times import format_time
from ledger.formats.checkpoint import Cosigner
from ledger.formats.note import NoteSigner
from ledger.replica.replica import Replica
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from ledger.storage.database import open_database
from ledger.wire import log_pb2_grpc
from ledger.witness import MemoryWitnessStore, Witness
from node.audit.publications import verify_publications
from node.case import Case, Person
from node.config import Configuration
from node.department.answer import Department
from node.department.declaration import DatasetDeclaration
from node.department.publish import PublishedDataset, Publisher
from node.edges.check import DepartmentEdge, RegistrarEdge, TrusteeEdge
from node.edges.ledger import LogEdge, WitnessEdge
from node.governance import rule_sets
from node.member_keys import MemberKeys, open_keys
from node.membership import network
from node.membership.home_setup import init_home
from node.membership.network import GENESIS, NetworkFile
from node.office.check import Office
from node.registrar import consents
from node.registrar.certify import Registrar
from node.rpc.directory import Contact, Directory
from node.rpc.server import Peers
from node.rules.ruleset import RuleSet
from node.services import Services
from node.store.database import Store
from node.store.opening import migrate
from node.tlog.client import LedgerClient
from node.tlog.outbox import Outbox
from node.tlog.split_views import SplitViewEvidence
from node.tlog.transport import LocalTransport, RemoteTransport, Transport
from node.tlog.witness import CosignedNotes, WitnessDesk, WitnessOverWire
from node.trustee.release import Trustee
from protocols.profiles import PAILLIER_2048_TEST
from protocols.sums.threshold import deal
from protocols.wire import check_pb2_grpc
from tests.node.rpc.wire_in_memory import MemoryChannels, Port, Wire

NETWORK = "s-county"
EPOCH = "2026-11"
START = 1_795_312_800
"""2026-11-22T02:00:00Z."""

ROLES: dict[str, tuple[str, ...]] = {
    "audit": ("auditor", "sequencer"),
    "trust": ("trustee",),
    "desk": ("registrar",),
    "office": ("office",),
    "tax": ("department",),
    "hib": ("department",),
    "police": ("department",),
}
DEPARTMENTS = ("tax", "hib", "police")


def resident(digits: str) -> str:
    """A valid identifier from its first 17 characters."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True))
    return digits + "10X98765432"[total % 11]


def stranger(number: int) -> str:
    """A valid identifier that stands in no dataset."""
    born = date(1970, 1, 1) + timedelta(days=number // 1000)
    return resident(f"331022{born:%Y%m%d}{number % 1000:03d}")


ANNA, BAO, CHEN, DENG, FANG = (resident(f"3310221980010100{number}") for number in range(1, 6))
"""Income and costs; income and a company; in custody; two with income only."""

SOURCES = {
    "tax.income": f"id,fen\n{ANNA},1000000\n{ANNA},234500\n{BAO},-20000\n{CHEN},900000\n"
    f"{DENG},700\n{FANG},50\n",
    "tax.owner": f"id\n{BAO}\n",
    "hib.selfpaid": f"id,fen\n{ANNA},34500\n",
    "police.custody": f"id\n{CHEN}\n",
}
RULES = b"""id = "dibao"
version = "2026.1"
region = "3310"
effective = "2026-01-01"
per_head_monthly_fen = 110000
income = ["tax.income"]
deduct = ["hib.selfpaid"]
veto = ["tax.owner"]
exclude = ["police.custody"]
[[outcome]]
code = "dibao"
at_most = "1.0"
[[outcome]]
code = "edge"
below = "1.5"
[otherwise]
code = "none"
"""


class Network:
    """Members by id over one log. Close it when done."""

    def __init__(self, folder: Path, sources: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.now = START
        self.skew: dict[str, int] = {}
        self.wire = Wire()
        self.services: dict[str, Services] = {}
        self._engines: list[Engine] = []
        self.homes = {member: self._home(member, roles) for member, roles in ROLES.items()}
        cards = [json.loads(home.home.card.read_text()) for home in self.homes.values()]
        keys = {member: open_keys(home) for member, home in self.homes.items()}
        proposal = network.propose(NETWORK, EPOCH, PAILLIER_2048_TEST.name, cards, pilot=False)
        for card in cards:
            network.sign_proposal(proposal, card, keys[card["id"]].node)
        self.genesis, self.file = network.seal(proposal, keys["audit"].node, self.time())
        self.cards = {card["id"]: card for card in cards}
        contacts = network.genesis_contacts(self.genesis)
        self.sequencer = self._sequencer(keys["audit"], contacts)
        for member, home in self.homes.items():
            self.services[member] = self._member(member, home, keys[member], contacts)
        self.registrar = Registrar(self.services["desk"])
        self.departments = {member: Department(self.services[member]) for member in DEPARTMENTS}
        self.trustee = Trustee(self.services["trust"])
        self.office = Office(self.services["office"])
        self._open_ports()
        self.sequencer.start()
        self.sequencer.wait_ready(10)
        self.sequencer.submit(self.genesis)
        self.rules = self._found(SOURCES if sources is None else sources)

    # Putting together.

    def _home(self, member: str, roles: tuple[str, ...]) -> Configuration:
        root = self.folder / "homes" / member
        return init_home(root, member, f"成员 {member}", roles, "127.0.0.1:1", f"{member}.example:7401")

    def _engine(self, url: str) -> Engine:
        engine = open_database(url)
        migrate(engine)
        self._engines.append(engine)
        return engine

    def _clock(self, member: str) -> Callable[[], int]:
        return lambda: self.now + self.skew.get(member, 0)

    def _sequencer(self, keys: MemberKeys, contacts: list[Contact]) -> Sequencer:
        policy = self.file.policy
        names = network.witness_names(list(self.cards.values()))
        channels = MemoryChannels(self.wire, Directory(contacts, list), keys)
        clients = {
            witness.name: WitnessOverWire(channels, names[witness.name]) for witness in policy.witnesses
        }
        signer = NoteSigner(policy.origin, keys.signing("log"))

        def refused(digest: bytes, code: str) -> bytes:
            body = {"entry": digest.hex(), "code": code}
            return self.services["audit"].ledger.compose("query.refused", secrets.token_hex(16), body)

        settings = FinalizerSettings(round=5, retry=0.05, submit=30, refusals=0, refusal_entry=refused)
        engine = self._engine(f"sqlite:///{self.folder / 'log.db'}")
        public = self.folder / "public"
        return Sequencer(engine, LogParts(signer, policy, clients, public, settings), self._clock("log"))

    def _member(
        self, member: str, home: Configuration, keys: MemberKeys, contacts: list[Contact]
    ) -> Services:
        engine = self._engine(home.store_url)
        replica = Replica(engine, NETWORK, self.file.genesis, self.file.policy)
        directory = Directory(contacts, list)
        channels = MemoryChannels(self.wire, directory, keys)
        cosigned, clock = CosignedNotes(), self._clock(member)
        transport: Transport = LocalTransport(self.sequencer)
        if member != "audit":
            transport = RemoteTransport(channels, lambda: "audit")
        policy, notes = self.file.policy, cosigned.notes
        evidence = SplitViewEvidence(home.home.evidence, policy, clock)
        ledger = LedgerClient(NETWORK, policy, replica, transport, keys.node, notes, clock, evidence)
        store = Store(engine)
        peers, outbox = Peers(directory), Outbox(store, ledger)
        services = Services(home, keys, store, ledger, outbox, channels, peers, clock)
        port: Any = self.wire.ports.setdefault(member, Port())
        if member == "audit":
            log_pb2_grpc.add_LogServicer_to_server(LogEdge(peers, transport), port)
        else:
            key = keys.signing("witness")
            name = next(w.name for w in self.file.policy.witnesses if w.key.public.raw == key.public.raw)
            witness = Witness(Cosigner(name, key), [self.file.policy.log], MemoryWitnessStore())
            desk = WitnessDesk(witness, self.file.policy.origin, cosigned, clock, ledger.compare)
            log_pb2_grpc.add_WitnessServicer_to_server(WitnessEdge(peers, desk, "audit"), port)
        outbox.start()
        return services

    def _open_ports(self) -> None:
        desk: Any = self.wire.ports["desk"]
        edge = RegistrarEdge(self.services["desk"].peers, self.registrar)
        check_pb2_grpc.add_RegistrarServicer_to_server(edge, desk)
        for member, role in self.departments.items():
            services, port = self.services[member], cast("Any", self.wire.ports[member])
            check_pb2_grpc.add_DepartmentServicer_to_server(
                DepartmentEdge(services.peers, services, role), port
            )
        trust: Any = self.wire.ports["trust"]
        check_pb2_grpc.add_TrusteeServicer_to_server(
            TrusteeEdge(self.services["trust"].peers, self.trustee), trust
        )

    # The network's life up to a question.

    def _found(self, sources: dict[str, str]) -> RuleSet:
        vectors = Path(__file__).parents[1] / "vectors" / "paillier.json"
        case = json.loads(vectors.read_text())["cases"]["paillier-2048-test"]
        primes = (int(case["p"], 16), int(case["q"], 16))
        self.dealt = deal(PAILLIER_2048_TEST, ["office", "trust"], 2, primes, ceremony=b"\x01" * 32)
        for share in self.dealt.shares:
            vault = self.services[share.holder].keys.vault
            vault.put("sumshare", self.dealt.key.share_to_bytes(share))
        self.submit("office", "sumkey.publish", dict(self.dealt.key.to_body()), self.key("trust"))
        for dataset, text in sources.items():
            self.publish(dataset, text)
        for member in ("office", "audit"):
            verify_publications(self.services[member], lambda *_: None)
        rules = rule_sets.publish(self.services["office"], RULES)
        for member in ("tax", "hib", "audit"):
            rule_sets.approve(self.services[member], RULES)
        for owner in DEPARTMENTS:
            self.grant(f"g-{owner}", owner)
        self.sync()
        return rules

    def sources(self, owner: str) -> Path:
        """Folder of a department's raw files."""
        return self.homes[owner].home.root / "sources"

    def declaration(self, dataset: str, text: str) -> DatasetDeclaration:
        """Declaration of a dataset whose source is this CSV text."""
        root = self.sources(dataset.partition(".")[0])
        root.mkdir(exist_ok=True)
        (root / f"{dataset}.csv").write_text(text)
        amount = {"amount": "fen", "unit": "fen"} if text.startswith("id,fen") else {}
        value = {
            "id": dataset,
            "title": f"标题 {dataset}",
            "kind": "amount" if amount else "member",
            "source": f"csv:{dataset}.csv",
            "identifier": "id",
            "as_of": "2026-10-31",
        }
        return DatasetDeclaration.parse(value | amount)

    def publish(self, dataset: str, text: str) -> PublishedDataset:
        """Publish a dataset's next revision from CSV text."""
        owner = dataset.partition(".")[0]
        declared = self.declaration(dataset, text)
        publisher = Publisher(self.services[owner])
        return publisher.publish(declared, self.sources(owner), EPOCH, lambda *_: None)

    def grant(self, grant: str, owner: str, **changes: Any) -> None:
        """Request a grant over all the owner's datasets, and approve it."""
        view = self.services["office"].view
        self.services["office"].ledger.sync()
        datasets = []
        for dataset in view.datasets():
            publication = view.current(dataset, "office")
            if publication is not None and publication.owner == owner:
                datasets.append({"dataset": dataset, "definition": publication.definition})
        body: dict[str, Any] = {
            "grant": grant,
            "requester": "office",
            "owner": owner,
            "datasets": datasets,
            "protocol": "sum",
            "reveal": "total",
            "purpose": "dibao",
            "basis": "社会救助暂行办法 58",
            "from": "2026-11-01",
            "until": "2027-10-31",
            "period": "month",
            "slots": 1000,
            "elements": 8,
            "min_terms": 0,
        }
        self.submit("office", "grant.request", {**body, **changes})
        self.submit(owner, "grant.decide", {"grant": grant, "decision": "approve"}, *self.people(owner))

    # What tests do.

    def time(self) -> str:
        """The clock as an entry's time."""
        return format_time(self.now)

    def key(self, member: str, name: str = "node") -> SigningKey:
        """A member's signing key."""
        return open_keys(self.homes[member]).signing(name)

    def people(self, member: str) -> tuple[SigningKey, SigningKey]:
        """Keys of two people of a member."""
        return self.key(member, "operator-a"), self.key(member, "operator-b")

    def submit(self, member: str, kind: str, body: dict[str, Any], *co: SigningKey) -> None:
        """Put an entry on the ledger and replay it at its submitter."""
        name = secrets.token_hex(16)
        message = entries.body_message(NETWORK, kind, name, body)
        self.services[member].ledger.submit(
            kind, name, body, [entries.sign_message(one, message) for one in co]
        )
        self.services[member].ledger.sync()

    def sync(self) -> None:
        """Bring every replica to the head."""
        for services in self.services.values():
            services.ledger.sync()

    def advance(self, seconds: int) -> None:
        """Move the clock, and have a head cosigned at the new time."""
        self.now += seconds
        self.submit("audit", "incident", {"code": "clock_moved", "count": 1})

    def case(self, *ids: str, consent: str = "signed") -> Case:
        """An application of these persons, its consents in the registrar's store."""
        household = tuple(
            Person(name="王甲", id=text, relation="self", consent=consent, region="331022") for text in ids
        )
        case = Case(
            case=secrets.token_hex(6),
            rules="dibao@2026.1",
            applied=dt.date(2026, 11, 2),
            office="office",
            household=household,
        )
        consents.record(self.services["desk"], consents.load_case(self.services["desk"], case))
        return case

    def close(self) -> None:
        """End every thread and close every database."""
        for services in self.services.values():
            services.outbox.close()
        self.sequencer.stop()
        for engine in self._engines:
            engine.dispose()


def found(folder: Path) -> NetworkFile:
    """A network file of three members that are nobody else's."""
    cards, keys = [], []
    for member, role in (("log", "sequencer"), ("a", "office"), ("b", "registrar")):
        home = init_home(folder / member, member, member, (role,), "127.0.0.1:1")
        cards.append(json.loads(home.home.card.read_text()))
        keys.append(open_keys(home).node)
    proposal = network.propose("other", EPOCH, PAILLIER_2048_TEST.name, cards, pilot=True)
    for card, key in zip(cards, keys, strict=True):
        network.sign_proposal(proposal, card, key)
    return network.seal(proposal, keys[0], "2026-11-22T02:00:00Z")[1]


@cache
def shared(purpose: str = "") -> Network:
    """The network of this process, closed when it ends; another for each ``purpose`` that breaks things."""
    del purpose
    folder = Path(tempfile.mkdtemp(prefix="network-"))
    made = Network(folder)

    def end() -> None:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return made


__all__ = ["GENESIS", "Network", "Wire", "found", "shared"]
