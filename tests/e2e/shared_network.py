"""A running network of real processes that all tests of a run share, in every worker.

The first worker founds it and owns its processes; the others attach to it. Locks on files:

    users     held shared by every worker that uses the network; its owner ends it when it gets it exclusively
    peace     held shared by a test while it runs; exclusively by one that ends nodes or changes grants

A node that was ended is started again by whichever worker ended it. Its standard input is a pipe that the
owner holds open, so that it ends with the owner and not with the worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest

from keys.tls import Identity
from ledger.audit.source import read_entries
from ledger.formats.policy import Policy
from node.app import Node
from node.case import Case
from node.cli import root
from node.config import Configuration, read_configuration
from node.demo.processes import NodeProcesses
from node.demo.run import Demo
from node.demo.scenario.load import Scenario, load
from node.edges.operator_client import OperatorClient
from node.errors import NodeError, ServiceUnavailableError
from node.home import Home
from node.membership.network import read_card
from node.messages.catalogue import Messages
from node.messages.progress import Reporter
from node.rpc.channels import open_channel
from tests.e2e import families_scenario

Outcome = TypeVar("Outcome")

READY_SECONDS = 60.0
POLL_SECONDS = 0.05
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker to ask makes and the others find; a failure is made only once too."""
    done = folder.with_suffix(".done")
    with locked(folder.with_suffix(".lock"), exclusive=True):
        if not done.exists():
            done.write_text("it could not be made: see the first test that asked for it", encoding="utf-8")
            make(folder)
            done.write_text("", encoding="utf-8")
    assert not done.read_text("utf-8"), f"{folder}: {done.read_text('utf-8')}"
    return folder


def wait_until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Poll until a condition holds; fail with its description if it does not in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}"
        pause.wait(POLL_SECONDS)


def retry(attempt: Callable[[], Outcome], seconds: float = READY_SECONDS) -> Outcome:
    """Try again while a member is out of reach: a restarted node is found within seconds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        try:
            return attempt()
        except ServiceUnavailableError:
            if time.monotonic() > deadline:
                raise
            pause.wait(POLL_SECONDS)


@dataclass(frozen=True)
class Done:
    """Result of a command."""

    returncode: int
    stdout: str
    stderr: str


def hedui(*arguments: object, seconds: float = 120, **environment: str) -> Done:
    """Run the installed command in its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "HEDUI_LANGUAGE": "en", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def quickly(*arguments: object, **environment: str) -> Done:
    """The same command, the same way to its exit status, without a process of its own."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hedui", *map(str, arguments)])
        for name, value in {"HEDUI_LANGUAGE": "en", **environment}.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                root.run()
            except SystemExit as end:
                status = int(end.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


@dataclass
class RunningNetwork:
    """The network as one worker sees it.

    Attributes:
        root: its folder, as the demo lays it out, with ``scenario/`` in it.
        scenario: what it was founded from.
        clients: every member's own operator.
    """

    root: Path
    scenario: Scenario
    clients: dict[str, OperatorClient]
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def attach(cls, root: Path) -> RunningNetwork:
        """Use a network that runs."""
        scenario = load(root / "scenario")
        clients = {member.id: OperatorClient(root / "members" / member.id) for member in scenario.members}
        return cls(root, scenario, clients)

    def home(self, member: str) -> Home:
        """A member's home."""
        return Home(self.root / "members" / member)

    @property
    def policy(self) -> Policy:
        """The network's trust policy, as the public log shows it."""
        return Policy.parse((self.public / "policy").read_text("utf-8"))

    @property
    def public(self) -> Path:
        """The public log's folder."""
        return self.home("court").public_log

    def channel(self, caller: Identity, to: str) -> grpc.Channel:
        """A channel to a member's node, shown this identity."""
        card = read_card(self.home(to).card)
        return open_channel(card["endpoint"], bytes.fromhex(card["tls"]), caller, f"{to}.hedui")

    def case(self, kind: str = "F") -> Case:
        """A case of this kind that no other test has had."""
        for case in self.scenario.cases:
            if not case.case.startswith(f"{kind}-"):
                continue
            if kind == "F" and int(case.case[2:]) <= families_scenario.OTHERS:
                continue  # their persons stand in the M cases too
            with contextlib.suppress(FileExistsError):
                (self.root / "claimed").mkdir(exist_ok=True)
                os.close(os.open(self.root / "claimed" / case.case, os.O_CREAT | os.O_EXCL))
                return case
        raise AssertionError(f"the scenario has too few cases {kind}: add some in families.py")

    def named(self, number: str) -> Case:
        """The case of this number."""
        return next(case for case in self.scenario.cases if case.case == number)

    def application(self, case: Case) -> bytes:
        """A case's file."""
        return (self.scenario.folder / "cases" / f"{case.case}.json").read_bytes()

    def check(self, case: Case, out: Path) -> dict[str, Any]:
        """The honest office's own check, started again while a member is out of reach."""
        return retry(lambda: self.check_once(case, out))

    def check_once(self, case: Case, out: Path) -> dict[str, Any]:
        """The honest office's own check, once."""
        return self.clients["bureau"].check(self.application(case), out, lambda *_: None)

    def journal(self, member: str, result: str, query: str | None = None) -> int:
        """Number of lines of a member's journal with this result."""
        with contextlib.closing(sqlite3.connect(self.home(member).root / "node.db", timeout=30)) as database:
            sql, values = "SELECT COUNT(*) FROM journal WHERE result = ?", [result]
            if query is not None:
                sql, values = f"{sql} AND query = ?", [*values, query]
            return int(database.execute(sql, values).fetchone()[0])

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Bodies of the public log's entries of one type."""
        return [entry.body for _, entry in read_entries(self.public) if entry.type == kind]

    # Processes.

    def peace(self, *, exclusive: bool = False) -> contextlib.AbstractContextManager[None]:
        """All nodes run while the block does; or, exclusively, no other test uses them."""
        return locked(self.root.parent / "peace", exclusive=exclusive)

    def end(self, member: str) -> None:
        """End a node at once, as a crash would."""
        self._signal(member, signal.SIGKILL)

    def start(self, member: str) -> None:
        """Start a node that was ended, and wait until it follows the ledger."""
        home = self.home(member).root
        command = [sys.executable, "-m", "node.cli", "node", "run", str(home), "--with-parent"]
        life = os.open(self.root / "life", os.O_RDONLY)
        with (home / "node.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=life, stdout=log, stderr=log, start_new_session=True
            )
        os.close(life)
        self._started.append(process)
        self.write_pid(member, process.pid)
        self.wait_ready(member)

    def wait_ready(self, member: str) -> None:
        """Wait until a node answers its operator."""

        def ready() -> bool:
            try:
                return int(self.clients[member].status()["replayed"]) > 0
            except NodeError:
                return False

        wait_until(ready, f"{member} is ready")

    @contextlib.contextmanager
    def without(self, *members: str) -> Iterator[None]:
        """The block runs while these nodes do not."""
        for member in members:
            self.end(member)
        try:
            yield
        finally:
            for member in members:
                self.start(member)

    @contextlib.contextmanager
    def inside(self, member: str, change: Callable[[Configuration], Node]) -> Iterator[Node]:
        """The block runs while this member's node runs in the test's own process, made by ``change``."""
        self._signal(member, signal.SIGTERM)
        node = change(read_configuration(self.home(member).root))
        try:
            node.start()
            self.wait_ready(member)
            yield node
        finally:
            node.stop()
            self.start(member)

    def write_pid(self, member: str, pid: int) -> None:
        """Tell the other workers which process a node is."""
        (self.root / "pids").mkdir(exist_ok=True)
        (self.root / "pids" / member).write_text(str(pid), encoding="ascii")

    def _signal(self, member: str, number: signal.Signals) -> None:
        pid = int((self.root / "pids" / member).read_text("ascii"))
        os.kill(pid, number)
        for process in self._started:
            if process.pid == pid:
                process.wait()
        host, _, port = self.clients[member].configuration.listen.rpartition(":")
        wait_until(lambda: is_closed(host, int(port)), f"{member} has ended")

    def stop(self) -> None:
        """Close the operators' channels; what was started again here lives on with the network's owner."""
        for client in self.clients.values():
            client.close()
        for process in self._started:
            if process.poll() is None:
                process.returncode = 0


def is_closed(host: str, port: int) -> bool:
    """Whether no process listens there."""
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, port), timeout=5):
        return False
    return True


@contextlib.contextmanager
def found_or_attach(shared: Path) -> Iterator[RunningNetwork]:
    """The network of this test run, founded by the first worker that calls this."""
    root = shared / "network"
    with contextlib.ExitStack() as stack:
        with locked(shared / "network.lock", exclusive=True):
            if not (shared / "network.done").exists():
                stack.enter_context(founded(root, shared))
                (shared / "network.done").touch()
        attached = RunningNetwork.attach(root)
        stack.callback(attached.stop)
        stack.enter_context(locked(shared / "users", exclusive=False))
        yield attached


@contextlib.contextmanager
def founded(root: Path, shared: Path) -> Iterator[None]:
    """Found the network and keep it running until no worker uses it."""
    root.mkdir()
    demo = Demo(root, load(families_scenario.build(root / "scenario")), quiet())
    os.mkfifo(root / "life")
    life = os.open(root / "life", os.O_RDWR)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, life)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        demo._found()
        dealing = pool.submit(demo._deal)
        processes = stack.enter_context(NodeProcesses())
        demo._start(processes)
        demo._install(dealing.result())
        for step in (
            demo._publish,
            demo._verify_publications,
            demo._rules,
            demo._consents,
            demo._grants,
            demo._close,
        ):
            step()
        seen = RunningNetwork(root, demo.scenario, {})
        for home, process in processes.running.items():
            seen.write_pid(home.name, process.pid)
        yield
        stack.enter_context(locked(shared / "users", exclusive=True))
        for member in demo.scenario.members:
            pid = int((root / "pids" / member.id).read_text("ascii"))
            if pid not in {process.pid for process in processes.running.values()}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)


def quiet() -> Reporter:
    """A reporter that writes to memory."""
    return Reporter(io.StringIO(), Messages("en"))


def twin_of(configuration: Configuration, scratch: Path) -> Node:
    """A member's home opened a second time with a database of its own; its port stays closed."""
    scratch.mkdir(parents=True, exist_ok=True)
    return Node(replace(configuration, store_url=f"sqlite:///{scratch / 'twin.db'}"))
