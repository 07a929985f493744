"""A network founded with a foreign witness: its log asks it over HTTP, and every policy lists it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.signing import SigningKey
from ledger.formats.checkpoint import Cosigner
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy
from ledger.witness import MemoryWitnessStore, Witness
from node.app import Node
from node.config import read_configuration
from node.demo.processes import free_ports
from node.membership import network
from node.membership.home_setup import init_home
from node.membership.network import NetworkFile
from node.times import system_clock
from node.tlog.witness import CosignedNotes, WitnessDesk
from node.web.app import create_app
from node.web.server import WebServer
from tests.e2e.shared_network import quickly, wait_until

ROLES = {"court": "sequencer", "bureau": "office", "desk": "registrar", "tax": "department"}


class Outsider:
    """A witness that no member runs; it learns the log's key when the network is founded."""

    def __init__(self) -> None:
        self.cosigner = Cosigner("witness.example/w1", SigningKey.generate())
        self.witness = Witness(self.cosigner, [], MemoryWitnessStore())
        desk = WitnessDesk(self.witness, "", CosignedNotes(), system_clock)
        self.server = WebServer(create_app(desk, None), "127.0.0.1:0")
        self.server.start()

    @property
    def address(self) -> str:
        return f"{self.cosigner.verifier.format()}@http://127.0.0.1:{self.server.port}"

    def add(self, log: VerifierKey) -> None:
        self.witness._logs[log.name] = log


@pytest.fixture
def outsider() -> Iterator[Outsider]:
    made = Outsider()
    yield made
    made.server.stop()


def founded(folder: Path, outsider: Outsider) -> NetworkFile:
    """Homes that have joined, by the commands as far as they tell the foreign witness."""
    homes = {}
    for (member, role), port in zip(ROLES.items(), free_ports(len(ROLES)), strict=True):
        homes[member] = init_home(folder / member, member, member, (role,), f"127.0.0.1:{port}")
    cards = [part for made in homes.values() for part in ("--card", made.home.card)]
    named = ("--network", "s-county", "--epoch", "2026-11", "--foreign-witness", outsider.address)
    done = quickly("network", "create", folder / "proposal.json", *named, *cards)
    assert done.returncode == 0, done.stderr
    for member in homes:
        assert quickly("network", "sign", folder / member, folder / "proposal.json").returncode == 0
    done = quickly("network", "seal", folder / "court", folder / "proposal.json", folder / "network.json")
    assert done.returncode == 0, done.stderr
    file = NetworkFile.read(folder / "network.json")
    for made in homes.values():
        network.join(made.home, file)
    return file


def test_a_founded_network_has_its_ledger_cosigned_by_the_foreign_witness(
    tmp_path: Path, outsider: Outsider
) -> None:
    file = founded(tmp_path, outsider)
    assert [witness.name for witness in file.policy.further] == ["witness.example/w1"]
    outsider.add(file.policy.log)
    running: list[Node] = []
    try:
        for member in ROLES:
            running.append(Node(read_configuration(tmp_path / member)))
            running[-1].start()
        court = running[0]
        wait_until(
            lambda: court.ledger_side.engine.own is not None and court.ledger_side.engine.own.size > 0,
            "genesis is final",
        )
        origin = file.policy.origin
        wait_until(lambda: outsider.witness.latest(origin) is not None, "the foreign witness has cosigned")
    finally:
        for node in reversed(running):
            node.stop()
    kept = Note.parse(outsider.witness.latest(origin) or b"")
    published = Note.parse((tmp_path / "court" / "ledger" / "checkpoint").read_bytes())
    assert kept.text == published.text
    policy = Policy.parse((tmp_path / "court" / "ledger" / "policy").read_text())
    assert policy == file.policy
    assert len(policy.verify_checkpoint(published.format()).cosigned) >= policy.quorum
