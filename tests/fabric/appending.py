"""Members that append to a real network whatever happens to it, and what must hold afterwards."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger.audit.verify import verify_folder
from ledger.entries.entry import draft, signed
from ledger.errors import LogUnavailableError
from ledger.fabric.profile import ConnectionProfile
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.receipt import Receipt
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.live_net import Live
from tests.ledger.contract.contract_cases import NETWORK, signer
from tests.ledger.sequencer.log_cases import POLICY

SUBMITTERS = 8
TRIES = 600
PAUSE_SECONDS = 0.2


@contextmanager
def open_engine_on(profiles: Path, folder: Path) -> Iterator[FabricEngine]:
    """An engine over an empty ledger, with the network's genesis entry."""
    read = [ConnectionProfile.read(path) for path in sorted(profiles.glob("*.toml"))]
    engine = FabricEngine(folder, read, lambda: int(time.time()))
    try:
        Live(engine).genesis()
        yield engine
    finally:
        engine.close()


def incident(engine: FabricEngine, number: int) -> bytes:
    """A leaf that depends on nothing but genesis."""
    body = {"code": "x", "count": number + 1}
    made = draft(NETWORK, "incident", secrets.token_hex(16), engine.now(), body)
    return signed(made, signer("office")).leaf()


def insist(engine: FabricEngine, leaf: bytes) -> Receipt:
    """Append the same bytes until there is a receipt, as an outbox does."""
    pause = threading.Event()
    for _ in range(TRIES):
        try:
            return engine.append(leaf)
        except LogUnavailableError:
            pause.wait(PAUSE_SECONDS)
    raise AssertionError("not final after all tries")


def count_once(engine: FabricEngine, leaves: Sequence[bytes]) -> None:
    """Each leaf is on the ledger exactly once."""
    log = list(engine.read(0, size_of(engine)))
    assert [log.count(leaf) for leaf in leaves] == [1] * len(leaves)


def agree(engine: FabricEngine) -> None:
    """Both organisations derive the published log, and a stranger verifies it."""
    size = size_of(engine)
    for member in engine.members:
        assert member.fault is None
        assert member.derived.wait_for_size(size, 30)
    found = verify_folder(engine.public, policy=POLICY.format().encode())
    assert found.size >= size
    assert len({member.root_at(size) for member in engine.members}) == 1
    assert not found.voids


def size_of(engine: FabricEngine) -> int:
    """Final entries."""
    return Checkpoint.parse(Note.parse(engine.head()).text).size
