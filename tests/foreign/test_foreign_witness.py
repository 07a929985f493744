"""A C2SP witness that this project did not write cosigns our log, at our sequencer's request, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.errors import WitnessError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note, VerifierKey
from ledger.formats.policy import Policy, WitnessKey
from ledger.merkle import consistency_path
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.http_witness import HttpWitness
from ledger.sequencer.sequencer import Sequencer
from ledger.sequencer.witness_rounds import WitnessClient
from ledger.witness import AddCheckpoint
from tests.foreign.foreign_checkers import CHECKERS, Trust
from tests.foreign.foreign_witnesses import STRANGERS, Stranger
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, World, leaf, signed_head, some_leaves, tree_of
from tests.ledger.sequencer.test_further_witnesses import until

pytestmark = pytest.mark.foreign


@pytest.fixture(params=STRANGERS)
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stranger]:
    (tmp_path / "w").mkdir()
    made = STRANGERS[request.param](tmp_path / "w")
    try:
        made.begin(LOG.verifier.format())
        yield made
    finally:
        made.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def policy_with(stranger: Stranger) -> Policy:
    key = VerifierKey.parse(stranger.vkey)
    further = WitnessKey(key.name, key, stranger.url)
    return Policy.create(LOG.verifier, [cosigner.verifier for cosigner in COSIGNERS], [further])


class Running:
    """A sequencer that asks the stranger besides its own witnesses."""

    def __init__(self, world: World, stranger: Stranger) -> None:
        self.policy = policy_with(stranger)
        self.name = self.policy.further[0].name
        self.client = HttpWitness(stranger.url, LOG, lambda: self.log.ordered)
        clients: dict[str, WitnessClient] = {**world.clients, self.name: self.client}
        self.log = Sequencer(
            world.engine("log"),
            LogParts(LOG, self.policy, clients, world.public, FinalizerSettings(refresh=0.2, retry=0.05)),
            lambda: world.now,
            admit=world.admit,
        )
        self.public = world.public
        self.log.start()
        self.log.wait_ready(20)

    def cosigned(self, size: int) -> bool:
        """Whether the published checkpoint has this size and the stranger's line."""
        note = Note.parse((self.public / "checkpoint").read_bytes())
        names = [line.name for line in note.signatures]
        return Checkpoint.parse(note.text).size == size and self.name in names

    def close(self) -> None:
        self.log.stop()
        self.client.close()


def test_it_cosigns_our_log_over_growth_and_restarts(world: World, stranger: Stranger) -> None:
    running = Running(world, stranger)
    for size in (1, 2, 3):
        running.log.submit(leaf())
        until(lambda size=size: running.cosigned(size))  # type: ignore[misc]  # bound at once
    running.close()
    stranger.stop()
    running = Running(world, stranger)
    running.log.submit(leaf())
    assert not running.cosigned(4)
    stranger.begin(LOG.verifier.format())
    until(lambda: running.cosigned(4))
    running.close()
    found = verify_folder(world.public, apply=world.admit, policy=running.policy.format().encode())
    assert set(found.checkpoint.further) == {running.name}
    trust = Trust.read(running.policy.format())
    for checker in CHECKERS.values():
        assert checker().check(world.public, trust).size == 4
        alone = Trust(trust.log, (stranger.vkey,), 1)
        assert checker().check(world.public, alone).size == 4


def post(client: HttpWitness, old: int, leaves: list[bytes]) -> tuple[int, bytes]:
    path = tuple(consistency_path(old, len(leaves), tree_of(leaves)))
    return client.add_checkpoint(AddCheckpoint(old, path, signed_head(leaves).format()).format())


def told(client: HttpWitness) -> str:
    """The size of the last checkpoint, or of the claim where a witness serves none."""
    try:
        return str(Checkpoint.parse(Note.parse(client.latest() or b"").text).size)
    except WitnessError as error:
        found = re.search("claims [0-9]+ entries", str(error))
        return str(error) if found is None else found[0]


def test_it_answers_our_client_as_the_specification_says(stranger: Stranger) -> None:
    client = HttpWitness(stranger.url, LOG, lambda: 0)
    leaves = some_leaves(20)
    assert post(client, 0, leaves[:8])[0] == 200
    assert post(client, 0, leaves[:9]) == (409, b"8\n")
    assert post(client, 8, [b"fork", *leaves[1:12]])[0] == 422
    assert told(client) in ("8", "claims 8 entries")
    assert post(client, 8, leaves)[0] == 200
    client.close()
