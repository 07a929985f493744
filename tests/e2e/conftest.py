"""Fixtures of the end-to-end tests: the network that they share, and two whole runs of the demo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dishonest_office import DishonestOffice
from tests.e2e.families_scenario import SUITE
from tests.e2e.shared_network import RunningNetwork, found_or_attach, hedui, once
from tests.node.demo import second_scenario


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as e2e."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "e2e"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def running(shared: Path) -> Iterator[RunningNetwork]:
    """The network, in whatever state another test has it at the moment."""
    with found_or_attach(shared) as found:
        yield found


@pytest.fixture
def running_network(running: RunningNetwork) -> Iterator[RunningNetwork]:
    """The network, with all nodes running during the test."""
    with running.peace():
        yield running


@pytest.fixture
def own_network(running: RunningNetwork) -> Iterator[RunningNetwork]:
    """The network for a test that stops nodes or changes grants: no other test uses it meanwhile."""
    with running.peace(exclusive=True):
        yield running


@pytest.fixture(scope="session")
def dishonest_office(
    running: RunningNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DishonestOffice]:
    """The dishonest office."""
    found = DishonestOffice(running, tmp_path_factory.mktemp("office"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def second_run(shared: Path) -> Path:
    """Result of the demo over the second scenario."""

    def make(folder: Path) -> None:
        scenario = second_scenario.build(shared / "second-scenario", residents=12, suite=SUITE)
        done = hedui("demo", scenario, "--out", folder, seconds=240)
        assert done.returncode == 0, done.stdout + done.stderr

    return once(shared / "messier", make)


@pytest.fixture(scope="session")
def generated_run(shared: Path) -> Path:
    """Result of the demo over a generated scenario of another seed."""

    def make(folder: Path) -> None:
        arguments = ("--residents", 40, "--cases", 6, "--seed", 20261122, "--suite", SUITE)
        done = hedui("demo", "--out", folder, *arguments, seconds=240)
        assert done.returncode == 0, done.stdout + done.stderr

    return once(shared / "generated", make)
