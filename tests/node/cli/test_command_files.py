"""Commands whose files cannot be read or written say so in one line; that is neither invalid nor a crash."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config import read_configuration
from node.errors import ConfigurationError
from node.membership.home_setup import init_home

COMMAND = [sys.executable, "-c", "from node.cli.root import run; run()"]
NOWHERE = "/proc/hedui/home"
FULL = Path("/dev/full")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
@pytest.mark.parametrize(
    "arguments",
    [
        (
            "node",
            "init",
            NOWHERE,
            "--id",
            "tax",
            "--name",
            "T",
            "--role",
            "department",
            "--listen",
            "localhost:1",
        ),
        ("demo", "--out", NOWHERE),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_place_that_cannot_be_written(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([*COMMAND, *arguments], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert done.stderr.startswith("hedui: /proc/")
    assert "[file]" in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_an_output_that_is_full_is_not_a_report_that_is_invalid() -> None:
    """Neither the exit status nor standard error tells of what Python tries again at its end."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with FULL.open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--help"], check=False, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered
        )
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert done.stderr.startswith("hedui: standard output: No space left on device: check")


def test_a_file_of_another_user() -> None:
    """The remedy is no restore."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        init_home(home, "tax", "T", ("department",), "127.0.0.1:7400")
        Path(folder).chmod(0o755)
        (home / "keys").chmod(0o755)
        passphrase = home / "keys" / "passphrase"
        passphrase.chmod(0)
        with (
            as_nobody(),
            pytest.raises(ConfigurationError, match=r"passphrase may not .*: run .* the node's user"),
        ):
            read_configuration(home)
        passphrase.unlink()
        with as_nobody(), pytest.raises(ConfigurationError, match="restore it"):
            read_configuration(home)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who may not read everything; the present one where that is none."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
