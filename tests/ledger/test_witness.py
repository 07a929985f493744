"""A witness: every status of tlog-witness, and that two requests at once cannot both pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from keys.signing import SigningKey
from ledger.errors import WitnessError
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint, verify_cosignature
from ledger.formats.note import Note, NoteSignature, NoteSigner
from ledger.merkle import EMPTY_ROOT, consistency_path, leaf_hash
from ledger.storage.database import WITNESS, check, create_tables, open_database, writing
from ledger.storage.witness_store import SqlWitnessStore
from ledger.witness import SIZE_TYPE, AddCheckpoint, MemoryWitnessStore, Witness, WitnessRecord
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, MOMENT, signed_head, some_leaves, tree_of

LEAVES = some_leaves(20)
TREE = tree_of(LEAVES)


@pytest.fixture(params=["memory", "sql"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryWitnessStore()
    engine = open_database(f"sqlite:///{tmp_path / 'witness.db'}")
    create_tables(engine)
    return SqlWitnessStore(engine)


@pytest.fixture
def witness(store):
    return Witness(COSIGNERS[0], [LOG.verifier], store)


def body(old: int, new: int, *, leaves: list[bytes] = LEAVES) -> bytes:
    path = tuple(consistency_path(old, new, tree_of(leaves)))
    return AddCheckpoint(old, path, signed_head(leaves[:new]).format()).format()


def cosign(witness: Witness, request: bytes, now: int = MOMENT) -> int:
    """The time of the cosignature that a good request gets."""
    status, answer, _ = witness.add_checkpoint(request, now)
    assert status == 200, answer
    line = NoteSignature.parse(answer.decode().removesuffix("\n"))
    text = Note.parse(AddCheckpoint.parse(request).note).text
    return verify_cosignature(text, line, witness.verifier)


def test_growing_trees_are_cosigned(witness):
    assert witness.latest(LOG.verifier.name) is None
    for old, new in ((0, 3), (3, 8), (8, 8), (8, 20)):
        assert cosign(witness, body(old, new)) == MOMENT
    kept = Note.parse(witness.latest(LOG.verifier.name))
    assert kept.text == signed_head(LEAVES).text
    assert [line.name for line in kept.signatures] == [LOG.verifier.name, COSIGNERS[0].verifier.name]


def test_the_empty_tree_is_cosigned_once_its_root_is_right(witness):
    good = sign_checkpoint(Checkpoint(LOG.verifier.name, 0, EMPTY_ROOT), LOG).format()
    bad = sign_checkpoint(Checkpoint(LOG.verifier.name, 0, leaf_hash(b"")), LOG).format()
    assert witness.add_checkpoint(AddCheckpoint(0, (), bad).format(), MOMENT)[0] == 409
    assert cosign(witness, AddCheckpoint(0, (), good).format()) == MOMENT


def test_the_time_never_goes_back(witness):
    assert cosign(witness, body(0, 3), MOMENT) == MOMENT
    assert cosign(witness, body(3, 3), MOMENT - 500) == MOMENT
    assert cosign(witness, body(3, 9), MOMENT + 7) == MOMENT + 7


def test_the_same_head_in_the_same_second_is_answered_without_a_write(store, monkeypatch):
    witness = Witness(COSIGNERS[0], [LOG.verifier], store)
    swaps = []
    swap = store.swap
    monkeypatch.setattr(store, "swap", lambda *record: swaps.append(record) or swap(*record))
    answers = [witness.add_checkpoint(request, MOMENT) for request in (body(0, 8), body(8, 8), body(8, 8))]
    assert answers[0] == answers[1] == answers[2]
    assert len(swaps) == 1
    assert witness.add_checkpoint(body(8, 8), MOMENT + 1) != answers[0]
    assert len(swaps) == 2


def test_a_wrong_old_size_is_told_the_right_one(witness):
    assert witness.add_checkpoint(body(3, 8), MOMENT) == (409, b"0\n", SIZE_TYPE)
    cosign(witness, body(0, 8))
    assert witness.add_checkpoint(body(3, 9), MOMENT) == (409, b"8\n", SIZE_TYPE)
    assert witness.add_checkpoint(body(0, 5), MOMENT) == (409, b"8\n", SIZE_TYPE)


def test_unknown_logs_and_false_signatures(witness):
    text = signed_head(LEAVES[:3]).text
    other = NoteSigner("elsewhere", SigningKey.generate()).sign(text.replace(LOG.verifier.name, "elsewhere"))
    forged = NoteSigner(LOG.verifier.name, SigningKey.generate()).sign(text)
    good = signed_head(LEAVES[:3])
    line = good.signatures[0]
    false = Note(good.text, (line, NoteSignature(line.name, line.key_id, bytes(64))))
    for note, status in ((other, 404), (forged, 403), (false, 403)):
        assert witness.add_checkpoint(AddCheckpoint(0, (), note.format()).format(), MOMENT)[0] == status
    assert witness.latest(LOG.verifier.name) is None


def test_trees_that_do_not_extend_are_not_cosigned(witness):
    cosign(witness, body(0, 8))
    fork = [b"fork", *LEAVES[1:]]
    assert witness.add_checkpoint(body(8, 9, leaves=fork), MOMENT)[0] == 422
    assert witness.add_checkpoint(body(8, 8, leaves=fork), MOMENT)[0] == 409
    extra = AddCheckpoint(8, (leaf_hash(b""),), signed_head(LEAVES[:8]).format())
    assert witness.add_checkpoint(extra.format(), MOMENT)[0] == 422
    cosign(witness, body(8, 20))


def test_a_proof_from_nothing_is_empty(witness):
    request = AddCheckpoint(0, (leaf_hash(b""),), signed_head(LEAVES[:3]).format())
    assert witness.add_checkpoint(request.format(), MOMENT)[0] == 422


NOTE = signed_head(LEAVES[:3]).format()


@pytest.mark.parametrize(
    "request_body",
    [
        b"",
        NOTE,
        b"old 0\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"new 0\n\n" + NOTE,
        b"old 0\nAAAA\n\n" + NOTE,
        b"old 0\nnot base64\n\n" + NOTE,
        b"old 0\n\nno note",
        b"old 0\n\n" + LOG.sign("no checkpoint\n").format(),
        b"\xff\n\n" + NOTE,
        b"old 9\n\n" + NOTE,
        AddCheckpoint(1, (leaf_hash(b""),) * 64, NOTE).format(),
    ],
)
def test_malformed_requests_get_400(witness, request_body):
    assert witness.add_checkpoint(request_body, MOMENT)[0] == 400


def test_requests_read_back():
    request = AddCheckpoint(7, (leaf_hash(b"a"), leaf_hash(b"b")), NOTE)
    assert AddCheckpoint.parse(request.format()) == request
    with pytest.raises(WitnessError):
        AddCheckpoint.parse(b"old 7\n")


def test_of_many_requests_at_once_exactly_one_passes(witness):
    requests = [body(0, 3), body(0, 5)] * 8
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda one: witness.add_checkpoint(one, MOMENT)[0], requests))
    assert sorted(set(statuses)) == [200, 409]
    assert statuses.count(200) == 1


def test_a_store_swaps_only_what_is_current(store):
    first = WitnessRecord(1, leaf_hash(b"1"), 5, b"log\nnote")
    second = WitnessRecord(2, leaf_hash(b"2"), 6, b"log\nnote 2")
    assert store.read("log") is None
    assert not store.swap("log", first, second)
    assert store.swap("log", None, first)
    assert not store.swap("log", None, second)
    assert store.swap("log", first, second)
    assert not store.swap("log", first, second)
    assert store.read("log") == second
    assert store.read("other") is None


def test_a_changed_key_is_not_called_a_damaged_disk(witness, store):
    cosign(witness, body(0, 8))
    new_log = NoteSigner(LOG.verifier.name, SigningKey.generate())
    new_key = Cosigner(COSIGNERS[0].verifier.name, SigningKey.generate())
    note = sign_checkpoint(Checkpoint.parse(signed_head(LEAVES).text), new_log).format()
    request = AddCheckpoint(8, tuple(consistency_path(8, 20, TREE)), note).format()
    with pytest.raises(WitnessError, match=r"by the log's key known now.*put the old one back"):
        Witness(COSIGNERS[0], [new_log.verifier], store).add_checkpoint(request, MOMENT)
    with pytest.raises(WitnessError, match="by the key of this witness known now"):
        Witness(new_key, [LOG.verifier], store).add_checkpoint(body(8, 20), MOMENT)
    assert cosign(Witness(COSIGNERS[0], [LOG.verifier], store), body(8, 20)) == MOMENT


def test_a_record_that_the_disk_has_hidden_is_not_taken_for_none(tmp_path):
    """It would cosign any tree of that log as if it were the first."""
    engine = open_database(f"sqlite:///{tmp_path / 'witness.db'}")
    create_tables(engine)
    records = {name: WitnessRecord(1, leaf_hash(b"1"), 5, f"{name}\nnote".encode()) for name in ("a", "b")}
    store = SqlWitnessStore(engine)
    assert all(store.swap(name, None, record) for name, record in records.items())
    assert SqlWitnessStore(engine).read("a") == records["a"]
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE ledger_witness SET origin = 'c' WHERE origin = 'a'")
    for name in ("a", "b", "c"):
        with pytest.raises(WitnessError, match="changed on the disk"):
            SqlWitnessStore(engine).read(name)


def test_a_record_that_the_index_does_not_show_is_not_taken_for_none(tmp_path):
    path = tmp_path / "witness.db"
    engine = open_database(f"sqlite:///{path}")
    create_tables(engine)
    store = SqlWitnessStore(engine)
    name = "an-origin-that-is-nowhere-else"
    assert store.swap(name, None, WitnessRecord(1, leaf_hash(b"1"), 5, f"{name}\nnote".encode()))
    engine.dispose()
    data = bytearray(path.read_bytes())
    data[data.rindex(name.encode())] ^= 1  # in the page of the index, which comes after that of the table
    path.write_bytes(data)
    assert check(engine) is None
    with pytest.raises(WitnessError, match="changed on the disk"):
        SqlWitnessStore(engine).read(name)


@pytest.mark.parametrize("back_to", ["before", "nothing"])
def test_a_database_set_back_under_a_running_witness_is_found(tmp_path, back_to):
    """A standby that lagged, a file put in place: it would cosign a second history of the same sizes."""
    engine = open_database(f"sqlite:///{tmp_path / 'witness.db'}")
    create_tables(engine)
    witness = Witness(COSIGNERS[0], [LOG.verifier], SqlWitnessStore(engine))
    assert witness.add_checkpoint(body(0, 8), MOMENT)[0] == 200
    with engine.connect() as connection:
        old = connection.execute(select(WITNESS)).one()._mapping
    assert witness.add_checkpoint(body(8, 20), MOMENT + 5)[0] == 200
    with writing(engine) as connection:
        connection.execute(WITNESS.delete())
        if back_to == "before":
            connection.execute(WITNESS.insert().values(**old))
    with pytest.raises(WitnessError, match="changed on the disk"):
        witness.add_checkpoint(body(20, 20), MOMENT + 6)
    fork = [*LEAVES[:8], *some_leaves(30)[18:]]
    for first in (0, 8):
        tree = tree_of(fork[:20])
        path = () if first == 0 else consistency_path(8, 20, tree)
        request = AddCheckpoint(first, path, signed_head(fork[:20]).format()).format()
        with pytest.raises(WitnessError, match="changed on the disk"):
            witness.add_checkpoint(request, MOMENT + 7)
