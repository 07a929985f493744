"""A log killed at each of its steps: nothing final is lost, no entry has two places, it goes on.

The log runs in a process of its own, with its witnesses and their databases, and ends itself without any
clean-up when the step is reached (``os._exit``: no flush, no roll-back, no thread is waited for).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from ledger.audit.verify import verify_folder
from ledger.storage.database import WITNESS
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import Witness
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, World, cheap, leaf

STEPS = ("staged", "ordered", "cosigned", "tiles", "published", "final")
HERE = Path(__file__).resolve()

CHILD = """
import os, sys
from pathlib import Path
from tests.ledger.sequencer.test_log_kill import kept_world

folder, step, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = []

def observe(name):
    seen.append(name)
    if seen.count(step) > after:
        os._exit(9)

log = kept_world(folder).started(observe=observe, round=20.0)
for line in sys.stdin:
    log.submit(bytes.fromhex(line))
    print(line.strip(), flush=True)
"""


def kept_world(folder: Path) -> World:
    """A world whose witnesses keep their records in a database of the folder."""
    world = World(folder)
    engine = world.engine("witnesses")
    for cosigner in COSIGNERS:
        store = own_store(engine, cosigner)
        world.clients[cosigner.verifier.name].witness = Witness(cosigner, [LOG.verifier], store)
    return world


def own_store(engine, cosigner):
    """The store of one witness, in a table of its own in the database all witnesses of a test use."""
    table = WITNESS.to_metadata(MetaData(), name=f"witness of {cosigner.verifier.name}")
    table.create(engine, checkfirst=True)
    return SqlWitnessStore(engine, table)


@pytest.mark.parametrize("step", STEPS)
def test_nothing_final_is_lost_when_the_log_is_killed(tmp_path, step):
    leaves = [leaf() for _ in range(4)]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), step, "2"],
        input="".join(f"{one.hex()}\n" for one in leaves),
        capture_output=True,
        text=True,
        cwd=HERE.parents[3],
        timeout=60,
        check=False,
    )
    assert child.returncode == 9, child.stderr
    answered = [bytes.fromhex(line) for line in child.stdout.split()]
    assert answered in (leaves[:2], leaves[:3])
    world = kept_world(tmp_path)
    log = world.started(round=20.0)
    receipts = [log.submit(one) for one in leaves]
    assert [receipt.index for receipt in receipts] == [0, 1, 2, 3]
    assert log.read(0, 9) == leaves
    world.close()
    assert verify_folder(world.public, apply=cheap).size == 4
