"""Witnesses of other makes, run as programs on this machine where they are installed.

| witness | how it is found |
|---|---|
| litewitness (filippo.io/torchwood) | ``litewitness``, ``ssh-agent`` and ``ssh-add`` on the PATH |
| aics-witness | the package of that name (requirements/foreign-witness.txt) |

Each gets the log it is to cosign in its own way, listens on a port of this machine only, and ends with the
block.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

START_SECONDS = 30.0


class Stranger:
    """A running witness.

    Attributes:
        url: its prefix. vkey: the key it cosigns with.
    """

    url: str
    vkey: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._running: list[subprocess.Popen[bytes]] = []

    def begin(self, log_vkey: str) -> None:
        """Start it, for one log."""
        raise AssertionError

    def stop(self) -> None:
        """End what was started, last first."""
        for process in reversed(self._running):
            process.terminate()
            process.wait(20)
        self._running.clear()

    def _start(self, *command: str | Path, **environment: str) -> None:
        with (self._folder / "stranger.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env={**os.environ, **environment},
                )
            )

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline, pause = time.monotonic() + START_SECONDS, threading.Event()
        while not holds():
            said = (self._folder / "stranger.log").read_text("utf-8", "replace")
            assert time.monotonic() < deadline, said
            assert all(process.poll() is None for process in self._running), said
            pause.wait(0.02)

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._port)) == 0


class LiteWitness(Stranger):
    """Go, note and tlog of golang.org/x/mod; its key lives in an ssh-agent."""

    def begin(self, log_vkey: str) -> None:
        for program in ("litewitness", "ssh-agent", "ssh-add"):
            if shutil.which(program) is None:
                pytest.skip(f"litewitness: no {program} on the PATH")
        agent = self._folder / "agent"
        if not (self._folder / "key").exists():
            self._make_key()
        self._start("ssh-agent", "-D", "-a", agent)
        self._until(agent.exists)
        added = subprocess.run(
            ["ssh-add", "-q", self._folder / "key"],
            env={**os.environ, "SSH_AUTH_SOCK": str(agent)},
            check=False,
            capture_output=True,
        )
        assert added.returncode == 0, added.stderr
        self._start(
            "litewitness",
            *("-name", "lite.example/w1", "-ssh-agent", agent, "-key", self._fingerprint),
            *("-listen", f"127.0.0.1:{self._port}", "-db", self._folder / "lite.db"),
        )
        self._until(self._listens)
        self._add_log(log_vkey)

    def _make_key(self) -> None:
        key = Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.OpenSSH
        text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        path = self._folder / "key"
        path.touch(mode=0o600)
        path.write_bytes(text)
        raw = key.public_key().public_bytes_raw()
        self.vkey = vkey_of("lite.example/w1", raw)
        blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", raw))
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        self._fingerprint = f"SHA256:{digest}"

    def _add_log(self, log_vkey: str) -> None:
        """The rows that its own tool, witnessctl, writes for a log and its key."""
        origin = log_vkey.split("+", 1)[0]
        empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
        database = sqlite3.connect(self._folder / "lite.db", timeout=20)
        with database:
            known = database.execute("SELECT 1 FROM log WHERE origin = ?", (origin,)).fetchone()
            if known is None:
                database.execute("INSERT INTO log VALUES (?, 0, ?)", (origin, empty))
                database.execute("INSERT INTO key VALUES (?, ?)", (origin, log_vkey))
        database.close()


class AicsWitness(Stranger):
    """Python, a C2SP implementation of its own with a monitoring prefix."""

    def begin(self, log_vkey: str) -> None:
        if importlib.util.find_spec("aics_witness") is None:
            pytest.skip("aics-witness is not installed: `make test` installs it, but on Intel Macs")
        made = self._say("init", "--name", "aics.example/w1", "--listen", f"127.0.0.1:{self._port}")
        self.vkey = made.strip().splitlines()[-1]
        self._say("add-log", "--origin", log_vkey.split("+", 1)[0], "--vkey", log_vkey)
        self._start(sys.executable, "-m", "aics_witness", "serve", "--config", self._folder / "witness.json")
        self._until(self._listens)

    def _say(self, command: str, *arguments: str) -> str:
        if command == "init" and (self._folder / "witness.json").exists():
            arguments = ()
        done = subprocess.run(
            [sys.executable, "-m", "aics_witness", command, "--config", "witness.json", *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def vkey_of(name: str, raw: bytes) -> str:
    """A cosignature key as a policy lists it."""
    typed = b"\x04" + raw
    ident = hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{ident}+{base64.b64encode(typed).decode()}"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


STRANGERS = {"litewitness": LiteWitness, "aics-witness": AicsWitness}
