"""Processes started together end together, by force where they must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.demo.processes import NodeProcesses, free_ports

OBEDIENT = "import signal, sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = OBEDIENT.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print")


def process(code: str) -> subprocess.Popen[bytes]:
    made = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert made.stdout is not None
    assert made.stdout.readline() == b"up\n"
    made.stdout.close()
    return made


def test_all_end_even_when_the_block_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.demo.processes.STOP_SECONDS", 0.2)
    started = [process(OBEDIENT), process(STUBBORN)]
    ended = process(OBEDIENT)
    ended.kill()

    def fail() -> None:
        with NodeProcesses() as processes:
            processes.running = {Path(str(at)): one for at, one in enumerate([*started, ended])}
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert all(one.returncode is not None for one in (*started, ended))
    assert all(one.stdin is not None and one.stdin.closed for one in started)


def test_one_is_killed_as_by_a_crash() -> None:
    processes, home = NodeProcesses(), Path("home")
    processes.running = {home: process(STUBBORN)}
    one = processes.running[home]
    processes.kill(home)
    assert (one.returncode, processes.running) == (-9, {})
    processes.stop_all()


def test_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 <= port < 65536 for port in ports)
