"""The derived log: what it holds, what a stop leaves, and following a peer that comes and goes."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError

from ledger.entries.entry import parse
from ledger.errors import LogError, MerkleError
from ledger.fabric.blocks import BlockStream, DerivedBlock, Position
from ledger.fabric.checkpoints import DerivedWitness
from ledger.fabric.derived import BLOCK, SIGNED, DerivedLog, block_head
from ledger.fabric.follower import Follower
from ledger.fabric.gateway import Gateway
from ledger.fabric.profile import ConnectionProfile, FabricIdentity
from ledger.fault_points import Point
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.storage.database import LOG, create_tables, open_database, writing
from ledger.storage.tree_store import EMPTY_TREE_HEAD, TreeStore
from ledger.witness import MemoryWitnessStore
from tests.ledger.fabric.gateway_calls import final_outcome
from tests.ledger.fabric.memory_fabric import Network
from tests.ledger.fabric.memory_messages import CHAINCODE, CHANNEL, ORGANISATIONS, Fault
from tests.ledger.sequencer.log_cases import COSIGNERS, MOMENT, cheap, leaf, signed_head, tree_of
from tests.ledger.sequencer.log_cases import LOG as LOG_KEY
from tests.ledger.storage.flipped_bits import flips, hidings

OWN = ORGANISATIONS[0]
POINTS = (Point.STAGING, Point.REREAD, Point.ORDERING, Point.ORDERED)


class Stopped(BaseException):
    """The process ends here."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'log.db'}")
    create_tables(made)
    yield made
    made.dispose()


@pytest.fixture
def follow(
    fabric: Network, profile: ConnectionProfile, channel: grpc.Channel
) -> Iterator[Callable[[DerivedLog], Follower]]:
    """Starts a follower of the first organisation's peer into a log."""
    running: list[Follower] = []

    def start(log: DerivedLog) -> Follower:
        stream = BlockStream(profile, FabricIdentity.of(profile, fabric.clock), channel)
        follower = Follower(log, stream, CHANNEL, CHAINCODE)
        running.append(follower)
        follower.start()
        return follower

    yield start
    for follower in running:
        follower.stop()


def append(gateway: Gateway, count: int = 1) -> list[bytes]:
    leaves = [leaf() for _ in range(count)]
    transactions = []
    for one in leaves:
        prepared = gateway.endorse([b"append", one])
        gateway.submit(prepared)
        transactions.append(prepared.transaction)
    assert {final_outcome(gateway, one, 10).flag for one in transactions} == {"VALID"}
    return leaves


def blocks(*groups: list[bytes]) -> list[DerivedBlock]:
    """Blocks with these leaves, from number 0 on."""
    return [
        DerivedBlock(tuple(group), Position(number, bytes([number]) * 32))
        for number, group in enumerate(groups, 1)
    ]


def holds(log: DerivedLog, leaves: list[bytes]) -> None:
    """Size, leaves, roots at every size, and a proof of each leaf."""
    assert (log.size, log.leaves(0, 1000)) == (len(leaves), leaves)
    for size in range(len(leaves) + 1):
        assert log.root_at(size) == tree_of(leaves[:size]).root()
    for index, path in enumerate(log.inclusion_paths(range(len(leaves)), len(leaves))):
        verify_inclusion(index, len(leaves), leaf_hash(leaves[index]), path, log.root_at(len(leaves)))


def test_leaves_roots_and_voids(engine: Engine) -> None:
    good, bad = leaf(id="one"), leaf("refuse")
    twice, junk = leaf("y", id="one"), b"no entry"
    log = DerivedLog(engine, cheap)
    log.take(blocks([], [good, bad], [], [junk, twice, good]))
    holds(log, [good, bad, junk, twice, good])
    assert [log.void_code(place) for place in range(5)] == [None, "bad_entry", "entry", "id_used", "id_used"]
    assert log.state.get("id/one")["type"] == parse(good).type
    assert log.place(leaf_hash(good)) == 0
    assert log.place(leaf_hash(b"other")) is None
    assert log.position == Position(4, b"\4" * 32)
    with pytest.raises(MerkleError):
        log.root_at(6)


@pytest.mark.parametrize("point", POINTS)
def test_a_stop_at_any_point_loses_and_repeats_nothing(engine: Engine, point: Point) -> None:
    groups = [[], [leaf(), leaf()], [leaf()], [], [leaf(), leaf(), leaf()]]
    leaves = list(itertools.chain(*groups))
    parts = blocks(*groups)
    for when in range(len(groups)):
        path = engine.url.database
        assert path is not None
        own = open_database(f"sqlite:///{path}.{when}")
        create_tables(own)
        seen: list[Point] = []

        def stop(reached: Point, seen: list[Point] = seen, when: int = when) -> None:
            seen.append(reached)
            if seen.count(point) > when:
                raise Stopped

        try:
            log = DerivedLog(own, cheap, stop)
            for one in parts:
                log.take([one])
        except Stopped:
            pass
        own.dispose()
        log = DerivedLog(own, cheap)
        for one in parts[log.position.next :]:
            log.take([one])
        holds(log, leaves)
        own.dispose()


def test_a_failing_write_is_taken_up_again(engine: Engine) -> None:
    fail = [Point.STAGING, Point.ORDERING]

    def observe(reached: Point) -> None:
        if fail and reached == fail[0]:
            fail.pop(0)
            raise OperationalError("commit", {}, sqlite3.OperationalError("disk is full"))

    log = DerivedLog(engine, cheap, observe)
    groups = [[leaf()], [leaf()]]
    parts = blocks(*groups)
    for _ in range(2):
        with pytest.raises(OperationalError):
            log.take(parts[:1])
        log.load()
        assert (log.position.next, log.size) == (0, 0)
    log.take(parts[:1])
    log.take(parts[1:])
    holds(log, [*groups[0], *groups[1]])


def test_two_processes_on_one_database_are_found_out(engine: Engine) -> None:
    one, other = DerivedLog(engine, cheap), DerivedLog(engine, cheap)
    one.take(blocks([leaf()]))
    with pytest.raises(LogError, match="another process"):
        other.take(blocks([leaf()]))


def test_changed_leaves_are_derived_anew(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    parts = blocks([leaf(), leaf()], [leaf()])
    DerivedLog(engine, cheap).take(parts)
    with writing(engine) as connection:
        connection.execute(update(LOG.entry).where(LOG.entry.c.position == 1).values(leaf=b"changed"))
        connection.execute(LOG.tile.delete())
    again = DerivedLog(engine, cheap)
    assert "derived again" in caplog.text
    assert (again.size, again.position) == (0, Position())
    again.take(parts)
    holds(again, [one for part in parts for one in part.leaves])


def test_changed_tiles_and_state_are_made_anew(engine: Engine) -> None:
    leaves = [leaf() for _ in range(3)]
    DerivedLog(engine, cheap).take(blocks(leaves))
    with writing(engine) as connection:
        connection.execute(LOG.tile.delete())
        connection.execute(LOG.state.delete())
    holds(DerivedLog(engine, cheap), leaves)


def test_an_embedded_logs_database_is_refused(engine: Engine) -> None:
    log = OrderedLog(engine, LOG_KEY, cheap)
    log.stage([Candidate.parse(leaf())], lambda _: None)
    log.order()
    with pytest.raises(LogError, match="embedded log"):
        DerivedLog(engine, cheap)


def test_an_embedded_log_that_has_signed_nothing_yet_is_refused(engine: Engine) -> None:
    OrderedLog(engine, LOG_KEY, cheap).stage([Candidate.parse(leaf())], lambda _: None)
    with pytest.raises(LogError, match="embedded log"):
        DerivedLog(engine, cheap)


@pytest.mark.parametrize("name", ["block", "ordered", "staged", "signed"])
def test_a_head_that_the_index_hides_is_derived_anew(tmp_path: Path, engine: Engine, name: str) -> None:
    parts = blocks([leaf(), leaf()], [], [leaf()])
    leaves = [one for part in parts for one in part.leaves]
    DerivedLog(engine, cheap).take(parts)
    with writing(engine) as connection:
        TreeStore(LOG).put_head(connection, SIGNED, EMPTY_TREE_HEAD)
    engine.dispose()
    found = itertools.islice(hidings(tmp_path / "log.db", "log_head", "name", name), 0, None, 5)
    assert [derived_again(engine, parts, leaves) for _ in found]


def test_a_flip_in_the_position_is_found(tmp_path: Path, engine: Engine) -> None:
    parts = blocks([leaf(), leaf()], [], [leaf()])
    leaves = [one for part in parts for one in part.leaves]
    DerivedLog(engine, cheap).take(parts)
    engine.dispose()
    path = tmp_path / "log.db"
    assert all(derived_again(engine, parts, leaves) for _ in flips(path, "log_head", b"block", 60))


def derived_again(engine: Engine, parts: list[DerivedBlock], leaves: list[bytes]) -> bool:
    """The log of a damaged database comes back whole from the peer's blocks, whichever it asks for first."""
    log = DerivedLog(engine, cheap)
    assert log.position in {Position(), *(part.after for part in parts)}
    missing = parts[log.position.next :]
    if missing:
        log.take(missing)
    holds(log, leaves)
    engine.dispose()
    return log.position == parts[-1].after


def test_waiting_ends_with_the_leaf_or_the_time(engine: Engine) -> None:
    log = DerivedLog(engine, cheap)
    one = leaf()
    assert log.wait_for_leaf(leaf_hash(one), 0.01) is None
    assert not log.wait_for_size(1, 0.01)
    log.take(blocks([one]))
    assert log.wait_for_leaf(leaf_hash(one), 0) == 0
    assert log.wait_for_size(1, 0)
    assert DerivedLog(engine, cheap).wait_for_leaf(leaf_hash(one), 0) == 0


def test_the_follower_derives_what_its_peer_shows(
    engine: Engine, gateway: Gateway, follow: Callable[[DerivedLog], Follower]
) -> None:
    before = append(gateway, 5)
    log = DerivedLog(engine, cheap)
    follow(log)
    assert log.wait_for_size(5, 10)
    after = append(gateway, 5)
    assert log.wait_for_size(10, 10)
    holds(log, before + after)


def test_the_follower_goes_on_after_its_peer_was_away(
    fabric: Network, engine: Engine, gateway: Gateway, follow: Callable[[DerivedLog], Follower]
) -> None:
    log = DerivedLog(engine, cheap)
    follower = follow(log)
    leaves = append(gateway, 2)
    assert log.wait_for_size(2, 10)
    peer = fabric.peers[OWN]
    peer.switch(up=False)
    peer.switch(up=True)
    peer.faults["Block"].append(Fault(grpc.StatusCode.UNAVAILABLE))
    leaves += append(gateway, 3)
    assert log.wait_for_size(5, 20)
    holds(log, leaves)
    follower.stop()
    leaves += append(gateway, 2)
    again = DerivedLog(engine, cheap)
    follow(again)
    assert again.wait_for_size(7, 10)
    holds(again, leaves)
    assert follower.fault is None


def test_a_peer_with_another_ledger_stops_the_follower_for_good(
    fabric: Network, engine: Engine, gateway: Gateway, follow: Callable[[DerivedLog], Follower]
) -> None:
    log = DerivedLog(engine, cheap)
    first = follow(log)
    append(gateway)
    assert log.wait_for_size(1, 10)
    first.stop()
    fabric.peers[OWN].blocks[-1].header.previous_hash = b"\0" * 32
    again = DerivedLog(engine, cheap)
    with writing(engine) as connection:
        TreeStore(LOG).put_head(connection, BLOCK, block_head(1, again.position.last or b"", 1))
    again.load()
    second = follow(again)
    second._thread.join(10)
    assert second.fault is not None
    assert "does not follow" in str(second.fault)
    assert again.size == 1


class Faulty:
    """A stream that ends with an error of this program, such as a bug would raise."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def open(self, first: int) -> Faulty:
        del first
        return self

    def cancel(self) -> None:
        """Nothing is under way."""

    def blocks(self, call: Faulty) -> Iterator[Any]:
        del call
        self.ended.set()
        raise KeyError("bug")
        yield


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_stream_that_fails_in_this_program_is_tried_again_and_can_be_stopped(engine: Engine) -> None:
    stream = Faulty()
    follower = Follower(DerivedLog(engine, cheap), stream, CHANNEL, CHAINCODE)  # type: ignore[arg-type]
    follower.start()
    for _ in range(2):
        assert stream.ended.wait(5)
        stream.ended.clear()
    stopping = threading.Thread(target=follower.stop, daemon=True)
    stopping.start()
    stopping.join(5)
    assert not stopping.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_of_this_program_is_a_fault(
    engine: Engine, gateway: Gateway, follow: Callable[[DerivedLog], Follower]
) -> None:
    def bug(*_: Any) -> None:
        raise KeyError("bug")

    follower = follow(DerivedLog(engine, bug))
    append(gateway)
    follower._thread.join(10)
    assert "not read any more" in str(follower.fault)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(common_pb2.NOT_FOUND, "snapshot"), (common_pb2.FORBIDDEN, "client certificate"), (999, "status 999")],
)
def test_a_peer_that_does_not_deliver_says_why(
    fabric: Network, profile: ConnectionProfile, channel: grpc.Channel, status: int, remedy: str
) -> None:
    stream = BlockStream(profile, FabricIdentity.of(profile, fabric.clock), channel)
    answer = events_pb2.DeliverResponse(status=status)
    with pytest.raises(LogError, match=remedy):
        next(stream.blocks(iter([answer])))


def test_a_disk_that_has_changed_a_tile_accuses_nobody(engine: Engine) -> None:
    leaves = [leaf() for _ in range(3)]
    DerivedLog(engine, cheap).take(blocks(leaves))
    log = DerivedLog(engine, cheap)
    with writing(engine) as connection:
        tile = connection.execute(LOG.tile.select()).one()
        connection.execute(update(LOG.tile).values(hashes=b"\0" * len(tile.hashes)))
    log._stored._tiles._kept.clear()
    with pytest.raises(LogError):
        log.root_at(2)
    witness = DerivedWitness(
        COSIGNERS[0],
        [LOG_KEY.verifier],
        MemoryWitnessStore(),
        own=LOG_KEY.verifier,
        derived=log,
        fault=lambda: None,
    )
    status, _, _ = witness.add_checkpoint(b"old 0\n\n" + signed_head(leaves[:2]).format(), MOMENT)
    assert status == 503
