"""A node's replica as a source: it verifies, and a mirror of it is the log's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit.mirror import update_mirror
from ledger.audit.source import read_leaves
from ledger.audit.verify import verify_folder, verify_source
from ledger.errors import TileError, TileMissingError
from ledger.replica.replica import Replica
from ledger.replica.replica_source import ReplicaSource
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.contract.contract_cases import NETWORK
from tests.ledger.sequencer.log_cases import POLICY, World, cheap, cosigned, leaf

PINNED = POLICY.format().encode()


@pytest.fixture
def log(tmp_path: Path) -> Growing:
    made = Growing(tmp_path / "public")
    made.add(*(leaf() for _ in range(700)))
    return made


@pytest.fixture
def source(log: Growing, tmp_path: Path) -> Iterator[ReplicaSource]:
    engine = World(tmp_path).engine("node")
    replica = Replica(engine, NETWORK, None, POLICY, apply=cheap)
    replica.extend(log.leaves, cosigned(log.leaves, 6))
    made = ReplicaSource(engine, POLICY, "the node")
    yield made
    made.close()


def test_it_reads_and_verifies_like_the_folder(log: Growing, source: ReplicaSource) -> None:
    assert list(read_leaves(source)) == log.leaves
    found = verify_source(source, policy=PINNED, apply=cheap)
    assert (found.size, found.root) == (700, verify_folder(log.root, apply=cheap).root)


def test_a_mirror_of_it_is_the_logs_folder(log: Growing, source: ReplicaSource, tmp_path: Path) -> None:
    update_mirror(source, tmp_path / "copy", policy=PINNED)
    log.folder.close()
    for file in (file for file in log.root.rglob("*") if file.is_file() and file.name != "checkpoint"):
        assert (tmp_path / "copy" / file.relative_to(log.root)).read_bytes() == file.read_bytes()
    assert verify_folder(tmp_path / "copy", policy=PINNED, apply=cheap).size == 700


def test_what_it_has_not_is_missing(source: ReplicaSource, tmp_path: Path) -> None:
    for name in ("trace/none", "tile/0/003", "tile/0/002.p/189", "tile/2/000.p/1", "node.toml"):
        with pytest.raises(TileMissingError):
            source.fetch(name, 1 << 20)
    with pytest.raises(TileError):
        source.fetch("tile/0/000", 100)
    with pytest.raises(TileMissingError, match="follow the log"):
        ReplicaSource(World(tmp_path).engine("empty"), POLICY, "the node")
