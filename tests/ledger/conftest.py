"""What the tests of the ledger share."""

from __future__ import annotations

import pytest

from tests.ledger.sequencer.log_cases import World


@pytest.fixture
def world(tmp_path):
    """A network in memory around one embedded log, in a folder of its own."""
    made = World(tmp_path)
    yield made
    made.close()
