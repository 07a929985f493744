"""Commands whose files cannot be read or written say so in one line; that is neither invalid nor a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
    with FULL.open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--help"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
