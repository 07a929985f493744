"""What a disk may do to a node: flipped bits, zeroed and missing pages, a full file system.

The node continues correctly, derives again what follows from the rest, or refuses with an error. It never
signs a root that is not that of the entries, never accepts an entry a second time, and never accuses the log
of a fork that its own disk has made up.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from ledger.audit.verify import verify_folder
from ledger.entries.entry import parse
from ledger.errors import (
    EntryRefusedError,
    ForkError,
    LedgerError,
    LogError,
    LogUnavailableError,
    QuorumError,
    VerificationError,
)
from ledger.merkle import leaf_hash
from ledger.sequencer.ordering import OrderedLog
from ledger.storage.database import check
from ledger.witness import AddCheckpoint
from tests.faults.log_run import Place, lines, submit
from tests.ledger.sequencer.log_cases import LOG, MOMENT, POLICY, cheap, cosigned, leaf, tree_of

ENTRIES = 300
DAMAGES = 8
"""Damages a seed and file."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A log of some hundred entries, with witnesses and a replica, and its entries."""
    folder = tmp_path_factory.mktemp("whole")
    place = Place(folder)
    log = place.started()
    place.fill(log, ENTRIES)
    leaves = log.read(0, ENTRIES)
    assert len(leaves) == ENTRIES
    place.close()
    return folder, leaves


def damage(path: Path, chance: random.Random) -> None:
    """Flip bits, zero a sector, or cut the file."""
    data = bytearray(path.read_bytes())
    kind = chance.choice(["flip"] * 6 + ["zero", "cut"])
    if kind == "flip":
        for _ in range(chance.choice([1, 1, 1, 8])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "zero":
        begin = chance.randrange(0, len(data), 512)
        data[begin : begin + 512] = bytes(len(data[begin : begin + 512]))
    else:
        del data[chance.randrange(0, len(data), 512) :]
    path.write_bytes(data)


@pytest.mark.parametrize("nth", range(DAMAGES))
def test_a_damaged_log_signs_nothing_wrong(memory, whole, fault_seed, nth):
    folder, leaves = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    damage(memory / "log.db", random.Random(f"log {fault_seed} {nth}"))
    new = leaf()
    rival = leaf("another", id=parse(leaves[nth]).id)
    place = None
    try:
        place = Place(memory)
        if check(place.engine("log")) is None:
            log = place.started()
            receipt = submit(log, new, tries=2)
            receipt.verify(POLICY, new)
            again = submit(log, leaves[nth], tries=2)
            assert again.index == nth
            assert log.read(0, ENTRIES) == leaves
            with pytest.raises(LedgerError):
                submit(log, rival, tries=2)
    except ForkError:
        raise
    except (LedgerError, SQLAlchemyError):
        pass  # refused
    finally:
        if place is not None:
            place.close()
    tree = tree_of(leaves)
    roots = {ENTRIES: tree.root()}
    tree.append(leaf_hash(new))
    roots[tree.size] = tree.root()
    for (note,) in lines(memory / "shown")[len(lines(folder / "shown")) :]:
        _, head = POLICY.verify_log(bytes.fromhex(note))
        assert head.root == roots[head.size]


@pytest.mark.parametrize("nth", range(DAMAGES))
def test_a_damaged_replica_is_right_or_refuses(memory, whole, fault_seed, nth):
    folder, leaves = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    damage(memory / "node.db", random.Random(f"replica {fault_seed} {nth}"))
    place = None
    try:
        place = Place(memory)
        if check(place.engine("node")) is None:
            log = place.started()
            submit(log, leaf())
            place.follow(log)
            for index in random.Random(nth).sample(range(ENTRIES), 40):
                name = parse(leaves[index]).id
                assert place.replica.state.get(f"id/{name}") is not None
                assert place.replica.leaf(index) == leaves[index]
                assert place.replica.find(name) in {index, None}
                place.replica.receipt(index).verify(POLICY, leaves[index])
    except ForkError:
        raise
    except (LedgerError, SQLAlchemyError):
        pass  # refused
    finally:
        if place is not None:
            place.close()


@pytest.mark.parametrize("nth", range(DAMAGES))
def test_a_damaged_witness_cosigns_nothing_wrong(memory, whole, fault_seed, nth):
    folder, leaves = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    damage(memory / "witnesses.db", random.Random(f"witness {fault_seed} {nth}"))
    other = [*leaves[:-1], leaf()]
    try:
        place = Place(memory)
    except SQLAlchemyError:
        return  # refused
    for client in place.world.clients.values():
        body = AddCheckpoint(ENTRIES, (), cosigned(other, 0)).format()
        try:
            status, _ = client.add_checkpoint(body)
            assert status in {409, 422}
            assert client.latest() is not None
        except (LedgerError, ConnectionResetError):
            pass  # refused, or does not answer
    place.close()


@pytest.mark.parametrize(
    "name", ["policy", "checkpoint", "tile/0/001.p/44", "tile/entries/001.p/44", "tile/0/000"]
)
@pytest.mark.parametrize("kind", ["flip", "cut", "gone"])
def test_the_public_folder_is_written_anew(memory, whole, name, kind):
    folder, _ = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    path = memory / "public" / name
    data = path.read_bytes()
    if kind == "gone":
        path.unlink()
    else:
        at = len(data) // 2
        path.write_bytes(data[:at] + (bytes([data[at] ^ 1]) + data[at + 1 :] if kind == "flip" else b""))
    with pytest.raises((LedgerError, OSError)):
        verify_folder(memory / "public", policy=POLICY.format().encode(), apply=cheap)
    place = Place(memory)
    submit(place.started(), leaf())
    place.close()
    assert verify_folder(memory / "public", policy=POLICY.format().encode(), apply=cheap).size == ENTRIES + 1


def test_an_older_tile_is_written_anew_when_the_folder_is_removed(memory):
    place = Place(memory)
    place.fill(place.started(), 530)
    place.close()
    tile = memory / "public/tile/entries/000"
    tile.write_bytes(tile.read_bytes()[::-1])
    with pytest.raises(VerificationError, match="tile/entries/000"):
        verify_folder(memory / "public", apply=cheap)
    shutil.rmtree(memory / "public")
    place = Place(memory)
    submit(place.started(), leaf())
    place.close()
    assert verify_folder(memory / "public", apply=cheap).size == 531


@pytest.fixture
def small(tmp_path):
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system cannot be mounted here: {error}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("full", ["database", "public folder"])
def test_a_full_disk_is_got_over(memory, small, full, fault_seed):
    place = Place(memory)
    if full == "database":
        place.url = f"sqlite:///{small / 'log.db'}"
    else:
        place.world.public = small / "public"
    log = place.started()
    chance = random.Random(fault_seed)
    ballast = small / "ballast"
    ballast.write_bytes(bytes(300_000))
    leaves = [leaf("x" * chance.randrange(20_000, 30_000)) for _ in range(60)]
    done, errors = [], []
    for one in leaves:
        try:
            log.submit(one).verify(POLICY, one)
            done.append(one)
        except (QuorumError, LogUnavailableError) as error:
            errors.append(error)
            break
    assert done
    assert "disk" in str(errors[0]) or "database" in str(errors[0])
    ballast.unlink()
    more = leaves[len(done) : len(done) + 3]
    receipts = [submit(log, one) for one in more]
    ordered = log.read(0, log.size)
    assert errors
    assert ordered == [*done, *more]
    for one, receipt in zip(more, receipts, strict=True):
        receipt.verify(POLICY, one)
    place.close()
    assert verify_folder(place.world.public, apply=cheap).size == len(ordered)


def test_a_state_that_changed_on_the_disk_decides_nothing(memory, whole):
    """The same id twice is refused though the disk has forgotten the first."""
    folder, leaves = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    name = parse(leaves[7]).id
    place = Place(memory)
    engine = place.engine("log")
    with engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM log_state WHERE key = ?", (f"id/{name}",))
        connection.commit()
    log = place.started()
    with pytest.raises(EntryRefusedError, match="id_used"):
        log.submit(leaf("another", id=name))
    place.close()


def test_a_log_whose_entries_changed_refuses_with_the_remedy(memory, whole):
    folder, _ = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    place = Place(memory)
    with place.engine("log").connect() as connection:
        connection.exec_driver_sql("UPDATE log_entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE position = 3")
        connection.exec_driver_sql("DELETE FROM log_tile")
        connection.commit()
    with pytest.raises(LogError, match="mirror"):
        place.started()
    place.close()


def test_an_entry_that_changed_is_given_to_nobody(memory, whole):
    folder, _ = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    place = Place(memory)
    with place.engine("log").connect() as connection:
        connection.exec_driver_sql("UPDATE log_entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE position = 3")
        connection.commit()
    with pytest.raises(LogError, match="entry 3 has changed"):
        place.started()
    with pytest.raises(LogError, match="entry 3 has changed"):
        OrderedLog(place.engine("log"), LOG, cheap).leaves(0, 10)
    place.close()


def test_an_emptied_replica_still_holds_what_it_had_verified(memory, whole):
    """A damaged disk is no way to be shown another history."""
    folder, leaves = whole
    shutil.copytree(folder, memory, dirs_exist_ok=True)
    place = Place(memory)
    with place.engine("node").connect() as connection:
        connection.exec_driver_sql(
            "UPDATE replica_state SET value = CAST('{}' AS BLOB) WHERE key LIKE 'id/%'"
        )
        connection.commit()
    other = [*leaves[:-1], leaf(), leaf()]
    assert place.replica.size == 0
    with pytest.raises(LogError, match="has verified 300"):
        place.replica.extend(other[:200], cosigned(other[:200]))
    with pytest.raises(ForkError) as caught:
        place.replica.extend(other, cosigned(other))
    first, second = caught.value.notes
    assert POLICY.verify_log(first)[1].size == ENTRIES
    assert POLICY.verify_log(second)[1].size == ENTRIES + 1
    assert place.replica.extend(leaves, cosigned(leaves, time=MOMENT + 1)).checkpoint.size == ENTRIES
    place.close()
