"""The demo's scenario with a real Fabric channel as its ledger ends as it does on the embedded log."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.source import read_entries
from ledger.audit.verify import verify_folder
from ledger.formats.policy import Policy
from node.report.verify import verify_report
from tests.e2e.shared_network import hedui
from tests.fabric.network import FabricNetwork

pytestmark = [pytest.mark.fabric, pytest.mark.e2e]

CASES = 4
SIZE = ("--residents", 40, "--cases", CASES, "--seed", 7, "--suite", "paillier-2048-test")
SECONDS = 400


def run(out: Path, *arguments: object) -> Path:
    done = hedui("demo", *arguments, "--out", out, seconds=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def outcomes(out: Path) -> list[dict[str, Any]]:
    """What was found in each case, without times and counts of receipts."""
    rows = json.loads((out / "summary.json").read_text("utf-8"))
    return [{name: row[name] for name in ("case", "outcome", "net_fen", "heads", "lines")} for row in rows]


def kinds(out: Path) -> Counter[str]:
    return Counter(entry.type for _, entry in read_entries(out / "ledger"))


def test_both_engines_come_to_the_same_outcomes(network: FabricNetwork, tmp_path: Path) -> None:
    embedded = run(tmp_path / "embedded", *SIZE)
    profiles = network.new_ledger()
    scenario, suite = embedded / "scenario", SIZE[-2:]
    fabric = run(tmp_path / "fabric", scenario, *suite, "--ledger", f"fabric:{profiles}")
    assert len(outcomes(fabric)) == CASES
    assert outcomes(fabric) == outcomes(embedded)
    assert kinds(fabric) == kinds(embedded)
    policy = (fabric / "ledger" / "policy").read_bytes()
    assert not verify_folder(fabric / "ledger", policy=policy).voids
    reports = sorted((fabric / "reports").glob("*.json"))
    assert len(reports) == CASES
    for report in reports:
        assert verify_report(report.read_bytes(), Policy.parse(policy.decode())) == []
