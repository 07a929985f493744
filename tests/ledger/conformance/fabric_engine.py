"""The Fabric engine for the conformance suite, over any connection profiles: in memory, or a real network.

Each profile is a member with a derived log of its own; the assembler follows the first one's peer, in a
database of its own. The six witnesses of ``log_cases`` are spread over the members and compare with their
derived logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from ledger import contract
from ledger.contract.replay import Apply
from ledger.errors import EntryRefusedError
from ledger.fabric.assembler import Assembler
from ledger.fabric.backend import FabricBackend
from ledger.fabric.checkpoints import DerivedWitness
from ledger.fabric.profile import ConnectionProfile
from ledger.formats.checkpoint import Cosigner
from ledger.formats.receipt import Receipt
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.storage.database import create_tables, open_database
from ledger.storage.witness_store import SqlWitnessStore
from tests.ledger.conformance.live_net import text
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, POLICY

WITNESS_WAIT = 0.5
"""Seconds a witness waits for its own peer."""


class LocalWitness:
    """A witness in this process, over the derived log of its organisation."""

    def __init__(self, witness: DerivedWitness, clock: Callable[[], int]) -> None:
        self.witness = witness
        self.clock = clock
        self.up = True

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        if not self.up:
            raise ConnectionRefusedError("switched off")
        status, answer, _ = self.witness.add_checkpoint(body, self.clock())
        return status, answer

    def latest(self) -> bytes | None:
        return self.witness.latest(LOG.verifier.name)


class FabricEngine:
    """An assembler and one member an organisation, with their witnesses, in this process."""

    def __init__(
        self,
        folder: Path,
        profiles: Sequence[ConnectionProfile],
        clock: Callable[[], int],
        *,
        apply: Apply = contract.apply,
        dishonestly: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        """Start everything.

        Args:
            folder: for databases and the public folder.
            profiles: one an organisation, at least one.
            clock: POSIX seconds, the network's clock too.
            apply: the contract of the replay.
            dishonestly: a context in which the endorsers endorse everything; None where nobody can do that.
        """
        self.folder = folder
        self.public = folder / "public"
        self._profiles = profiles
        self._clock = clock
        self._apply = apply
        self._dishonestly = dishonestly
        self._databases: list[Database] = []
        self._turn = itertools.count()
        self.start()

    def start(self) -> None:
        """Start members, witnesses and assembler on the folder's databases."""
        self.members = [
            FabricBackend(
                profile, self._database(f"member{number}"), POLICY, self._head, self._clock, apply=self._apply
            )
            for number, profile in enumerate(self._profiles)
        ]
        self.witnesses = {
            cosigner.verifier.name: self._witness(cosigner, self.members[number % len(self.members)], number)
            for number, cosigner in enumerate(COSIGNERS)
        }
        self.assembler = self.new_assembler("assembler")
        for member in self.members:
            member.start()
        self.assembler.start()
        self.assembler.wait_ready(20)

    def new_assembler(self, database: str) -> Assembler:
        """An assembler on a database of the folder, for the first profile's peer."""
        return Assembler(
            self._profiles[0],
            self._database(database),
            LogParts(LOG, POLICY, self.witnesses, self.public, FinalizerSettings(round=3.0, retry=0.05)),
            self._clock,
            admit=self._apply,
        )

    def now(self) -> str:
        return text(self._clock())

    def append(self, leaf: bytes) -> Receipt:
        """Append through the members in turn."""
        return self.members[next(self._turn) % len(self.members)].append(leaf)

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        self.members[0].head()
        return self.members[0].read(begin, end)

    def head(self) -> bytes:
        note = self.members[0].head()
        assert note is not None
        return note

    def restart(self) -> None:
        self.stop()
        self.start()

    def order_anyway(self, leaf: bytes) -> None:
        if self._dishonestly is None:
            pytest.skip("nobody can have this network's endorsers endorse what the contract refuses")
        with self._dishonestly(), pytest.raises(EntryRefusedError):
            self.members[0].append(leaf)

    def stop(self) -> None:
        """Stop everything but the network."""
        self.assembler.stop()
        for member in self.members:
            member.stop()
        for database in self._databases:
            database.dispose()
        self._databases = []

    def close(self) -> None:
        self.stop()

    def _head(self) -> bytes | None:
        return self.assembler.head

    def _witness(self, cosigner: Cosigner, member: FabricBackend, number: int) -> LocalWitness:
        store = SqlWitnessStore(self._database(f"witness{number}"))
        witness = DerivedWitness(
            cosigner,
            [LOG.verifier],
            store,
            own=LOG.verifier,
            derived=member.derived,
            fault=lambda: member.fault,
            wait=WITNESS_WAIT,
        )
        return LocalWitness(witness, self._clock)

    def _database(self, name: str) -> Database:
        engine = open_database(f"sqlite:///{self.folder / name}.db")
        create_tables(engine)
        self._databases.append(engine)
        return engine
