"""The same cases through the embedded engine and through Fabric in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ledger.conformance.cases import CASES, Subject
from tests.ledger.conformance.embedded_engine import EmbeddedEngine
from tests.ledger.conformance.memory_engine import MemoryNetwork


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    engine = EmbeddedEngine(tmp_path_factory.mktemp("embedded"))
    yield Subject(engine)
    engine.close()


@pytest.fixture(scope="module")
def fabric_in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    network = MemoryNetwork()
    engine = network.engine(tmp_path_factory.mktemp("fabric"))
    yield Subject(engine)
    engine.close()
    network.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("engine", ["embedded", "fabric_in_memory"])
def test_conformance(
    engine: str, case: Callable[[Subject], None], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    case(request.getfixturevalue(engine))
