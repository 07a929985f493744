"""The cases that every engine must pass, on a real network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ledger.fabric.profile import ConnectionProfile
from tests.fabric.network import FabricNetwork
from tests.ledger.conformance.cases import CASES, Subject
from tests.ledger.conformance.fabric_engine import FabricEngine

pytestmark = pytest.mark.fabric


@pytest.fixture(scope="module")
def subject(network: FabricNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder = network.new_ledger()
    profiles = [ConnectionProfile.read(path) for path in sorted(folder.glob("*.toml"))]
    engine = FabricEngine(
        tmp_path_factory.mktemp("engine"),
        profiles,
        lambda: int(time.time()),
        dishonestly=partial(network.dishonestly, folder),
    )
    yield Subject(engine)
    engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_conformance(case: Callable[[Subject], None], subject: Subject) -> None:
    case(subject)
