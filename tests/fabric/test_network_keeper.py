"""No process of a network outlives the program that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fabric.process_keeper import Keeper

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import signal, sys
held = open(sys.argv[1], "wb", buffering=0)
held.write(b"up")
signal.pause()
"""
PROGRAM = """
import signal, sys
from pathlib import Path
from tests.fabric.process_keeper import Keeper
folder = Path(sys.argv[1])
Keeper(folder).start("child", [sys.executable, "-c", sys.argv[2], str(folder / "fifo")], {}, folder)
signal.pause()
"""


def test_children_end_when_their_program_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), CHILD], cwd=ROOT)
    with (tmp_path / "fifo").open("rb", buffering=0) as held:
        assert held.read(2) == b"up"
        program.kill()
        program.wait()
        assert held.read() == b""  # the process with the other end is gone


def test_children_end_with_their_keeper(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    keeper = Keeper(tmp_path)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "fifo")]
    keeper.start("one", command, {}, tmp_path)
    with (tmp_path / "fifo").open("rb", buffering=0) as held:
        assert held.read(2) == b"up"
        assert keeper.ended() == []
        assert set(keeper.memory()) <= {"one"}
        keeper.stop()
        assert held.read() == b""
    assert keeper.running == {}
