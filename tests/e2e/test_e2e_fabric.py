"""The demo over Fabric, every member a process: the same answers, the same public log, the same verification.

The Fabric network is the one in memory; ``tests/fabric`` has the demo on a real one.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.source import read_entries
from ledger.audit.verify import verify_folder
from ledger.formats.policy import Policy
from node.report.verify import verify_report
from tests.e2e.families_scenario import SUITE
from tests.e2e.shared_network import hedui
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.node.demo import plain_arithmetic


@pytest.fixture
def profiles(tmp_path: Path) -> Iterator[Path]:
    """A folder with one connection profile an organisation."""
    network = MemoryNetwork(clock=lambda: int(time.time()))
    folder = tmp_path / "profiles"
    for name in network.network.peers:
        own = folder / name
        network.network.profile(own, name)
        text = (own / "connection.toml").read_text().replace('"client.', f'"{name}/client.')
        (folder / f"{name}.toml").write_text(text)
    yield folder
    network.close()


def test_the_demo_gives_the_same_answers_over_fabric(profiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--residents", "60", "--cases", "2", "--suite", SUITE, "--out", out)
    done = hedui("demo", *options, "--ledger", f"fabric:{profiles}", seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for row in json.loads((out / "summary.json").read_text("utf-8")):
        lines = tuple(sorted((line["member"], line["dataset"], line["answer"]) for line in row["lines"]))
        found[row["case"]] = plain_arithmetic.Expected(row["outcome"], row["net_fen"], row["heads"], lines)
    assert found == plain_arithmetic.expected(out / "scenario")
    policy = Policy.parse((out / "ledger" / "policy").read_text("utf-8"))
    for path in (out / "reports").glob("*.json"):
        assert verify_report(path.read_bytes(), policy) == []
    assert verify_folder(out / "ledger", policy=policy.format().encode()).voids == ()
    kinds = [entry.type for _, entry in read_entries(out / "ledger")]
    assert kinds[0] == "network.genesis"
    assert kinds.count("query.intent") == 2
    shutil.rmtree(out)
