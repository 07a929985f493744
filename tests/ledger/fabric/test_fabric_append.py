"""Appending through Fabric in memory: lost answers, unknown outcomes, races, and peers that disagree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from fabric_protos.peer import transaction_pb2

from ledger.audit.verify import verify_folder
from ledger.errors import EntryRefusedError, LogError, LogUnavailableError, OutcomeUnknownError
from ledger.fabric.backend import FabricBackend
from ledger.fabric.profile import ConnectionProfile
from ledger.storage.database import create_tables, open_database
from tests.ledger.conformance.fabric_engine import FabricEngine
from tests.ledger.conformance.memory_engine import MemoryNetwork
from tests.ledger.fabric.memory_messages import ORGANISATIONS, Fault
from tests.ledger.fabric.memory_peer import Peer
from tests.ledger.sequencer.log_cases import LOG, POLICY, cheap, leaf

Status = grpc.StatusCode


def hurry(backend: FabricBackend, seconds: float) -> None:
    """Give an append this long at most."""
    limits = replace(backend._profile.limits, commit=seconds)
    backend._profile = replace(backend._profile, limits=limits)


def test_a_receipt_verifies_and_the_public_folder_too(engine: FabricEngine, backend: FabricBackend) -> None:
    leaves = [leaf() for _ in range(5)]
    for one in leaves:
        receipt = backend.append(one)
        assert receipt.verify(POLICY, one).checkpoint.size > receipt.index
    assert backend.read(0, 10) == leaves
    found = verify_folder(engine.public, policy=POLICY.format().encode(), apply=cheap)
    assert (found.size, found.voids) == (5, ())
    assert backend.root_at(5) == found.root


def test_many_submitters_on_all_members(engine: FabricEngine) -> None:
    leaves = [leaf() for _ in range(96)]
    with ThreadPoolExecutor(32) as pool:
        receipts = list(pool.map(engine.append, leaves))
    assert sorted(receipt.index for receipt in receipts) == list(range(96))
    for one, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, one)


@pytest.mark.parametrize("method", ["Submit", "CommitStatus"])
@pytest.mark.parametrize("code", [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.UNKNOWN])
def test_a_lost_answer_is_asked_for_and_nothing_is_submitted_twice(
    backend: FabricBackend, peer: Peer, method: str, code: grpc.StatusCode
) -> None:
    peer.faults[method].append(Fault(code, after=True))
    one = leaf()
    backend.append(one).verify(POLICY, one)
    assert (peer.calls["Endorse"], peer.calls["Submit"]) == (1, 1)


def test_the_own_log_answers_where_commit_status_never_does(backend: FabricBackend, peer: Peer) -> None:
    peer.faults["CommitStatus"].extend(Fault(Status.UNAVAILABLE) for _ in range(1000))
    one = leaf()
    backend.append(one).verify(POLICY, one)
    assert peer.calls["Submit"] == 1


def test_an_unknown_outcome_is_asked_about_again_and_never_submitted_anew(
    network: MemoryNetwork, backend: FabricBackend, peer: Peer
) -> None:
    network.network.hold(held=True)
    hurry(backend, 0.5)
    one = leaf()
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            backend.append(one)
    assert peer.calls["Submit"] == 1
    network.network.hold(held=False)
    hurry(backend, 10)
    backend.append(one).verify(POLICY, one)
    assert peer.calls["Submit"] == 1


def test_a_transaction_that_never_arrived_is_endorsed_anew_after_its_time(
    backend: FabricBackend, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.faults["Submit"].append(Fault(Status.UNAVAILABLE))
    hurry(backend, 0.5)
    one = leaf()
    with pytest.raises(OutcomeUnknownError):
        backend.append(one)
    monkeypatch.setattr("ledger.fabric.backend.SETTLE_SECONDS", 0.0)
    hurry(backend, 10)
    receipt = backend.append(one)
    receipt.verify(POLICY, one)
    assert backend.read(0, 10) == [one]


def test_a_leaf_too_old_to_be_endorsed_anew_is_not_refused_while_it_may_be_ordered(
    network: MemoryNetwork, backend: FabricBackend, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orderer takes the transaction and orders it five minutes later, as after a power cut."""
    network.network.hold(held=True)
    hurry(backend, 0.5)
    one = leaf()
    with pytest.raises(OutcomeUnknownError):
        backend.append(one)
    monkeypatch.setattr("ledger.fabric.backend.SETTLE_SECONDS", 0.0)
    network.network.now += 300
    with pytest.raises(OutcomeUnknownError):
        backend.append(one)
    network.network.hold(held=False)
    hurry(backend, 10)
    backend.append(one).verify(POLICY, one)
    assert backend.read(0, 10) == [one]


def test_a_leaf_too_old_is_refused_once_its_transaction_is_known_not_to_count(
    network: MemoryNetwork, backend: FabricBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.network.hold(held=True)
    hurry(backend, 0.5)
    one, other = leaf(id="one"), leaf("other", id="one")
    for each in (other, one):
        with pytest.raises(OutcomeUnknownError):
            backend.append(each)
    monkeypatch.setattr("ledger.fabric.backend.SETTLE_SECONDS", 0.0)
    network.network.now += 300
    network.network.hold(held=False)
    hurry(backend, 10)
    with pytest.raises(EntryRefusedError) as refused:
        backend.append(one)
    assert refused.value.code in {"clock", "id_used"}
    assert backend.append(other).index == 0


def test_transactions_that_nobody_asks_about_any_more_are_forgotten(
    network: MemoryNetwork, backend: FabricBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.network.hold(held=True)
    hurry(backend, 0.3)
    for _ in range(3):
        with pytest.raises(OutcomeUnknownError):
            backend.append(leaf())
    assert len(backend._pending) == 3
    monkeypatch.setattr("ledger.fabric.backend.KEPT_SECONDS", 0.0)
    with pytest.raises(OutcomeUnknownError):
        backend.append(leaf())
    assert len(backend._pending) == 1


def test_a_stopped_engine_is_unavailable(engine: FabricEngine, backend: FabricBackend) -> None:
    one = leaf()
    backend.stop()
    with pytest.raises(LogUnavailableError, match="stopped"):
        backend.append(one)


def test_after_a_restart_a_leaf_under_way_counts_once(
    network: MemoryNetwork, engine: FabricEngine, peer: Peer
) -> None:
    network.network.hold(held=True)
    hurry(engine.members[0], 0.3)
    one = leaf()
    with pytest.raises(OutcomeUnknownError):
        engine.members[0].append(one)
    engine.restart()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(engine.members[0].append, one)
        while peer.calls["Submit"] < 2:
            assert not under_way.done()
        network.network.hold(held=False)
        receipt = under_way.result()
    receipt.verify(POLICY, one)
    assert engine.read(0, 10) == [one]


def test_a_recorded_leaf_gives_the_receipt_of_the_first_time(engine: FabricEngine) -> None:
    first, second = engine.members
    one = leaf()
    place = first.append(one).index
    assert second.append(one).index == place
    assert first.append(one).index == place


def test_racing_ids_end_with_one(engine: FabricEngine) -> None:
    def one(code: str) -> str:
        try:
            engine.append(leaf(code, id="one"))
        except EntryRefusedError as refused:
            return refused.code
        return "counts"

    with ThreadPoolExecutor(8) as pool:
        results = sorted(pool.map(one, "abcdefgh"))
    assert results == ["counts"] + ["id_used"] * 7


def test_a_flag_that_is_no_race_is_named(backend: FabricBackend, network: MemoryNetwork) -> None:
    for peer in network.network.peers.values():
        peer.deviate = lambda txid, code: transaction_pb2.ENDORSEMENT_POLICY_FAILURE if txid else code
    with pytest.raises(LogError, match="ENDORSEMENT_POLICY_FAILURE"):
        backend.append(leaf())


def test_a_down_organisation_is_unavailable_and_passes(
    backend: FabricBackend, network: MemoryNetwork
) -> None:
    other = network.network.peers[ORGANISATIONS[1]]
    other.switch(up=False)
    one = leaf()
    with pytest.raises(LogUnavailableError, match="not enough organisations"):
        backend.append(one)
    other.switch(up=True)
    backend.append(one).verify(POLICY, one)


def test_a_further_member_reads_by_its_profile(
    network: MemoryNetwork, engine: FabricEngine, tmp_path: Path
) -> None:
    one = leaf()
    engine.append(one)
    database = open_database(f"sqlite:///{tmp_path / 'further.db'}")
    create_tables(database)
    profile = ConnectionProfile.read(tmp_path / ORGANISATIONS[1] / "connection.toml")
    backend = FabricBackend(profile, database, POLICY, lambda: engine.assembler.head, network.network.clock)
    backend.start()
    note = backend.head()
    assert note is not None
    assert POLICY.verify_log(note)[1].origin == LOG.verifier.name
    assert list(backend.read(0, 5)) == [one]
    backend.stop()
    database.dispose()
