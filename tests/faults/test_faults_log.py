"""A log, its witnesses and a replica killed with SIGKILL at every named point, then started again.

Afterwards every receipt ever handed out still verifies and its entry stands at its index, every entry has
one place, the public folder verifies, and no witness was ever shown two texts for one size. Every second
seed kills the recovery as well.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.fault_points import Point
from ledger.formats.receipt import Receipt
from ledger.merkle import leaf_hash
from tests.faults.fork_server import KILLED, ForkServer
from tests.faults.log_run import Place, lines
from tests.ledger.sequencer.log_cases import POLICY, cheap, leaf, tree_of

LAST = Point.REPLICA_STORED
POINTS = list(Point)[: list(Point).index(LAST) + 1]
"""Those of the log, of witnesses and of a replica."""
ENTRIES = 9
BEGUN_WITH = (0, 250)
"""Entries a run starts with: an empty log, and one whose first full tile is about to be reached."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Folders of logs that hold some entries already, by their number."""
    folders = {}
    for count in BEGUN_WITH:
        folder = folders[count] = tmp_path_factory.mktemp(f"begun-{count}")
        place = Place(folder)
        place.fill(place.started(), count)
        place.close()
    return folders


def run_until_killed(fork_server: ForkServer, folder: Path, point: Point, chance: random.Random, url=None):
    """Kill a run at a random visit of a point; the leaves it was given."""
    leaves = [leaf() for _ in range(ENTRIES)]
    given = {"folder": str(folder), "leaves": [one.hex() for one in leaves], "url": url}
    function, workers = "tests.faults.log_run:run", chance.randint(1, 3)
    ended = fork_server.run(function, workers=workers, point=point, nth=chance.randint(1, 3), **given)
    assert ended == KILLED, f"{point} was not reached: {ended}"
    if chance.random() < 0.5:
        second = chance.choice(POINTS)
        ended = fork_server.run(function, workers=workers, point=second, nth=chance.randint(1, 3), **given)
        assert ended in {KILLED, 0}
    return leaves


def check(folder: Path, leaves: list[bytes], begun_with: int, url=None) -> None:
    """Start again, submit everything again, and hold the outcome against what was handed out before."""
    handed_out = [(bytes.fromhex(text), bytes.fromhex(proof)) for text, proof in lines(folder / "receipts")]
    place = Place(folder, url)
    log = place.started()
    place.submit_all(log, leaves, 4)
    ordered = log.read(0, log.size)
    assert len(ordered) == begun_with + len(leaves)
    assert len(set(ordered)) == len(ordered)
    assert set(leaves) <= set(ordered)
    for text, proof in handed_out:
        receipt = Receipt.parse(proof)
        receipt.verify(POLICY, text)
        assert ordered[receipt.index] == text
    tree = tree_of([])
    roots = {0: tree.root()}
    for one in ordered:
        tree.append(leaf_hash(one))
        roots[tree.size] = tree.root()
    texts: dict[int, set[str]] = {}
    for (note,) in lines(folder / "shown"):
        parsed, head = POLICY.verify_log(bytes.fromhex(note))
        texts.setdefault(head.size, set()).add(parsed.text)
        assert head.root == roots[head.size]
    assert all(len(seen) == 1 for seen in texts.values())
    place.follow(log)
    assert place.replica.leaves(0, log.size) == ordered
    place.close()
    found = verify_folder(place.world.public, policy=POLICY.format().encode(), apply=cheap)
    assert (found.size, found.voids) == (len(ordered), ())


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_point(memory, fork_server, begun, point, fault_seed):
    chance = random.Random(f"{point} {fault_seed}")
    begun_with = BEGUN_WITH[fault_seed % 2]
    shutil.copytree(begun[begun_with], memory, dirs_exist_ok=True)
    leaves = run_until_killed(fork_server, memory, point, chance)
    check(memory, leaves, begun_with)


@pytest.mark.postgres
@pytest.mark.parametrize("point", [Point.STAGING, Point.STAGED, Point.ORDERED])
def test_killed_over_postgresql(memory, fork_server, point, fault_seed, postgres_url):
    chance = random.Random(f"postgres {point} {fault_seed}")
    leaves = run_until_killed(fork_server, memory, point, chance, postgres_url)
    check(memory, leaves, 0, postgres_url)
