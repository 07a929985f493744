"""The command as an operator uses it: exit statuses, a network founded by hand, no process left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.processes import free_ports
from tests.e2e import families_scenario
from tests.e2e.shared_network import ROOT, RunningNetwork, hedui, quickly, wait_until

OK, INVALID, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130


# Exit statuses.


@pytest.mark.parametrize(
    "arguments",
    [("nothing",), ("report", "verify"), ("report", "verify", "missing.json"), ("demo", "--cases", "0")],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_usage(arguments: tuple[str, ...]) -> None:
    done = quickly(*arguments)
    assert done.returncode == USAGE
    assert done.stderr


def test_a_report_without_a_policy_is_usage(second_run: Path, tmp_path: Path) -> None:
    report = second_run / "reports" / "B-01.json"
    done = quickly("report", "verify", report, HEDUI_CONFIG=str(tmp_path))
    assert done.returncode == USAGE
    assert "--policy" in done.stderr


def test_a_pinned_policy_is_used(second_run: Path, generated_run: Path, tmp_path: Path) -> None:
    """Two networks are pinned; a report is checked under the one it names."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for number, run in enumerate((second_run, generated_run)):
        shutil.copy(run / "ledger" / "policy", folder / f"{number}")
    report = second_run / "reports" / "B-01.json"
    assert quickly("report", "verify", report, "--policy", folder).returncode == OK
    done = quickly("report", "verify", report, "--policy", generated_run / "ledger" / "policy", "--json")
    assert done.returncode == INVALID
    assert "policy" in {failure["check"] for failure in json.loads(done.stdout)["failures"]}


def test_another_cases_openings_are_invalid(second_run: Path) -> None:
    report, openings = second_run / "reports" / "B-01.json", second_run / "members/bureau/openings"
    policy = second_run / "ledger" / "policy"
    assert (
        quickly(
            "report", "verify", report, "--policy", policy, "--openings", openings / "B-01.json"
        ).returncode
        == OK
    )
    done = quickly("report", "verify", report, "--policy", policy, "--openings", openings / "B-05.json")
    assert done.returncode == INVALID


def test_a_folder_that_is_no_log_is_invalid(tmp_path: Path) -> None:
    done = quickly("ledger", "verify", tmp_path)
    assert done.returncode in {INVALID, USAGE}
    assert done.stderr.startswith("hedui: ")


def test_a_node_that_is_down_is_not_available(second_run: Path) -> None:
    done = hedui("node", "status", second_run / "members" / "bureau")
    assert done.returncode == UNAVAILABLE
    assert "does not answer" in done.stderr
    application = second_run.parent / "second-scenario" / "cases" / "B-01.json"
    assert quickly("check", second_run / "members" / "bureau", application).returncode == UNAVAILABLE


def test_a_home_that_is_none_says_how_to_make_one(tmp_path: Path) -> None:
    for command in (("node", "status", tmp_path), ("node", "run", tmp_path)):
        done = quickly(*command)
        assert done.returncode == USAGE
        assert "hedui node init" in done.stderr


def test_a_second_run_into_the_same_folder_says_what_to_do(second_run: Path) -> None:
    before = sorted(path.name for path in second_run.iterdir())
    done = hedui("demo", "--out", second_run, "--residents", 20, "--cases", 1)
    assert done.returncode == USAGE
    assert "--out" in done.stderr
    assert sorted(path.name for path in second_run.iterdir()) == before


def test_a_scenario_that_is_not_well_formed_is_usage(tmp_path: Path) -> None:
    folder = families_scenario.build(tmp_path / "scenario", families=1, others=1)
    text = (folder / "network.toml").read_text("utf-8").replace('identifier = "who"', 'identifier = ""', 1)
    (folder / "network.toml").write_text(text, encoding="utf-8")
    done = hedui("demo", folder, "--out", tmp_path / "out")
    assert done.returncode == USAGE
    assert "network.toml" in done.stderr


def test_status_and_check_through_the_command(running_network: RunningNetwork, tmp_path: Path) -> None:
    home = running_network.home("bureau").root
    done = quickly("node", "status", home, "--json")
    assert done.returncode == OK, done.stderr
    assert json.loads(done.stdout)["quorum"] == running_network.policy.quorum
    case = running_network.case()
    application = running_network.scenario.folder / "cases" / f"{case.case}.json"
    done = quickly("check", home, application, "--out", tmp_path / "reports", "--json")
    assert done.returncode == OK, done.stderr
    assert json.loads(done.stdout)["net_fen"] == families_scenario.NET
    report = tmp_path / "reports" / f"{case.case}.json"
    assert quickly("report", "verify", report, "--policy", running_network.public / "policy").returncode == OK


def test_what_a_role_refuses_is_invalid(running_network: RunningNetwork, tmp_path: Path) -> None:
    """A department is asked to run a check."""
    case = running_network.case()
    application = running_network.scenario.folder / "cases" / f"{case.case}.json"
    done = quickly("check", running_network.home("revenue").root, application, "--out", tmp_path)
    assert done.returncode == INVALID
    assert done.stderr.rstrip().endswith("]")


# A network by hand.


@pytest.fixture
def nodes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Nodes that a test runs; all are ended."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.terminate()
    assert [process.wait(30) for process in running] == [0] * len(running), "a node that is told to end does"


def run_node(home: Path, nodes: list[subprocess.Popen[bytes]]) -> None:
    with (home / "node.log").open("ab") as log:
        nodes.append(
            subprocess.Popen(
                [sys.executable, "-m", "node.cli", "node", "run", str(home)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        )


def replayed(home: Path) -> int:
    done = quickly("node", "status", home, "--json")
    return int(json.loads(done.stdout)["replayed"]) if done.returncode == OK else 0


def done_well(*arguments: object) -> str:
    done = quickly(*arguments)
    assert done.returncode == OK, done.stderr
    return done.stdout


def test_a_network_is_founded_by_hand_and_admits_a_fourth_member(
    tmp_path: Path, nodes: list[subprocess.Popen[bytes]]
) -> None:
    roles = {
        "court": ("auditor", "sequencer", "trustee"),
        "window": ("registrar",),
        "bureau": ("office",),
        "revenue": ("department",),
    }
    homes = {member: tmp_path / member for member in roles}
    for member, port in zip(roles, free_ports(len(roles)), strict=True):
        named = [option for role in roles[member] for option in ("--role", role)]
        where = ("--listen", f"127.0.0.1:{port}")
        done_well("node", "init", homes[member], "--id", member, "--name", member, *where, *named)
    founders, proposal = ("court", "window", "bureau"), tmp_path / "proposal.json"
    cards = [option for member in founders for option in ("--card", homes[member] / "card.json")]
    done_well("network", "create", proposal, "--network", "hand", "--epoch", "2026-11", "--pilot", *cards)
    done_well("network", "sign", homes["court"], proposal)
    early = quickly("network", "seal", homes["court"], proposal, tmp_path / "network.json")
    assert early.returncode == USAGE
    assert "lacks the signature of" in early.stderr
    assert quickly("network", "sign", homes["revenue"], proposal).returncode == USAGE, "no founder"
    for member in ("window", "bureau"):
        done_well("network", "sign", homes[member], proposal)
    done_well("network", "seal", homes["court"], proposal, tmp_path / "network.json")
    for member in ("window", "bureau"):
        done_well("network", "join", homes[member], tmp_path / "network.json")
    for member in founders:
        run_node(homes[member], nodes)
    for member in founders:
        wait_until(lambda member=member: replayed(homes[member]) == 1, f"{member} has the genesis entry")  # type: ignore[misc]

    draft = tmp_path / "admit.json"
    done_well("network", "admit-draft", homes["court"], homes["revenue"] / "card.json", draft)
    done_well("network", "admit-sign", homes["court"], draft)
    alone = quickly("network", "admit", homes["court"], draft)
    assert alone.returncode == INVALID, "one of three founders is no majority"
    done_well("network", "admit-sign", homes["window"], draft)
    done_well("network", "admit", homes["court"], draft)
    for member in ("court", "window"):
        done_well("network", "admit", homes[member], draft)  # it is recorded already
    done_well("network", "invite", homes["window"], tmp_path / "invitation.json")
    done_well("network", "join", homes["revenue"], tmp_path / "invitation.json")
    run_node(homes["revenue"], nodes)
    wait_until(lambda: replayed(homes["revenue"]) == 2, "the new member follows the ledger")
    log = homes["court"] / "ledger"
    done_well("ledger", "verify", log)
    shown = done_well("ledger", "show", log)
    assert [line.split()[2] for line in shown.splitlines()] == ["network.genesis", "member.admit"]


# Processes.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_no_process_of_a_demo_stays_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Ended in the middle of founding, nodes and the ceremony's processes end with it."""
    scenario = families_scenario.build(tmp_path / "scenario", families=2, others=1)
    out = tmp_path / "out"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "node.cli", "demo", str(scenario), "--out", str(out)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: len(nodes_of(out)) == 5, "five nodes run")
        process.send_signal(number)
        status = process.wait(30)
        expected = -signal.SIGKILL if number == signal.SIGKILL else INTERRUPTED
        assert status == expected, (tmp_path / "log").read_text("utf-8")
        wait_until(lambda: not nodes_of(out), "no node is left", 20)
        wait_until(lambda: not group_of(process.pid), "no process of the ceremony is left", 20)
    finally:
        for pid in (*nodes_of(out), *group_of(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes() -> list[tuple[int, int, str]]:
    """(process, group, command line) of everything that runs."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,pgid=,stat=,command="], capture_output=True, text=True, check=True
    )
    found = []
    for line in listed.stdout.splitlines():
        pid, group, state, command = line.split(None, 3)
        if not state.startswith("Z"):
            found.append((int(pid), int(group), command))
    return found


def nodes_of(out: Path) -> list[int]:
    return [pid for pid, _, command in processes() if "node run" in command and f"{out}/" in command]


def group_of(group: int) -> list[int]:
    return [pid for pid, found, _ in processes() if found == group]
