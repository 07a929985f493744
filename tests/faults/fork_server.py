"""A fork server for processes that a test kills: it forks them after it has imported their modules.

The server has one thread and opens nothing, so a fork of it is equivalent to a new process and takes a few
milliseconds. It reads a request as one line of JSON and answers with one line: ``{"run": "module:function",
"with": …}`` gives a process id, ``{"wait": pid}`` its end: 0, an exit status, or minus the signal that ended
it.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from ledger.fault_points import Observe, Point

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL
HANGS = 120
"""Seconds after which a run counts as hung: it prints its stack and ends with status 1."""


class ForkServer:
    """Client of a running fork server; close it after use."""

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, "-c", "from tests.faults.fork_server import serve; serve()", *modules]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._lock = threading.Lock()

    def spawn(self, function: str, **arguments: Any) -> int:
        """Start ``module:function`` in a process of its own; its id."""
        return int(self._ask({"run": function, "with": arguments}))

    def wait(self, process: int) -> int:
        """Wait for a process; returns its exit code."""
        return os.waitstatus_to_exitcode(int(self._ask({"wait": process})))

    def run(self, function: str, **arguments: Any) -> int:
        """Run ``module:function`` to its end."""
        return self.wait(self.spawn(function, **arguments))

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, request: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()


def serve() -> None:
    """Serve requests; runs in the server's process."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        answer = os.waitpid(request["wait"], 0)[1] if "wait" in request else _fork(request)
        print(answer, flush=True)


def _fork(request: Any) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    faulthandler.dump_traceback_later(HANGS, exit=True)
    try:
        module, name = request["run"].split(":")
        getattr(importlib.import_module(module), name)(**request["with"])
        status = 0
    except BaseException:  # noqa: BLE001  whatever ends a run is its status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def killer(point: str, nth: int) -> Observe:
    """A hook that kills its own process at the ``nth`` visit of a point."""
    lock, seen = threading.Lock(), 0

    def observe(reached: Point) -> None:
        nonlocal seen
        if reached == point:
            with lock:
                seen += 1
                if seen == nth:
                    os.kill(os.getpid(), signal.SIGKILL)

    return observe
