"""A log, witnesses, a replica, and submitters who never give up, in a folder that outlives its process.

What leaves the process is written down first, so that a kill hides nothing: every receipt handed out
(``receipts``) and every checkpoint a witness was shown (``shown``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError, LogUnavailableError, QuorumError
from ledger.fault_points import Observe, unobserved
from ledger.formats.receipt import Receipt
from ledger.replica.replica import Replica
from ledger.sequencer.sequencer import Sequencer
from ledger.storage.database import create_tables, open_database
from ledger.witness import AddCheckpoint, Witness
from tests.faults.fork_server import killer
from tests.ledger.contract.contract_cases import NETWORK
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, POLICY, World, cheap, leaf
from tests.ledger.sequencer.test_log_kill import own_store


class Recorded:
    """A witness client that writes down what its witness is shown, before it is."""

    def __init__(self, inner, path: Path) -> None:
        self._inner = inner
        self._path = path

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        record(self._path, AddCheckpoint.parse(body).note.hex())
        with self._failing():
            return self._inner.add_checkpoint(body)

    def latest(self) -> bytes | None:
        with self._failing():
            return self._inner.latest()

    @contextmanager
    def _failing(self):
        """A witness whose database fails does not answer, as over the wire."""
        try:
            yield
        except SQLAlchemyError as error:
            raise ConnectionResetError("the witness failed") from error


class Place:
    """One folder: log database or PostgreSQL, witnesses' database, replica's database, public folder."""

    def __init__(self, folder: Path, url: str | None = None, observe: Observe = unobserved) -> None:
        self.folder = folder
        self.url = url
        self.observe = observe
        self.world = World(folder)
        self.world.engine = self.engine
        self._engines: list[Engine] = []
        engine = self.engine("witnesses")
        for cosigner in COSIGNERS:
            name = cosigner.verifier.name
            client = self.world.clients[name]
            client.witness = Witness(cosigner, [LOG.verifier], own_store(engine, cosigner), observe)
            self.world.clients[name] = Recorded(client, folder / "shown")
        self._extending = threading.Lock()
        self._replica: Replica | None = None

    def engine(self, name: str) -> Engine:
        url = f"sqlite:///{self.folder / name}.db"
        engine = open_database(self.url if name == "log" and self.url else url)
        create_tables(engine)
        self._engines.append(engine)
        return engine

    def started(self) -> Sequencer:
        """The log, past its start gate; a kill may come before that."""
        made = self.world.sequencer(observe=self.observe, round=5, retry=0.02)
        made.start()
        made.wait_ready(10)
        return made

    @property
    def replica(self) -> Replica:
        if self._replica is None:
            self._replica = Replica(
                self.engine("node"), NETWORK, None, POLICY, apply=cheap, observe=self.observe
            )
        return self._replica

    def follow(self, log: Sequencer) -> None:
        """Bring the replica to the head."""
        with self._extending:
            note = log.head
            assert note is not None
            size = POLICY.verify_log(note)[1].size
            if size > self.replica.size:
                self.replica.extend(log.read(self.replica.size, size), note)

    def submit_all(self, log: Sequencer, leaves: Sequence[bytes], workers: int) -> list[Receipt]:
        """Submit leaves as ``workers`` do at once, each the same bytes until it has the receipt."""

        def work(own: Sequence[bytes]) -> list[Receipt]:
            receipts = []
            for one in own:
                receipts.append(submit(log, one))
                record(self.folder / "receipts", f"{one.hex()} {receipts[-1].format().hex()}")
                self.follow(log)
            return receipts

        with ThreadPoolExecutor(workers) as threads:
            parts = list(threads.map(work, [leaves[at::workers] for at in range(workers)]))
        found = {receipt.index: receipt for part in parts for receipt in part}
        return [found[index] for index in sorted(found)]

    def fill(self, log: Sequencer, count: int) -> None:
        """Many entries at once, and the replica after them."""
        with ThreadPoolExecutor(min(count, 256) or 1) as threads:
            list(threads.map(log.submit, [leaf() for _ in range(count)]))
        if count:
            self.follow(log)

    def close(self) -> None:
        self.world.close()
        for engine in self._engines:
            engine.dispose()


def submit(log: Sequencer, leaf: bytes, tries: int = 200) -> Receipt:
    """The receipt of a leaf, however often the log asks to try again."""
    pause = threading.Event()
    for _ in range(tries):
        try:
            return log.submit(leaf)
        except (QuorumError, LogUnavailableError):
            pause.wait(0.02)
    raise LedgerError("the log never gave a receipt")


def record(path: Path, line: str) -> None:
    """Append one line at once; what a killed process has written stays written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def lines(path: Path) -> list[list[str]]:
    """Words of each recorded line."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def run(folder: str, leaves: list[str], workers: int, point: str, nth: int, url: str | None = None) -> None:
    """Run until everything is submitted, or until the point is reached for the ``nth`` time."""
    place = Place(Path(folder), url, killer(point, nth))
    place.submit_all(place.started(), [bytes.fromhex(leaf) for leaf in leaves], workers)
