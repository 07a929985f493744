"""Assembler and witnesses on Fabric: peers that disagree, lag or are not followed, quorums, starts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fabric_protos.peer import transaction_pb2

from keys.signing import SigningKey
from ledger.audit.verify import verify_folder
from ledger.errors import LogError, LogUnavailableError, QuarantineError, QuorumError
from ledger.fabric.backend import FabricBackend
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import Note, NoteSigner
from ledger.merkle import leaf_hash
from ledger.witness import Witness
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.ledger.fabric.memory_messages import ORGANISATIONS
from tests.ledger.fabric.memory_peer import Peer
from tests.ledger.fabric.test_fabric_append import hurry
from tests.ledger.sequencer.log_cases import COSIGNERS, POLICY, cheap, leaf, signed_head


def test_a_peer_that_flags_otherwise_is_found_when_witnesses_cosign(
    network: MemoryNetwork, engine: FabricEngine
) -> None:
    first, second = engine.members
    one = leaf()
    second.append(one)
    other = network.network.peers[ORGANISATIONS[1]]
    other.deviate = lambda txid, code: transaction_pb2.BAD_RWSET if txid else code
    hurry(first, 1.0)
    two = leaf()
    with pytest.raises((LogUnavailableError, QuorumError)):
        first.append(two)
    size = Checkpoint.parse(Note.parse(engine.head()).text).size
    assert size == 1
    evidence = signed_head([one, two])
    witness = engine.witnesses[COSIGNERS[1].verifier.name]
    status, body = witness.add_checkpoint(b"old 1\n\n" + evidence.format())
    assert (status, body[:32]) == (503, b"the own peer shows 1 entries, th")
    other.deviate = lambda _txid, code: code
    hurry(first, 1.0)
    with pytest.raises((LogUnavailableError, QuorumError)):
        first.append(leaf())
    assert second.derived.wait_for_size(2, 10)
    assert second.root_at(2) != first.root_at(2)
    status, body = witness.add_checkpoint(b"old 1\n\n" + evidence.format())
    assert status == 422
    assert b"compare the validation flags" in body


def test_a_witness_does_not_wait_for_what_the_log_has_not_signed(engine: FabricEngine) -> None:
    witness = engine.witnesses[COSIGNERS[0].verifier.name]
    changed = signed_head([leaf()]).format().replace(b"\n1\n", b"\n9\n")
    assert witness.add_checkpoint(b"old 0\n\n" + changed)[0] == 403
    assert witness.add_checkpoint(b"junk")[0] == 400


def test_a_lagging_peer_is_waited_for_and_then_said(
    network: MemoryNetwork, engine: FabricEngine, peer: Peer
) -> None:
    engine.append(leaf())
    other = network.network.peers[ORGANISATIONS[1]]
    other.lag = True
    hurry(engine.members[1], 0.5)
    one = leaf()
    engine.members[0].gateway.submit(engine.members[0].gateway.endorse([b"append", one]))
    assert engine.members[0].derived.wait_for_leaf(leaf_hash(one), 10) == 1
    with pytest.raises(LogUnavailableError, match="own peer"):
        engine.members[1].append(one)
    other.lag = False
    hurry(engine.members[1], 10)
    assert engine.members[1].append(one).index == 1


def test_nobody_waits_for_the_others_behind_a_lagging_peer(
    network: MemoryNetwork, engine: FabricEngine, backend: FabricBackend
) -> None:
    """Each caller has its own time, however many ask for a checkpoint that the own peer cannot judge yet."""
    engine.append(leaf())
    clock = network.network.clock
    behind = FabricBackend(backend._profile, engine._database("behind"), POLICY, engine._head, clock)
    hurry(behind, 0.5)

    def ask(_: int) -> float:
        begun = time.monotonic()
        with pytest.raises(LogUnavailableError):
            behind.head()
        return time.monotonic() - begun

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(ask, range(8))) < 2.0
    behind.stop()


def test_a_quorum_that_is_missing_holds_receipts_and_nothing_else(engine: FabricEngine) -> None:
    kept = dict(engine.witnesses)
    for name in list(kept)[:3]:
        engine.witnesses[name].up = False
    backend = engine.members[0]
    hurry(backend, 0.5)
    one = leaf()
    with pytest.raises(LogUnavailableError, match="cosigned"):
        backend.append(one)
    for witness in kept.values():
        witness.up = True
    hurry(backend, 10)
    assert backend.append(one).index == 0


def test_the_assembler_starts_again_over_a_lost_database(
    network: MemoryNetwork, engine: FabricEngine, tmp_path: Path
) -> None:
    leaves = [leaf() for _ in range(3)]
    for one in leaves:
        engine.append(one)
    before = engine.head()
    engine.stop()
    (tmp_path / "assembler.db").unlink()
    engine.start()
    assert engine.assembler.size == 3
    one = leaf()
    assert engine.append(one).index == 3
    assert (
        Note.parse(before).text.split("\n")[2] == Note.parse(signed_head(leaves).format()).text.split("\n")[2]
    )
    assert verify_folder(engine.public, policy=POLICY.format().encode(), apply=cheap).size == 4


def test_the_assembler_signs_nothing_when_a_witness_has_seen_another_tree(
    engine: FabricEngine, tmp_path: Path
) -> None:
    engine.append(leaf())
    engine.append(leaf())
    engine.stop()
    for database in tmp_path.glob("witness*.db"):
        database.unlink()
    kept = engine._witness

    def deceived(cosigner: object, member: FabricBackend, number: int) -> object:
        made = kept(cosigner, member, number)  # type: ignore[arg-type]
        Witness.add_checkpoint(made.witness, b"old 0\n\n" + signed_head([b"other"]).format(), engine._clock())
        return made

    engine._witness = deceived  # type: ignore[method-assign,assignment]
    with pytest.raises(QuarantineError, match="another tree"):
        engine.start()
    assert isinstance(engine.assembler.quarantined, QuarantineError)


def test_the_start_gate_does_not_wait_for_a_published_head_of_another_log(
    engine: FabricEngine,
) -> None:
    engine.append(leaf())
    engine.stop()
    other = Checkpoint("another.example/log", 9, bytes(32))
    signed = sign_checkpoint(other, NoteSigner(other.origin, SigningKey.generate()))
    (engine.public / "checkpoint").write_bytes(signed.format())
    engine.start()
    assert engine.append(leaf()).index == 1


def test_the_start_gate_says_why_the_own_peer_is_not_followed(engine: FabricEngine, peer: Peer) -> None:
    engine.append(leaf())
    engine.assembler.stop()
    engine.assembler = engine.new_assembler("further")
    for block in peer.blocks:
        block.header.number += 1
    engine.assembler.start()
    with pytest.raises(LogError, match="does not follow"):
        engine.assembler.wait_ready(1.0)
