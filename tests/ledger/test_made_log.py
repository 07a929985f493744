"""The bench's made logs are logs: the contract takes every entry, and a folder of them verifies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ledger import contract
from ledger.audit.verify import verify_folder
from ledger.contract.replay import Replay
from ledger.contract.state import MemoryState
from tests.bench.made_log import ENTRIES_A_QUESTION, POLICY, founding, leaves_of, questions, write


def test_the_contract_takes_every_entry():
    state = MemoryState()
    replay = Replay(state, contract.apply)
    first = [entry.leaf() for entry, _ in founding().entries]
    asked = questions(range(4))
    assert len(asked) == 4 * ENTRIES_A_QUESTION
    steps = [replay.step(leaf) for leaf in (*first, *asked)]
    assert [step.void for step in steps] == [None] * len(steps)
    kinds = {step.entry.type for step in steps[len(first) :]}
    assert {"query.intent", "query.answer", "consent.revoke", "incident", "case.decision"} <= kinds


def test_a_folder_of_them_verifies(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        write(tmp_path / "log", leaves_of(300, pool))
    found = verify_folder(tmp_path / "log", policy=POLICY.format().encode())
    assert (found.size, found.voids) == (300, ())
