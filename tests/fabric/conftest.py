"""One real Fabric network a session, for every test of this folder; see ``tests.fabric.network``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.config import prepare_transport

prepare_transport()

from tests.fabric.network import FabricNetwork  # noqa: E402  after the transport is prepared


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    """Give a network that is ready; its logs stay in the session's temporary folder."""
    with FabricNetwork(tmp_path_factory.mktemp("fabric")) as made:
        yield made
