"""The interface to an ordered ledger, and the choice of an engine by URI."""

from __future__ import annotations

import pytest

from ledger.backend import EmbeddedBackend, open_backend
from ledger.errors import LogError, ReceiptError
from tests.ledger.sequencer.log_cases import POLICY, World, leaf


def test_the_embedded_engine_appends_verifies_reads_and_names_its_head(tmp_path):
    world = World(tmp_path)
    opened = []

    def embedded(rest):
        opened.append(rest)
        return EmbeddedBackend(world.started(), POLICY)

    backend = open_backend("embedded:here", {"embedded": embedded})
    assert opened == ["here"]
    assert backend.head() is None
    one = leaf()
    receipt = backend.append(one)
    assert backend.verify(receipt, one).checkpoint.size == 1
    with pytest.raises(ReceiptError):
        backend.verify(receipt, leaf())
    assert list(backend.read(0, 5)) == [one]
    assert POLICY.verify_checkpoint(backend.head()).checkpoint.size == 1
    world.close()


@pytest.mark.parametrize("uri", ["fabric:peer", "embedded", "", ":"])
def test_other_engines_are_named(uri):
    with pytest.raises(LogError, match="embedded"):
        open_backend(uri, {"embedded": lambda rest: None})
