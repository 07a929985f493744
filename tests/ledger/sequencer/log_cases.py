"""A log under test: the contract tests' network, its policy, real witnesses in memory, and cheap entries.

Nothing here is a mock: witnesses are ``ledger.witness.Witness`` over a store, reached by a client that can be
switched off, and the databases are SQLite files.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Engine

from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.entries.entry import Entry, draft, signed
from ledger.entries.times import parse_time
from ledger.errors import EntryRefusedError
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from ledger.merkle import MemoryTree, leaf_hash
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from ledger.storage.database import create_tables, open_database
from ledger.witness import MemoryWitnessStore, Witness
from tests.ledger.contract.contract_cases import MEMBERS, NETWORK, NOW, Net, signer

MOMENT = parse_time(NOW)
LOG = NoteSigner(f"{NETWORK}/seq", signer("seq", "log"))
COSIGNERS = [
    Cosigner(f"{NETWORK}/{member}", signer(member, "witness")) for member in MEMBERS if member != "seq"
]
POLICY = Policy.create(LOG.verifier, [cosigner.verifier for cosigner in COSIGNERS])
"""Six witnesses, of whom four must cosign."""


class Client:
    """A witness in this process; ``up`` is whether it answers."""

    def __init__(self, cosigner: Cosigner, clock: Callable[[], int]) -> None:
        self.witness = Witness(cosigner, [LOG.verifier], MemoryWitnessStore())
        self.clock = clock
        self.up = True
        self.calls = 0

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        if not self.up:
            raise ConnectionRefusedError("switched off")
        self.calls += 1
        status, answer, _ = self.witness.add_checkpoint(body, self.clock())
        return status, answer

    def latest(self) -> bytes | None:
        if not self.up:
            raise ConnectionRefusedError("switched off")
        return self.witness.latest(LOG.verifier.name)


class World:
    """A folder with a log's database, its public folder and its witnesses."""

    def __init__(self, folder: Path, admit: Apply | None = None) -> None:
        self.folder = folder
        self.public = folder / "public"
        self.now = MOMENT
        self.admit = cheap if admit is None else admit
        self.clients = {c.verifier.name: Client(c, lambda: self.now) for c in COSIGNERS}
        self.steps: list[str] = []
        self._running: list[Sequencer] = []

    def sequencer(self, name: str = "log", **changes: object) -> Sequencer:
        """A sequencer over the database of this name, not started."""
        fields: dict[str, object] = {
            "round": 0.5,
            "retry": 0.05,
            "submit": 20.0,
            "observe": self.steps.append,
        }
        settings = FinalizerSettings(**{**fields, **changes})  # type: ignore[arg-type]
        made = Sequencer(
            self.engine(name),
            LogParts(LOG, POLICY, self.clients, self.public, settings),
            lambda: self.now,
            admit=self.admit,
        )
        self._running.append(made)
        return made

    def started(self, name: str = "log", **changes: object) -> Sequencer:
        """A sequencer past its start gate."""
        made = self.sequencer(name, **changes)
        made.start()
        made.wait_ready(5)
        return made

    def engine(self, name: str) -> Engine:
        """The database of this name, with its tables."""
        engine = open_database(f"sqlite:///{self.folder / name}.db")
        create_tables(engine)
        return engine

    def switch(self, count: int, *, up: bool) -> list[str]:
        """Switch the first ``count`` witnesses on or off; returns their names."""
        names = list(self.clients)[:count]
        for name in names:
            self.clients[name].up = up
        return names

    def close(self) -> None:
        """Stop every sequencer."""
        for sequencer in self._running:
            sequencer.stop()


def cheap(state: State, entry: Entry, now: str) -> None:
    """A contract that takes an entry once, whatever it says, and refuses the type ``bad``."""
    if entry.type == "bad" or entry.body.get("code") == "refuse":
        raise EntryRefusedError("bad_entry", "do not send this one")
    if state.get(f"id/{entry.id}") is not None:
        raise EntryRefusedError("id_used", "use a new id")
    state.put(f"id/{entry.id}", {"type": entry.type, "now": now})


def admit_all(state: State, entry: Entry, now: str) -> None:
    """What a dishonest sequencer does with the contract."""
    del state, entry, now


def leaf(code: str = "x", *, id: str | None = None, time: str = NOW, type: str = "incident") -> bytes:
    """A small signed entry that ``cheap`` takes."""
    name = secrets.token_hex(16) if id is None else id
    return signed(draft(NETWORK, type, name, time, {"code": code, "count": 1}), signer("office")).leaf()


def some_leaves(count: int) -> list[bytes]:
    """Leaves that are cheap to make and are no entries."""
    return [b"leaf %d" % number for number in range(count)]


def real_leaves(net: Net) -> list[bytes]:
    """The leaves of a network's entries so far."""
    return [entry.leaf() for entry, _ in net.entries]


def tree_of(leaves: Iterable[bytes]) -> MemoryTree:
    """The Merkle tree of leaves."""
    return MemoryTree(leaf_hash(one) for one in leaves)


def signed_head(leaves: Iterable[bytes]) -> Note:
    """The log's checkpoint over leaves, without cosignatures."""
    tree = tree_of(leaves)
    return sign_checkpoint(Checkpoint(POLICY.origin, tree.size, tree.root()), LOG)


def cosigned(leaves: Iterable[bytes], count: int = 4, time: int = MOMENT) -> bytes:
    """A checkpoint over leaves with the cosignatures of the first ``count`` witnesses."""
    note = signed_head(leaves)
    lines = tuple(cosigner.cosign(note.text, time) for cosigner in COSIGNERS[:count])
    return Note(note.text, note.signatures + lines).format()


def wait_for(condition, seconds=5.0):
    """Wait until it holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)
