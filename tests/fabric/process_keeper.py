"""Processes that end with the program that started them, even where that one is killed.

Every child is told to a small process of its own, the keeper, over a pipe: ``+pid``, ``-pid``. When the pipe
closes, because the program closed it or because it died, the keeper kills what is left. Ctrl-C reaches
neither the children nor the keeper: they run in sessions of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 10.0


class Keeper:
    """Named processes, each with a log file of its name in the folder."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._keeper = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        """Start a process; its output is appended to ``<name>.log``."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self.running[name] = process
        self._tell(f"+{process.pid}")

    def ended(self) -> list[str]:
        """Names of processes that ended by themselves."""
        return [name for name, process in self.running.items() if process.poll() is not None]

    def kill(self, name: str) -> None:
        """End a process at once, as a crash would (SIGKILL)."""
        process = self.running.pop(name)
        process.kill()
        process.wait()
        self._tell(f"-{process.pid}")

    def stop(self) -> None:
        """End every process, gently and then not."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.running.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait()

    def memory(self) -> dict[str, int]:
        """Name → resident bytes of each running process; empty where there is no /proc."""
        found = {}
        for name, process in self.running.items():
            status = Path(f"/proc/{process.pid}/status")
            lines = status.read_text().splitlines() if status.exists() else []
            found[name] = sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024
        return found

    def seconds(self) -> dict[str, float]:
        """Name → processor seconds of each running process so far; empty where there is no /proc."""
        found = {}
        for name, process in self.running.items():
            stat = Path(f"/proc/{process.pid}/stat")
            fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else []
            found[name] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
        return found

    def _tell(self, line: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(line.encode() + b"\n")
        self._keeper.stdin.flush()


def keep() -> None:
    """The keeper's life: read until the pipe closes, then kill who is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    alive: set[int] = set()
    for line in sys.stdin.buffer:
        (alive.add if line.startswith(b"+") else alive.discard)(int(line[1:]))
    for pid in alive:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    keep()
