"""One real Fabric network a session, for every test below; see ``tests.fabric.network``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fabric.network import FabricNetwork

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a network."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.fabric)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    """Give a network that is ready; its logs stay in the session's temporary folder."""
    with FabricNetwork(tmp_path_factory.mktemp("fabric")) as made:
        yield made
