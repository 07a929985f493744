"""The network all end-to-end tests share, and two whole runs of the demo that many of them look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import shared_network as counties
from tests.e2e.dishonest_office import Bureau
from tests.e2e.families_scenario import SUITE
from tests.e2e.shared_network import County, hedui, once
from tests.node.demo import second_scenario


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is of the marker e2e."""
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
def running(shared: Path) -> Iterator[County]:
    """The network, whatever state a test leaves it in for a while."""
    with counties.county(shared) as found:
        yield found


@pytest.fixture
def county(running: County) -> Iterator[County]:
    """The network, all of whose nodes run while the test does."""
    with running.peace():
        yield running


@pytest.fixture
def own_county(running: County) -> Iterator[County]:
    """The network to do with as one likes: no other test uses it meanwhile."""
    with running.peace(exclusive=True):
        yield running


@pytest.fixture(scope="session")
def bureau(running: County, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """The dishonest office."""
    found = Bureau(running, tmp_path_factory.mktemp("bureau"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def messier_run(shared: Path) -> Path:
    """Result of the demo over the messier scenario."""

    def make(folder: Path) -> None:
        scenario = second_scenario.build(shared / "messier-scenario", residents=12, suite=SUITE)
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
