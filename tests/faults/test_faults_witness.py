"""Witnesses that lie, sleep or are gone; clocks that run backwards; old backups; a log with two trees."""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import replace

import pytest

from ledger.audit.verify import verify_folder
from ledger.entries.times import parse_time
from ledger.errors import QuarantineError, QuorumError
from ledger.formats.checkpoint import cosignature_time
from ledger.formats.note import Note, NoteSignature
from ledger.sequencer.ordering import Candidate, OrderedLog
from ledger.sequencer.sequencer import Sequencer
from tests.faults.log_run import Place, lines, submit
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, MOMENT, POLICY, World, cheap, leaf, wait_for


class Liar:
    """A witness that answers in its own way."""

    def __init__(self, inner, number: int, way: str, release: threading.Event) -> None:
        self._inner = inner
        self._cosigner = COSIGNERS[number]
        self._way = way
        self._release = release
        self._time = MOMENT + 1000
        self._first: bytes | None = None

    def latest(self):
        return self._inner.latest()

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        if self._way == "absent":
            raise ConnectionRefusedError("gone")
        if self._way == "slow":
            self._release.wait(30)
        status, answer = self._inner.add_checkpoint(body)
        return (status, answer) if status != 200 else self._lie(body, answer)

    def _lie(self, body: bytes, answer: bytes) -> tuple[int, bytes]:
        text = Note.parse(body.partition(b"\n\n")[2]).text
        if self._way == "a size of its own":
            return 409, b"4711\n"
        if self._way == "an old cosignature":
            self._first = answer if self._first is None else self._first
            return 200, self._first
        if self._way == "time going back":
            self._time -= 100
            return 200, self._cosigner.cosign(text, self._time).line().encode()
        if self._way == "a false signature":
            line = NoteSignature.parse(answer.decode().strip())
            blob = line.blob[:-1] + bytes([line.blob[-1] ^ 1])
            return 200, replace(line, blob=blob).line().encode()
        if self._way == "another's key":
            return 200, COSIGNERS[5].cosign(text, MOMENT).line().encode()
        return 200, answer


WAYS = (
    "absent",
    "slow",
    "a size of its own",
    "an old cosignature",
    "time going back",
    "a false signature",
    "another's key",
)


@pytest.mark.parametrize("way", WAYS)
def test_witnesses_that_lie_are_done_without(tmp_path, way):
    world, release = World(tmp_path), threading.Event()
    for number in (0, 1):
        name = COSIGNERS[number].verifier.name
        world.clients[name] = Liar(world.clients[name], number, way, release)
    log = world.started(round=5)
    for at in range(4):
        receipt = submit(log, leaf())
        assert receipt.index == at
        checked = POLICY.verify_checkpoint(log.head)
        if at:
            assert not {COSIGNERS[0].verifier.name, COSIGNERS[1].verifier.name} & set(checked.cosigned)
    world.clients[COSIGNERS[2].verifier.name].up = False
    world.close()
    world.clients[COSIGNERS[2].verifier.name].up = True
    release.set()
    assert verify_folder(world.public, policy=POLICY.format().encode(), apply=cheap).size == 4


def test_one_liar_too_many_is_a_missing_quorum(tmp_path):
    world = World(tmp_path)
    names = [cosigner.verifier.name for cosigner in COSIGNERS[:3]]
    for number, way in enumerate(("a false signature", "a size of its own", "another's key")):
        client = world.clients[names[number]]
        world.clients[names[number]] = Liar(client, number, way, threading.Event())
    log = world.started(round=5)
    with pytest.raises(QuorumError) as caught:
        log.submit(leaf())
    assert list(caught.value.missing) == names
    world.close()


def test_a_published_time_never_goes_back(tmp_path):
    """After a restart the log knows the times of the checkpoint it published."""
    world = World(tmp_path)
    log = world.started()
    world.now += 500
    submit(log, leaf(time="2026-11-22T02:08:20Z"))
    log.stop()
    before = POLICY.verify_checkpoint(log.head).cosigned
    for number, cosigner in enumerate(COSIGNERS):
        client = world.clients[cosigner.verifier.name]
        client.add_checkpoint = Backwards(client, number).add_checkpoint
    log = world.started(refresh=0.01)
    wait_for(lambda: log.size == 1 and min(client.calls for client in world.clients.values()) > 2)
    after = {line.name: cosignature_time(line) for line in Note.parse(log.head).signatures[1:]}
    assert all(after[name] >= at for name, at in before.items())
    world.close()


class Backwards:
    """A witness that cosigns the present text at a time long past."""

    def __init__(self, client, number: int) -> None:
        self._real = client.add_checkpoint
        self._number = number

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        status, answer = self._real(body)
        if status == 200:
            text = Note.parse(body.partition(b"\n\n")[2]).text
            return 200, COSIGNERS[self._number].cosign(text, MOMENT - 1000).line().encode()
        return status, answer


def test_clocks_that_jump(tmp_path, fault_seed):
    """The contract's time and the times of cosignatures only grow, whatever the clocks do."""
    chance = random.Random(fault_seed)
    place = Place(tmp_path)
    log, world = place.started(), place.world
    seen: dict[str, int] = {}
    contract_time = ""
    for _ in range(15):
        world.now = MOMENT + chance.randrange(-50, 50)
        submit(log, leaf(time=f"2026-11-22T02:00:{chance.randrange(60):02d}Z"))
        place.follow(log)
        assert place.replica.time >= contract_time
        contract_time = place.replica.time
        for name, at in POLICY.verify_checkpoint(log.head).cosigned.items():
            assert at >= seen.get(name, 0)
            seen[name] = at
    assert contract_time == max(check_text(one) for one in log.read(0, 15))
    place.close()


def check_text(one: bytes) -> str:
    time = Candidate.parse(one).entry.time
    parse_time(time)
    return time


@pytest.mark.parametrize("staged", [False, True])
def test_a_restored_backup_signs_nothing(memory, fault_seed, staged):
    chance = random.Random(f"backup {fault_seed} {staged}")
    place = Place(memory)
    log = place.started()
    for _ in range(chance.randrange(1, 5)):
        submit(log, leaf())
    log.stop()
    calls_ended(log)
    if staged:
        ordered = OrderedLog(place.engine("log"), LOG, cheap)
        ordered.stage([Candidate.parse(leaf())], lambda refusal: None)
    shutil.copy(memory / "log.db", memory / "backup.db")
    if chance.random() < 0.5:
        shutil.copytree(memory / "public", memory / "old")
    log = place.started()
    for _ in range(chance.randrange(1, 5) + staged):
        submit(log, leaf())
    log.stop()
    calls_ended(log)
    shutil.copy(memory / "backup.db", memory / "log.db")
    if (memory / "old").exists():
        shutil.rmtree(memory / "public")
        (memory / "old").rename(memory / "public")
    before = head_rows(place), len(lines(memory / "shown")), (memory / "public/checkpoint").read_bytes()
    place.close()
    place = Place(memory)
    for name in chance.sample(sorted(place.world.clients), 3):
        place.world.clients[name]._inner.up = False
    with pytest.raises(QuarantineError):
        place.started()
    after = head_rows(place), len(lines(memory / "shown")), (memory / "public/checkpoint").read_bytes()
    assert after == before
    place.close()


def calls_ended(log: Sequencer) -> None:
    """Wait for what a log that has stopped is asking still: it waits for a quorum, not for every witness."""
    for worker in log._finalizer._cosigners._workers:
        worker.join(20)


def head_rows(place: Place) -> list[object]:
    with place.engine("log").connect() as connection:
        return list(connection.exec_driver_sql("SELECT * FROM log_head ORDER BY name"))


def test_a_slow_witness_with_evidence_is_heard(tmp_path):
    """A quorum of quick witnesses does not hide what a slow one has seen; both notes are kept."""
    world, kept = World(tmp_path), []
    log = world.started()
    submit(log, leaf())
    log.stop()
    shutil.copy(tmp_path / "log.db", tmp_path / "twin.db")
    twin = World(tmp_path / "other")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "twin.db", tmp_path / "other" / "log.db")
    release, slow = threading.Event(), COSIGNERS[3].verifier.name
    asleep = Liar(world.clients[slow], 3, "slow", release)
    twin.clients = {slow: world.clients[slow]}
    second = twin.sequencer(round=0.2)
    shown = OrderedLog(twin.engine("log"), LOG, cheap)
    shown.stage([Candidate.parse(leaf())], lambda refusal: None)
    shown.order()
    body = f"old 1\n{path_lines(shown)}\n".encode() + shown.head.note
    assert world.clients[slow].add_checkpoint(body)[0] == 200
    world.clients[slow] = asleep
    others = [one.verifier.name for one in COSIGNERS if one.verifier.name != slow]
    world.switch(0, up=True)
    log = world.sequencer(round=5, evidence=lambda *notes: kept.append(notes))
    asleep.latest = lambda: None
    log.start()
    log.wait_ready(5)
    submit(log, leaf())
    assert set(POLICY.verify_checkpoint(log.head).cosigned) <= set(others)
    assert log.quarantined is None
    del asleep.latest
    release.set()
    wait_for(lambda: log.quarantined is not None)
    [(own, seen)] = kept
    assert POLICY.verify_log(own)[1].size == POLICY.verify_log(seen)[1].size == 2
    assert POLICY.verify_log(own)[1].root != POLICY.verify_log(seen)[1].root
    second.stop()
    world.close()


def path_lines(log: OrderedLog) -> str:
    from ledger.formats.note import base64_text  # noqa: PLC0415

    return "".join(f"{base64_text(node)}\n" for node in log.consistency_path(1, 2))
