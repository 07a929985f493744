"""A quarantined log recovers from a mirror: backup restored, quarantine, recovery, and the log goes on."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest

from ledger.audit.mirror import update_mirror
from ledger.audit.source import FolderSource
from ledger.audit.verify import verify_folder
from ledger.errors import ForkError, LogError, QuarantineError, VerificationError
from ledger.formats.note import NoteSignature
from ledger.replica.replica import Replica
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.sequencer.recovery import Recovered, recover_log
from ledger.storage.database import LOG as TABLES
from ledger.storage.database import create_tables, open_database
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.contract.contract_cases import NETWORK
from tests.ledger.sequencer.log_cases import LOG, POLICY, World, cheap, cosigned, leaf
from tests.ledger.storage.flipped_bits import hidings

PINNED = POLICY.format().encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def submit(world: World, count: int, name: str = "log") -> list[bytes]:
    """Start the log, submit some entries, stop it."""
    log = world.started(name)
    leaves = [leaf() for _ in range(count)]
    for one in leaves:
        log.submit(one).verify(POLICY, one)
    log.stop()
    return leaves


def restored(world: World, before: int, after: int) -> list[bytes]:
    """A log whose database "old" is a backup of ``after`` entries ago; returns all its leaves."""
    leaves = submit(world, before)
    shutil.copy(world.folder / "log.db", world.folder / "old.db")
    leaves += submit(world, after)
    update_mirror(FolderSource(world.public), world.folder / "mirror", policy=PINNED)
    return leaves


class Kept:
    """Evidence in a list."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, bytes, bytes]] = []

    def __call__(self, what: str, kept: bytes, offered: bytes) -> str:
        self.pairs.append((what, kept, offered))
        return "evidence"


def recover(world: World, kept: Kept, name: str = "old", copy: str = "mirror", **more: bytes) -> Recovered:
    source = FolderSource(world.folder / copy)
    return recover_log(world.engine(name), source, POLICY, kept, apply=cheap, **more)


def rows(world: World, name: str) -> dict[str, list[object]]:
    """Everything in the log's tables but notes and roots of heads: the staged one has that of the signed."""
    with world.engine(name).connect() as connection:
        return {
            table.name: sorted(
                tuple(value for column, value in row._mapping.items() if column not in ("note", "root"))
                for row in connection.execute(table.select())
            )
            for table in (TABLES.entry, TABLES.tile, TABLES.state, TABLES.head)
        }


def test_backup_restored_quarantine_recovery_and_the_log_goes_on(world: World) -> None:
    before, after = 3, 5
    leaves = restored(world, before, after)
    old = world.sequencer("old")
    old.start()
    with pytest.raises(QuarantineError):
        old.wait_ready(5)
    old.stop()
    found = recover(world, Kept())
    assert (found.size, found.before, found.dropped, found.fork) == (before + after, before, (), None)
    more = submit(world, 2, "old")
    world.close()
    assert verify_folder(world.public, policy=PINNED, apply=cheap).size == before + after + 2
    again = world.sequencer("old")
    assert again.read(0, 1000) == []
    again.start()
    again.wait_ready(5)
    assert again.read(0, 1000) == leaves + more
    again.submit(leaves[0]).verify(POLICY, leaves[0])
    world.close()


class Swapping(FolderSource):
    """Gives the checkpoint with another signer's line added once it has been verified."""

    asked = 0

    def fetch(self, name: str, limit: int) -> bytes:
        data = super().fetch(name, limit)
        self.asked += name == "checkpoint"
        line = NoteSignature(POLICY.origin, b"\0\0\0\1", bytes(64)).line().encode()
        return data.replace(b"\n\n", b"\n\n" + line, 1) if name == "checkpoint" and self.asked > 1 else data


def test_lines_put_beside_the_logs_while_it_is_read_are_not_published(world: World) -> None:
    """A log that published them would verify nowhere."""
    restored(world, 3, 2)
    recover_log(world.engine("old"), Swapping(world.folder / "mirror"), POLICY, Kept(), apply=cheap)
    (world.public / "checkpoint").unlink()
    world.started("old")
    end = time.monotonic() + 5
    while not (world.public / "checkpoint").is_file():
        assert time.monotonic() < end
        time.sleep(0.01)
    world.close()
    assert verify_folder(world.public, policy=PINNED, apply=cheap).size == 5


def test_the_tables_are_those_the_log_had(world: World) -> None:
    leaves = [leaf() for _ in range(600)]
    log = OrderedLog(world.engine("log"), LOG, cheap)
    for place in range(0, 600, 200):
        log.stage([Candidate.parse(one) for one in leaves[place : place + 200]], lambda refusal: None)
        log.order()
    Growing(world.folder / "mirror").add(*leaves)
    recover(world, Kept(), "new")
    assert rows(world, "new") == rows(world, "log")


def test_a_lost_database_is_made_anew(world: World) -> None:
    restored(world, 2, 3)
    assert recover(world, Kept(), "empty").before == 0
    submit(world, 1, "empty")
    assert verify_folder(world.public, policy=PINNED, apply=cheap).size == 6


def test_staged_entries_are_dropped_and_listed_unless_the_copy_has_them(world: World) -> None:
    leaves = restored(world, 2, 3)
    lost = leaf()
    twin = OrderedLog(world.engine("old"), LOG, cheap)
    twin.stage([Candidate.parse(leaves[3]), Candidate.parse(lost)], lambda refusal: None)
    [dropped] = recover(world, Kept()).dropped
    assert (dropped.leaf, dropped.type, dropped.position) == (lost, "incident", 3)
    submit(world, 1, "old")


def test_a_copy_that_is_too_old_is_refused_and_nothing_changes(world: World) -> None:
    submit(world, 2)
    update_mirror(FolderSource(world.public), world.folder / "mirror", policy=PINNED)
    submit(world, 1)
    before = rows(world, "log")
    with pytest.raises(LogError, match="newer copy"):
        recover(world, Kept(), "log")
    assert rows(world, "log") == before
    note = (world.public / "checkpoint").read_bytes()
    with pytest.raises(LogError, match="published here has 3"):
        recover(world, Kept(), "empty", published=note)


def test_a_copy_of_another_tree_is_refused_and_both_notes_are_kept(world: World) -> None:
    restored(world, 2, 3)
    twin = OrderedLog(world.engine("twin"), LOG, cheap)
    twin.stage([Candidate.parse(leaf())], lambda refusal: None)
    head = twin.order()
    before, kept = rows(world, "twin"), Kept()
    with pytest.raises(ForkError, match="signed two trees"):
        recover(world, kept, "twin")
    assert rows(world, "twin") == before
    [(_, own, offered)] = kept.pairs
    assert own == head.note
    assert POLICY.verify_checkpoint(offered).checkpoint.size == 5


def test_a_copy_that_does_not_verify_is_refused(world: World) -> None:
    restored(world, 2, 3)
    before = rows(world, "old")
    file = next((world.folder / "mirror").rglob("tile/entries/000.p/5"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(VerificationError):
        recover(world, Kept())
    with pytest.raises(VerificationError, match="genesis"):
        recover(world, Kept(), copy="public", genesis_digest=bytes(32))
    assert rows(world, "old") == before


def replica(world: World, name: str, leaves: list[bytes]) -> Replica:
    made = Replica(world.engine(name), NETWORK, None, POLICY, apply=cheap)
    made.extend(leaves, cosigned(leaves))
    return made


def test_a_replica_behind_stays_one_ahead_stops_the_recovery(world: World) -> None:
    leaves = restored(world, 2, 3)
    replica(world, "old", leaves[:4])
    recover(world, Kept())
    assert Replica(world.engine("old"), NETWORK, None, POLICY, apply=cheap).size == 4
    replica(world, "ahead", [*leaves, leaf()])
    with pytest.raises(LogError, match="replica has 6"):
        recover(world, Kept(), "ahead")


def test_a_replica_of_another_tree_is_emptied_and_its_checkpoint_kept(world: World) -> None:
    leaves = restored(world, 2, 3)
    other = [leaf() for _ in range(4)]
    replica(world, "old", other)
    kept = Kept()
    found = recover(world, kept)
    assert found.fork == "evidence"
    assert POLICY.verify_checkpoint(kept.pairs[0][1]).checkpoint.size == 4
    again = Replica(world.engine("old"), NETWORK, None, POLICY, apply=cheap)
    assert again.size == 0
    again.extend(leaves, cosigned(leaves))


def test_a_witness_that_has_seen_more_than_the_copy_keeps_the_log_in_quarantine(world: World) -> None:
    restored(world, 2, 1)
    submit(world, 1)
    recover(world, Kept())
    log = world.sequencer("old")
    log.start()
    with pytest.raises(QuarantineError, match="has seen 4 entries"):
        log.wait_ready(5)
    log.stop()


@pytest.mark.postgres
def test_recovery_in_postgresql(world: World, postgres_url: str) -> None:
    leaves = [leaf() for _ in range(300)]
    Growing(world.folder / "mirror").add(*leaves)
    engine = open_database(postgres_url)
    create_tables(engine)
    old = OrderedLog(engine, LOG, cheap)
    old.stage([Candidate.parse(one) for one in leaves[:3]], lambda refusal: None)
    old.order()
    found = recover_log(engine, FolderSource(world.folder / "mirror"), POLICY, Kept(), apply=cheap)
    assert (found.size, found.before) == (300, 3)
    again = OrderedLog(engine, LOG, cheap)
    assert (again.head.size, again.pending, again.leaves(0, 300)) == (300, 0, leaves)
    engine.dispose()


def test_void_entries_keep_their_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    log = Growing(world.folder / "mirror")
    leaves = [leaf(), leaf("refuse"), b"no entry", leaf()]
    log.add(*leaves)
    recover(world, Kept(), "new")
    again = OrderedLog(world.engine("new"), LOG, cheap)
    assert again.leaves(0, 10) == leaves
    assert again.head.size == 4
    assert again.pending == 0


@pytest.mark.parametrize("head", ["ordered", "staged"])
def test_a_log_whose_head_the_disk_has_hidden_is_recovered(world: World, head: str) -> None:
    leaves = restored(world, 2, 3)
    world.close()
    world.engine("log").dispose()
    for _ in itertools.islice(hidings(world.folder / "log.db", "log_head", "name", head), 0, None, 20):
        with pytest.raises(QuarantineError, match="mirror"):
            world.sequencer("log")
        assert recover(world, Kept(), "log").size == len(leaves)
        again = OrderedLog(world.engine("log"), LOG, cheap)
        assert again.leaves(0, 10) == leaves
