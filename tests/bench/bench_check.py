"""One household of four against nine datasets with everything running: p50 and p99 wall time and its parts.

A generated county runs as real processes (3072 bits); one household is checked again and again under new
questions. Wall time is what the office's operator sees; the parts are what the nodes say they spent:
cryptography by party, waiting for the ledger, and the rest, which is transport, storage and the report.
Parties work in parallel, so parts of one check may add up to more than its wall time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from node.case import Case, Person
from node.demo.run import Demo, prepare
from node.messages.catalogue import Messages
from node.messages.progress import Reporter

GOAL_P50_MS = 900
GOAL_LEDGER_MS = 250
HOUSEHOLD = 4


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile of the values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def household_of_four(demo: Demo) -> Case:
    """A case of four consenting persons, none excluded, no veto: members of plain cases put together."""
    persons: list[Person] = []
    plain = [case for case in demo.scenario.cases if case.case in PLAIN_CASES]
    for case in plain:
        persons += [person for person in case.household if person not in persons]
    chosen = tuple(person.model_copy(update={"consent": "signed"}) for person in persons[:HOUSEHOLD])
    return plain[0].model_copy(update={"case": "2026-900000", "household": chosen})


PLAIN_CASES = ("2026-000001", "2026-000002", "2026-000008")


def write_case(demo: Demo, case: Case) -> None:
    """Put a case into the scenario's folder, alone."""
    folder = demo.scenario.folder / "cases"
    for path in folder.glob("*.json"):
        path.unlink()
    document = {
        "case": case.case,
        "rules": case.rules,
        "applied": case.applied.isoformat(),
        "office": case.office,
        "household": [
            {"name": person.name, "id": person.id, "relation": person.relation, "consent": person.consent}
            for person in case.household
        ],
    }
    (folder / f"{case.case}.json").write_text(json.dumps(document, ensure_ascii=False), "utf-8")


def spent(demo: Demo) -> dict[str, dict[str, float]]:
    """Milliseconds every member has spent so far, by part."""
    return {
        member: {part: value["us"] / 1000 for part, value in client.status()["spent"].items()}
        for member, client in demo.clients.items()
    }


def measure(rounds: int, residents: int, suite: str) -> dict[str, Any]:
    """Run the benchmark; returns the figures."""
    with tempfile.TemporaryDirectory() as folder:
        reporter = Reporter(sys.stderr, Messages("en"))
        demo = prepare(None, Path(folder) / "run", residents, 12, 7, suite, reporter)
        case = household_of_four(demo)
        write_case(demo, case)
        demo.scenario = replace(demo.scenario, cases=(case,))
        demo.slot_factor = rounds + 5
        with demo.running():
            for _ in range(2):
                demo.check(case, 1)
            before, walls, stages = spent(demo), [], []
            for number in range(rounds):
                began = time.perf_counter()
                row = demo.check(case, number + 1)
                walls.append((time.perf_counter() - began) * 1000)
                stages.append(row.times)
                if row.net_fen is None:
                    raise SystemExit(f"the benchmark's case opened no total: {row.outcome}")
            after = spent(demo)
    return figures(walls, stages, before, after, rounds)


def figures(
    walls: list[float],
    stages: list[dict[str, int]],
    before: dict[str, dict[str, float]],
    after: dict[str, dict[str, float]],
    rounds: int,
) -> dict[str, Any]:
    """Percentiles of the wall time, and each party's parts a check."""
    parts = {
        member: {
            part: (value - before[member].get(part, 0.0)) / rounds for part, value in spent_parts.items()
        }
        for member, spent_parts in after.items()
    }
    departments = [parts[member] for member in parts if member not in ("office", "desk", "audit")]
    return {
        "p50_ms": percentile(walls, 0.5),
        "p99_ms": percentile(walls, 0.99),
        "rounds": rounds,
        "stages_ms": {name: statistics.median(stage.get(name, 0) for stage in stages) for name in stages[0]},
        "cryptography_ms": {
            "office": parts["office"].get("cryptography", 0.0),
            "registrar": parts["desk"].get("cryptography", 0.0),
            "trustee": parts["audit"].get("cryptography", 0.0),
            "departments, all": sum(part.get("cryptography", 0.0) for part in departments),
        },
        "ledger_ms": {
            "office": parts["office"].get("ledger", 0.0),
            "trustee": parts["audit"].get("ledger", 0.0),
            "a department": statistics.mean(part.get("ledger", 0.0) for part in departments),
        },
    }


def table(found: dict[str, Any]) -> str:
    """The figures as a Markdown table, for docs/benchmarks.md."""
    critical = sum(found["ledger_ms"].values())
    cryptography = found["cryptography_ms"]
    rows = [
        ("whole check, p50", found["p50_ms"], f"≤ {GOAL_P50_MS}"),
        ("whole check, p99", found["p99_ms"], ""),
        ("ledger on the way (intent, heads, answers, release)", critical, f"≤ {GOAL_LEDGER_MS}"),
        *((f"cryptography: {party}", value, "") for party, value in cryptography.items()),
        *((f"stage: {name}", value, "") for name, value in found["stages_ms"].items()),
    ]
    lines = ["| part of one check | ms | goal |", "|---|---|---|"]
    lines += [f"| {name} | {value:.0f} | {goal} |" for name, value, goal in rows]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the table; keep the figures in bench/results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--residents", type=int, default=400)
    parser.add_argument("--suite", default="paillier-3072")
    chosen = parser.parse_args(arguments)
    found = measure(chosen.rounds, chosen.residents, chosen.suite)
    print(f"household of {HOUSEHOLD}, nine datasets, {found['rounds']} checks, {platform.machine()}")
    print(table(found))
    results = Path("bench/results.json")
    results.parent.mkdir(exist_ok=True)
    kept = json.loads(results.read_text()) if results.exists() else {}
    results.write_text(json.dumps({**kept, "check": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
