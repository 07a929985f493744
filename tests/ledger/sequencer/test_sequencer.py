"""The embedded log with real witnesses in memory: order, finality, quorum, restart, quarantine."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from ledger import contract
from ledger.audit.verify import verify_folder
from ledger.contract.view import View
from ledger.entries import bodies
from ledger.entries.entry import draft, parse, signed
from ledger.errors import (
    EntryError,
    EntryRefusedError,
    LogError,
    LogUnavailableError,
    MerkleError,
    QuarantineError,
    QuorumError,
    ReceiptError,
    WitnessError,
)
from ledger.formats.note import Note, NoteSigner
from ledger.merkle import leaf_hash
from ledger.replica.replica import Replica
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.sequencer.sequencer import Sequencer
from ledger.storage.database import LOG as LOG_TABLES
from ledger.storage.database import REFUSAL, create_tables, open_database, writing
from tests.ledger.contract.contract_cases import NETWORK, NOW, digest, founded, ready, signer
from tests.ledger.sequencer.log_cases import (
    COSIGNERS,
    LOG,
    MOMENT,
    POLICY,
    World,
    admit_all,
    cheap,
    leaf,
    real_leaves,
    wait_for,
)


def test_an_entry_becomes_final_with_a_receipt(world):
    log = world.started()
    one = leaf()
    receipt = log.submit(one)
    assert receipt.verify(POLICY, one).checkpoint.size == 1
    assert (log.size, log.read(0, 10)) == (1, [one])
    assert POLICY.verify_checkpoint(log.head).checkpoint.size == 1
    log.receipt(0).verify(POLICY, one)
    with pytest.raises(MerkleError):
        log.receipt(1)
    assert world.steps == [
        "batch-taken",
        "staging",
        "staged",
        "reread",
        "signed",
        "ordering",
        "ordered",
        "asking",
        "cosigned",
        "tiles",
        "published",
        "final",
    ]
    assert log.state.get(f"id/{parse(one).id}")["now"] == NOW


def test_the_same_bytes_give_the_same_entry(world):
    log = world.started()
    one = leaf()
    first = log.submit(one)
    with ThreadPoolExecutor(8) as threads:
        again = list(threads.map(log.submit, [one] * 16))
    assert {receipt.index for receipt in again} == {first.index} == {0}
    assert log.size == 1


def test_many_submitters_share_batches_and_every_receipt_holds(world):
    log = world.started()
    leaves = [leaf() for _ in range(600)]
    with ThreadPoolExecutor(300) as threads:
        receipts = list(threads.map(log.submit, leaves))
    assert sorted(receipt.index for receipt in receipts) == list(range(600))
    for one, receipt in list(zip(leaves, receipts, strict=True))[::20]:
        receipt.verify(POLICY, one)
    assert world.steps.count("ordered") < 100
    assert {log.read(0, 600)[receipt.index] for receipt in receipts} == set(leaves)
    found = verify_folder(world.public, policy=POLICY.format().encode(), apply=cheap)
    assert (found.size, found.voids) == (600, ())


def test_a_batch_is_never_larger_than_256(world):
    log = world.sequencer()
    leaves = [leaf() for _ in range(300)]
    with ThreadPoolExecutor(300) as threads:
        futures = [threads.submit(log.submit, one) for one in leaves]
        wait_for(lambda: len(log._submissions._queue) == 300)
        log.start()
        sizes = {
            future.result().verify(POLICY, one).checkpoint.size
            for future, one in zip(futures, leaves, strict=True)
        }
    assert sizes == {256, 300}


def test_refusals_reach_the_submitter_and_are_not_ordered(world):
    log = world.started()
    one = leaf()
    log.submit(one)
    with pytest.raises(EntryRefusedError) as caught:
        log.submit(leaf("refuse"))
    assert (caught.value.code, caught.value.remedy) == ("bad_entry", "do not send this one")
    with pytest.raises(EntryRefusedError, match="id_used"):
        log.submit(leaf("y", id=parse(one).id))
    with pytest.raises(EntryError):
        log.submit(b"no entry")
    assert log.size == 1


def test_two_entries_of_one_batch_see_each_other(world):
    log = world.sequencer()
    rivals = [leaf(code, id="ab" * 16) for code in "abcdef"]
    with ThreadPoolExecutor(6) as threads:
        futures = [threads.submit(log.submit, one) for one in rivals]
        wait_for(lambda: len(log._submissions._queue) == 6)
        log.start()
        errors = [future.exception() for future in futures]
    assert sum(error is None for error in errors) == 1
    assert sum(isinstance(error, EntryRefusedError) for error in errors) == 5
    assert log.size == 1


@pytest.mark.parametrize("seconds", [-121, 121])
def test_an_entry_off_the_logs_clock_is_refused(world, seconds):
    world.now = MOMENT + seconds
    log = world.started()
    with pytest.raises(EntryRefusedError, match="clock"):
        log.submit(leaf())
    world.now = MOMENT + (120 if seconds > 0 else -120)
    log.submit(leaf())


def test_a_missing_quorum_is_named_and_made_up_for(world):
    log = world.started()
    log.submit(leaf())
    down = world.switch(3, up=False)
    one, two = leaf(), leaf()
    with pytest.raises(QuorumError) as caught:
        log.submit(one)
    assert list(caught.value.missing) == down
    assert log.quorum_error is not None
    assert list(log.quorum_error.missing) == down
    assert log.size == 1
    for again in (one, two):
        with pytest.raises(QuorumError):
            log.submit(again)
    world.switch(3, up=True)
    wait_for(lambda: log.size == 2)
    assert log.submit(one).index == 1
    assert log.submit(two).index == 2
    assert log.quorum_error is None
    assert verify_folder(world.public, apply=cheap).size == 3


def test_a_short_log_still_serves_a_folder_that_verifies(world):
    log = world.started()
    log.submit(leaf())
    world.switch(4, up=False)
    with pytest.raises(QuorumError):
        log.submit(leaf())
    assert verify_folder(world.public, apply=cheap).size == 1


def test_late_witnesses_catch_up(world):
    down = world.switch(2, up=False)
    log = world.started()
    for _ in range(3):
        log.submit(leaf())
    world.switch(2, up=True)
    log.submit(leaf())
    wait_for(lambda: all(world.clients[name].latest() is not None for name in down))


def test_an_idle_head_gets_fresh_cosignatures_over_the_same_text(world):
    log = world.started(refresh=0.05)
    log.submit(leaf())
    before = log.head
    world.now += 100
    wait_for(lambda: POLICY.verify_checkpoint(log.head).quorum_time(4) == MOMENT + 100)
    assert Note.parse(log.head).text == Note.parse(before).text
    world.now -= 50
    time.sleep(0.2)
    assert min(POLICY.verify_checkpoint(log.head).cosigned.values()) >= MOMENT
    assert POLICY.verify_checkpoint(log.head).quorum_time(4) == MOMENT + 100


def test_a_restart_goes_on_where_it_was(world):
    log = world.started()
    leaves = [leaf() for _ in range(5)]
    first = [log.submit(one) for one in leaves]
    log.stop()
    with pytest.raises(LogUnavailableError):
        log.submit(leaf())
    log = world.started()
    wait_for(lambda: log.size == 5)
    assert log.submit(leaves[2]).index == first[2].index
    assert log.submit(leaf()).index == 5
    with pytest.raises(EntryRefusedError, match="id_used"):
        log.submit(leaf("y", id=parse(leaves[1]).id))


@pytest.mark.parametrize("step", ["staged", "ordered"])
def test_what_was_kept_before_a_stop_becomes_final_after_it(world, step):
    engine = world.engine("log")
    staged = OrderedLog(engine, LOG, cheap)
    leaves = [leaf() for _ in range(3)]
    staged.stage([Candidate.parse(one) for one in leaves], lambda refusal: None)
    if step == "ordered":
        staged.order()
    log = world.started()
    wait_for(lambda: log.size == 3)
    assert log.submit(leaves[1]).index == 1
    assert log.read(0, 9) == leaves
    assert verify_folder(world.public, apply=cheap).size == 3


def test_a_flipped_bit_is_never_signed(world):
    engine = world.engine("log")
    staged = OrderedLog(engine, LOG, cheap)
    one = leaf()
    staged.stage([Candidate.parse(one)], lambda refusal: None)
    changed = one[:50] + bytes([one[50] ^ 1]) + one[51:]
    with writing(engine) as connection:
        connection.execute(update(LOG_TABLES.entry).values(leaf=changed))
    log = world.sequencer()
    log.start()
    wait_for(lambda: log.quarantined is not None)
    with pytest.raises(QuarantineError, match="changed since it was staged"):
        log.submit(leaf())
    assert all(client.latest() is None for client in world.clients.values())


def test_a_missing_staged_leaf_is_never_signed(world):
    engine = world.engine("log")
    staged = OrderedLog(engine, LOG, cheap)
    staged.stage([Candidate.parse(leaf()), Candidate.parse(leaf())], lambda refusal: None)
    with writing(engine) as connection:
        connection.execute(LOG_TABLES.entry.delete().where(LOG_TABLES.entry.c.position == 1))
    with pytest.raises(QuarantineError):
        staged.order()


def test_two_writers_of_one_database_cannot_both_order(world):
    engine = world.engine("log")
    one, two = OrderedLog(engine, LOG, cheap), OrderedLog(engine, LOG, cheap)
    one.stage([Candidate.parse(leaf())], lambda refusal: None)
    with pytest.raises(LogError):
        two.stage([Candidate.parse(leaf())], lambda refusal: None)
    two.load()
    one.order()
    with pytest.raises(LogError):
        two.order()


def test_wrong_keys_and_unknown_witnesses_are_refused(world):
    with pytest.raises(LogError):
        Sequencer(
            world.engine("log"),
            LogParts(NoteSigner("x", signer("x")), POLICY, world.clients, world.public),
            lambda: MOMENT,
        )
    world.clients["stranger"] = world.clients[COSIGNERS[0].verifier.name]
    with pytest.raises(WitnessError):
        world.sequencer()


def test_a_full_disk_is_said_and_got_over(world):
    log = world.started()
    log.submit(leaf())
    world.public.rename(world.folder / "away")
    world.public.write_text("in the way")
    one = leaf()
    with pytest.raises(QuorumError, match="disk"):
        log.submit(one)
    world.public.unlink()
    (world.folder / "away").rename(world.public)
    wait_for(lambda: log.size == 2)
    assert log.submit(one).index == 1
    assert verify_folder(world.public, apply=cheap).size == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_the_contract_leaves_nobody_waiting(tmp_path):
    def faulty(state, entry, now):
        raise ZeroDivisionError

    world = World(tmp_path, faulty)
    log = world.started()
    with pytest.raises(QuarantineError, match="has failed"):
        log.submit(leaf())
    world.close()


def test_partial_tiles_are_removed_when_superseded_and_the_log_stops(world):
    log = world.started()
    for _ in range(3):
        log.submit(leaf())
    world.close()
    names = sorted(str(file.relative_to(world.public)) for file in world.public.rglob("*") if file.is_file())
    assert names == ["checkpoint", "policy", "tile/0/000.p/3", "tile/entries/000.p/3"]
    (world.public / "tile/0/000.p/2").write_bytes(b"left over")
    log.stop()
    world.started().stop()
    assert not (world.public / "tile/0/000.p/2").exists()
    assert not list(world.folder.glob(".public.part/*"))


def test_the_real_contract_orders_a_network_and_records_a_refused_intent(tmp_path):
    net = ready()
    world = World(tmp_path, contract.apply)

    def refused(salted, code):
        body = bodies.query_refused(salted.hex(), code)
        return signed(
            draft(NETWORK, "query.refused", digest("r", code)[:32], NOW, body), signer("seq")
        ).leaf()

    log = world.started(refusal_entry=refused)
    leaves = real_leaves(net)
    for one in leaves:
        log.submit(one)
    assert View(log.state).network() == net.view.network()
    good, bad = net.intent(1), net.intent(2, slot=99).leaf()
    with pytest.raises(EntryRefusedError, match="slot_range"):
        log.submit(bad)
    log.submit(good.leaf())
    with pytest.raises(EntryRefusedError):
        log.submit(net.intent(3).leaf())
    record = parse(log.read(len(leaves), len(leaves) + 1)[0])
    with world.engine("log").connect() as connection:
        row = connection.execute(select(REFUSAL)).one()
    assert (record.type, record.body["code"]) == ("query.refused", "slot_range")
    assert hashlib.sha256(row.salt + bad).hexdigest() == record.body["entry"] == row.digest.hex()
    assert row.leaf_hash == leaf_hash(bad)
    assert log.size == len(leaves) + 2
    world.close()
    assert verify_folder(world.public).voids == ()


def test_a_dishonest_sequencers_entry_is_void_for_everybody(tmp_path):
    net = founded()
    world = World(tmp_path, admit_all)
    log = world.started()
    leaves = real_leaves(net)
    for one in leaves:
        log.submit(one)
    stolen = net.entry("dataset.publish", "housing", net.publish_body("tax.income")).leaf()
    receipt = log.submit(stolen)
    receipt.verify(POLICY, stolen)
    replica = Replica(world.engine("node"), NETWORK, hashlib.sha256(leaves[0]).digest(), POLICY)
    replica.extend(log.read(0, log.size), log.head)
    assert replica.voids() == [(len(leaves), "not_owner")]
    assert View(replica.state).publication("tax.income", "2026-11.1") is None
    found = verify_folder(world.public)
    assert found.voids == ((len(leaves), "not_owner"),)
    world.close()


@pytest.mark.postgres
def test_a_log_in_postgresql(tmp_path, postgres_url):
    world = World(tmp_path)
    engine = open_database(postgres_url)
    create_tables(engine)
    world.engine = lambda name: engine
    log = world.started()
    leaves = [leaf() for _ in range(40)]
    with ThreadPoolExecutor(20) as threads:
        receipts = list(threads.map(log.submit, leaves))
    for one, receipt in zip(leaves, receipts, strict=True):
        receipt.verify(POLICY, one)
    log.stop()
    log = world.started()
    assert log.submit(leaves[7]).index == receipts[7].index
    world.close()
    assert verify_folder(world.public, apply=cheap).size == 40
    engine.dispose()


def test_it_appends_proves_reads_and_names_its_head(tmp_path):
    world = World(tmp_path)
    log = world.started()
    assert log.head is None
    one = leaf()
    receipt = log.submit(one)
    assert receipt.verify(POLICY, one).checkpoint.size == 1
    with pytest.raises(ReceiptError):
        receipt.verify(POLICY, leaf())
    assert log.read(0, 5) == [one]
    assert POLICY.verify_checkpoint(log.head).checkpoint.size == 1
    world.close()
