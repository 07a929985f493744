"""Replicas: what is stored is verified, what is verified is replayed, and nothing else is kept."""

from __future__ import annotations

import hashlib
import itertools
import threading

import pytest

from ledger import contract
from ledger.contract.view import View
from ledger.entries.entry import draft, parse, signed
from ledger.errors import EntryError, ForkError, LogError, MerkleError, NoteError, QuorumError
from ledger.merkle import consistency_path, root_from, verify_consistency
from ledger.replica.replica import Replica
from ledger.storage.database import create_tables, open_database
from tests.ledger.contract.contract_cases import NETWORK, NOW, digest, founded, ready, signer
from tests.ledger.sequencer.log_cases import MOMENT, POLICY, cheap, cosigned, leaf, real_leaves, tree_of

LEAVES = [leaf() for _ in range(300)]


def make(folder, genesis=None, apply=cheap, policy=POLICY):
    engine = open_database(f"sqlite:///{folder / 'node.db'}")
    create_tables(engine)
    return Replica(engine, NETWORK, genesis, policy, apply=apply)


@pytest.fixture
def replica(tmp_path):
    return make(tmp_path)


def test_a_replica_grows_and_survives_a_restart(tmp_path):
    replica, size = make(tmp_path), 0
    assert (replica.size, replica.checkpoint, replica.checkpoint_note, replica.time) == (0, None, None, "")
    for new in (1, 2, 255, 256, 300):
        verified = replica.extend(LEAVES[size:new], cosigned(LEAVES[:new]))
        size = new
        assert replica.size == verified.checkpoint.size == new
        if new != 2:
            replica = make(tmp_path)
        assert replica.checkpoint == verified
        assert replica.time == NOW
        assert root_from(new, replica.source()) == tree_of(LEAVES[:new]).root()
    assert replica.leaves(0, 1000) == LEAVES
    assert replica.entry(7) == parse(LEAVES[7])
    assert replica.find(parse(LEAVES[280]).id) == 280
    assert replica.find("nothing") is None
    assert [index for index, _ in replica.of_type("incident")] == list(range(300))
    assert [index for index, _ in replica.of_type("incident", 297)] == [297, 298, 299]
    assert list(replica.of_type("complaint")) == []


def test_a_long_stream_is_taken_at_once(replica):
    replica.extend(iter(LEAVES), cosigned(LEAVES))
    assert replica.size == 300


def test_receipts_and_consistency_proofs_hold(replica):
    replica.extend(LEAVES, cosigned(LEAVES))
    for index in (0, 1, 255, 256, 299):
        replica.receipt(index).verify(POLICY, LEAVES[index])
    older = cosigned(LEAVES[:200])
    replica.receipt(150, older).verify(POLICY, LEAVES[150])
    with pytest.raises(MerkleError):
        replica.receipt(250, older)
    with pytest.raises(MerkleError):
        replica.receipt(0, cosigned([*LEAVES, leaf()]))
    path = consistency_path(200, 300, replica.source())
    verify_consistency(200, 300, tree_of(LEAVES[:200]).root(), tree_of(LEAVES).root(), path)


def unchanged(replica):
    assert replica.size == 0
    assert replica.leaves(0, 10) == []
    assert replica.state.get(f"id/{parse(LEAVES[0]).id}") is None
    replica.extend(LEAVES[:3], cosigned(LEAVES[:3]))


@pytest.mark.parametrize(
    ("leaves", "note", "error"),
    [
        (LEAVES[:3], cosigned(LEAVES[:3], 3), QuorumError),
        (LEAVES[:3], cosigned(LEAVES[:3]).replace(b"\n3\n", b"\n4\n"), NoteError),
        (LEAVES[:3], b"no note", NoteError),
        (LEAVES[:2], cosigned(LEAVES[:3]), LogError),
        (LEAVES[:4], cosigned(LEAVES[:3]), LogError),
        ([*LEAVES[:2], LEAVES[5]], cosigned(LEAVES[:3]), ForkError),
        ([LEAVES[1], LEAVES[0], LEAVES[2]], cosigned(LEAVES[:3]), ForkError),
    ],
)
def test_what_is_not_verified_is_not_kept(replica, leaves, note, error):
    with pytest.raises(error):
        replica.extend(leaves, note)
    unchanged(replica)


def test_a_failing_stream_leaves_nothing(replica):
    def broken():
        yield from LEAVES[:290]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        replica.extend(broken(), cosigned(LEAVES))
    unchanged(replica)


def test_a_fork_is_refused_whatever_its_size(replica):
    replica.extend(LEAVES[:100], cosigned(LEAVES[:100]))
    fork = [leaf(), *LEAVES[1:]]
    for size in (50, 100, 200):
        with pytest.raises(ForkError):
            replica.extend(LEAVES[100:size], cosigned(fork[:size], time=MOMENT + 5))
    assert replica.size == 100
    replica.extend(LEAVES[100:200], cosigned(LEAVES[:200]))


def test_an_older_or_staler_checkpoint_changes_nothing(replica):
    replica.extend(LEAVES[:9], cosigned(LEAVES[:9], time=MOMENT + 10))
    fresh = replica.checkpoint_note
    replica.extend([], cosigned(LEAVES[:5]))
    replica.extend([], cosigned(LEAVES[:9], time=MOMENT))
    assert replica.checkpoint_note == fresh
    replica.extend([], cosigned(LEAVES[:9], time=MOMENT + 20))
    assert replica.checkpoint.quorum_time(4) == MOMENT + 20


def test_void_entries_keep_their_place_and_change_nothing(tmp_path):
    replica = make(tmp_path)
    first, later = leaf(), "2030-01-01T00:00:00Z"
    name = parse(first).id
    leaves = [first, b"no entry", leaf("refuse", time=later), leaf(id=name), leaf("y")]
    replica.extend(leaves, cosigned(leaves))
    assert replica.voids() == [(1, "entry"), (2, "bad_entry"), (3, "id_used")]
    assert [replica.is_void(index) for index in range(5)] == [False, True, True, True, False]
    assert replica.void_code(3) == "id_used"
    assert replica.find(name) == 0
    assert replica.time == NOW
    assert make(tmp_path).voids() == replica.voids()
    with pytest.raises(EntryError):
        replica.entry(1)
    with pytest.raises(LogError):
        replica.leaf(5)
    replica.receipt(1).verify(POLICY, b"no entry")


def test_wrong_entries_under_a_genuine_checkpoint_accuse_nobody(replica):
    """Otherwise a server of the entries could make evidence out of two honest checkpoints."""
    replica.extend(LEAVES[:3], cosigned(LEAVES[:3]))
    with pytest.raises(ForkError) as caught:
        replica.extend([LEAVES[3], leaf()], cosigned(LEAVES[:5]))
    assert caught.value.notes == ()
    assert replica.extend(LEAVES[3:5], cosigned(LEAVES[:5])).checkpoint.size == 5


def test_another_genesis_is_refused(tmp_path):
    pinned = hashlib.sha256(LEAVES[0]).digest()
    replica = make(tmp_path, pinned)
    with pytest.raises(ForkError):
        replica.extend(LEAVES[1:4], cosigned(LEAVES[1:4]))
    assert replica.size == 0
    replica.extend(LEAVES[:4], cosigned(LEAVES[:4]))
    assert make(tmp_path, pinned).size == 4
    with pytest.raises(ForkError):
        make(tmp_path, bytes(32))


def test_the_real_contract_and_its_views(tmp_path):
    net = ready()
    leaves = real_leaves(net)
    forged = draft(NETWORK, "dataset.publish", digest("forged")[:32], NOW, net.publish_body("tax.income", 2))
    leaves.append(signed(forged, signer("housing")).leaf())
    replica = make(tmp_path, hashlib.sha256(leaves[0]).digest(), contract.apply)
    replica.extend(leaves[:5], cosigned(leaves[:5]))
    replica = make(tmp_path, apply=contract.apply)
    replica.extend(leaves[5:], cosigned(leaves))
    assert replica.voids() == [(len(leaves) - 1, "not_owner")]
    for key, value in net.state.values.items():
        assert replica.state.get(key) == value
    with replica.snapshot() as state:
        assert View(state).network() == net.view.network()
    with pytest.raises(LogError):
        replica.state.put("network", {})


def test_a_changed_policy_asks_for_a_new_checkpoint(tmp_path):
    leaves = real_leaves(founded())
    make(tmp_path).extend(leaves, cosigned(leaves))
    stricter = type(POLICY)(POLICY.log, POLICY.witnesses, 5)
    replica = make(tmp_path, policy=stricter)
    assert replica.checkpoint is None
    assert replica.size == len(leaves)
    with pytest.raises(LogError):
        replica.receipt(0)
    replica.extend([], cosigned(leaves, 5))
    replica.receipt(0).verify(stricter, leaves[0])


def test_many_threads_extend_and_read(replica):
    failures = []

    def read():
        while replica.size < 300:
            size = replica.size
            if size and len(replica.leaves(0, size)) != size:
                failures.append(size)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for begin, end in itertools.pairwise(range(0, 301, 20)):
        replica.extend(LEAVES[begin:end], cosigned(LEAVES[:end]))
    for thread in readers:
        thread.join()
    assert failures == []
    replica.receipt(299).verify(POLICY, LEAVES[299])


@pytest.mark.postgres
def test_a_replica_in_postgresql(postgres_url):
    engine = open_database(postgres_url)
    create_tables(engine)
    replica = Replica(engine, NETWORK, None, POLICY, apply=cheap)
    replica.extend(LEAVES[:100], cosigned(LEAVES[:100]))
    with pytest.raises(ForkError):
        replica.extend(LEAVES[101:201], cosigned(LEAVES[:200]))
    replica.extend(LEAVES[100:], cosigned(LEAVES))
    assert Replica(engine, NETWORK, None, POLICY, apply=cheap).size == 300
    replica.receipt(3).verify(POLICY, LEAVES[3])
    engine.dispose()


def test_a_checkpoint_and_its_note_are_of_one_moment(replica):
    """Whatever thread extends the replica meanwhile."""
    notes = [cosigned(LEAVES[:size]) for size in range(1, 41)]
    wanted = {note: POLICY.verify_checkpoint(note) for note in notes}
    torn, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            newest = replica.newest
            if newest is not None and newest[0] != wanted[newest[1]]:
                torn.append(newest)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for size, note in enumerate(notes):
            replica.extend(LEAVES[size : size + 1], note)
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert torn == []
    assert replica.newest == (replica.checkpoint, notes[-1])
