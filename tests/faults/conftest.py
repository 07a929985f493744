"""Fixtures of the fault tests: the shared fork server, and the seeds of a run (``--fault-seeds``)."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer


@pytest.fixture(scope="session")
def fork_server():
    """Forks the processes to be killed."""
    made = ForkServer("tests.faults.log_run", "tests.faults.member_run")
    yield made
    made.close()


MEMORY = Path("/dev/shm")


@pytest.fixture
def memory():
    """A folder in memory where there is one: a kill leaves its files as on a disk, without the wait."""
    folder = Path(
        tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None, prefix="hedui-faults-")
    )
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a witness may be at its last answer still


def pytest_generate_tests(metafunc):
    if "fault_seed" in metafunc.fixturenames:
        metafunc.parametrize("fault_seed", range(metafunc.config.getoption("--fault-seeds")))
