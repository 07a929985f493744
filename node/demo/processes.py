"""Node processes on one machine, which are started together and always ended together."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from node.edges.operator_client import OperatorClient
from node.errors import NodeError, ServiceUnavailableError

STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
FIRST_PORT = 10_000
PORTS = 22_000


class NodeProcesses:
    """Processes that are ended after the block: by SIGTERM, and by SIGKILL after ``STOP_SECONDS``."""

    def __init__(self) -> None:
        """Start without processes."""
        self.running: dict[Path, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> NodeProcesses:
        """Begin the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process."""
        self.stop_all()

    def start(self, home: Path) -> subprocess.Popen[bytes]:
        """Run the node of a home. It logs to HOME/node.log and ends when this process ends for any reason."""
        command = [sys.executable, "-m", "node.cli", "node", "run", str(home), "--with-parent"]
        with (home / "node.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        self.running[home] = process
        return process

    def wait_ready(self, client: OperatorClient, seconds: float) -> None:
        """Wait until a node has replayed the genesis entry.

        Raises:
            ServiceUnavailableError: it has ended, or is not ready in time.
        """
        home = client.configuration.home.root
        deadline = time.monotonic() + seconds
        while True:
            process = self.running[home]
            if process.poll() is not None:
                raise ServiceUnavailableError(
                    f"node {client.member} ended while it started: see {home / 'node.log'}"
                )
            try:
                if client.status()["replayed"] > 0:
                    return
            except NodeError as error:
                if time.monotonic() > deadline:
                    raise ServiceUnavailableError(
                        f"node {client.member} is not ready after {seconds:.0f} s: see {home / 'node.log'}"
                    ) from error
            if time.monotonic() > deadline:
                raise ServiceUnavailableError(
                    f"node {client.member} has not reached the ledger in {seconds:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def kill(self, home: Path) -> None:
        """Kill one process, as a crash would."""
        process = self.running.pop(home)
        process.kill()
        _reap(process)

    def stop_all(self) -> None:
        """Ask every process to end, and kill those that do not."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.running.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
            _reap(process)
        self.running.clear()


def wait_sent(client: OperatorClient, seconds: float) -> None:
    """Wait until a running node's outbox is empty: every entry was recorded on the ledger, or refused.

    Raises:
        ServiceUnavailableError: the outbox is not empty in time.
    """
    deadline = time.monotonic() + seconds
    while client.status()["waiting"]:
        if time.monotonic() > deadline:
            raise ServiceUnavailableError(
                f"entries of {client.member} are still waiting for the ledger: see its node.log"
            )
        time.sleep(POLL_SECONDS)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process to end, and close the pipe that kept it alive."""
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def free_ports(count: int) -> list[int]:
    """Choose different loopback ports that are free now.

    They are below the range that operating systems use for outgoing connections, so that no connection takes
    one before its process listens, or while that process is restarted.
    """
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            port = FIRST_PORT + secrets.randbelow(PORTS)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        return found
