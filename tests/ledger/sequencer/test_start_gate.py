"""The start gate and quarantine of the embedded log: backups, rivals, liars and witnesses that hang."""

from __future__ import annotations

import errno
import shutil
import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from ledger.errors import LedgerError, LogUnavailableError, QuarantineError, QuorumError
from ledger.formats.note import NoteSigner
from ledger.sequencer.ordering import Candidate, OrderedLog
from tests.ledger.contract.contract_cases import signer
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, MOMENT, World, cheap, leaf, wait_for


def test_the_gate_stays_shut_until_enough_witnesses_answer(world):
    world.switch(4, up=False)
    log = world.sequencer()
    log.start()
    with pytest.raises(LogUnavailableError):
        log.wait_ready(0.3)
    assert world.steps == []
    wait_for(lambda: log.quorum_error is not None)
    world.switch(1, up=True)
    log.wait_ready(5)
    assert log.quorum_error is None


def test_a_database_that_fails_at_the_gate_keeps_it_shut_and_no_more(world, monkeypatch):
    """Quarantine is for another tree; a lost connection passes."""
    log = world.started()
    log.submit(leaf())
    log.stop()
    again = world.sequencer()
    judge, failures = again._log.judge, iter(range(3))

    def flaky(policy, note):
        if next(failures, None) is not None:
            raise OperationalError("SELECT", {}, OSError("the connection is lost"))
        judge(policy, note)

    monkeypatch.setattr(again._log, "judge", flaky)
    again.start()
    again.wait_ready(5)
    assert again.quarantined is None
    assert again.submit(leaf()).index == 1


def test_a_restored_backup_is_quarantined(world):
    log = world.started()
    log.submit(leaf())
    log.stop()
    shutil.copy(world.folder / "log.db", world.folder / "backup.db")
    log = world.started()
    log.submit(leaf())
    log.stop()
    world.switch(3, up=False)
    old = world.sequencer("backup")
    old.start()
    with pytest.raises(QuarantineError, match="has seen 2 entries"):
        old.wait_ready(5)
    with pytest.raises(QuarantineError, match="mirror"):
        old.submit(leaf())


def test_another_tree_of_the_same_size_is_quarantined(world):
    log = world.started()
    log.submit(leaf())
    log.stop()
    twin = OrderedLog(world.engine("twin"), LOG, cheap)
    twin.stage([Candidate.parse(leaf())], lambda refusal: None)
    twin.order()
    other = world.sequencer("twin")
    other.start()
    with pytest.raises(QuarantineError, match="another tree"):
        other.wait_ready(5)


def test_a_second_sequencer_is_caught_while_running(world):
    log = world.started()
    log.submit(leaf())
    shutil.copy(world.folder / "log.db", world.folder / "clone.db")
    clone = World(world.folder / "clone")
    clone.folder.mkdir()
    clone.clients = world.clients
    shutil.copy(world.folder / "log.db", clone.folder / "log.db")
    second = clone.started()
    second.submit(leaf())
    with pytest.raises(LedgerError):
        log.submit(leaf())
    wait_for(lambda: log.quarantined is not None)
    clone.close()


def test_evidence_that_cannot_be_kept_leaves_nobody_waiting(world, caplog):
    def full(first, second):
        raise OSError(errno.ENOSPC, "no room")

    log = world.started(evidence=full, submit=5)
    log.submit(leaf())
    clone = World(world.folder / "clone")
    clone.folder.mkdir()
    clone.clients = world.clients
    shutil.copy(world.folder / "log.db", clone.folder / "log.db")
    clone.started().submit(leaf())
    with pytest.raises(QuarantineError):
        log.submit(leaf())
    wait_for(lambda: "could not be kept" in caplog.text)
    with pytest.raises(QuarantineError):
        log.submit(leaf())
    clone.close()


def test_lies_without_the_logs_signature_are_no_evidence(world):
    class Liar:
        def add_checkpoint(self, body):
            return 409, b"999999\n"

        def latest(self):
            return (
                NoteSigner(LOG.verifier.name, signer("liar")).sign(f"{LOG.verifier.name}\n9\nAAAA\n").format()
            )

    world.clients[COSIGNERS[0].verifier.name] = Liar()
    log = world.started()
    assert log.submit(leaf()).index == 0
    assert log.quarantined is None


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"garbage\n"),
        (200, None),
        (500, b"oops"),
        (409, b"x\n"),
        (409, b"\xff"),
        (404, b""),
        (422, b""),
    ],
)
def test_useless_answers_count_as_none(world, answer):
    wrong = COSIGNERS[1].cosign("another text\n", MOMENT).line().encode()

    class Useless:
        def add_checkpoint(self, body):
            return answer[0], wrong if answer[1] is None else answer[1]

        def latest(self):
            return None

    for cosigner in COSIGNERS[:2]:
        world.clients[cosigner.verifier.name] = Useless()
    log = world.started()
    assert log.submit(leaf()).index == 0
    world.clients[COSIGNERS[5].verifier.name].up = False
    with pytest.raises(QuorumError) as caught:
        log.submit(leaf())
    assert set(caught.value.missing) == {COSIGNERS[place].verifier.name for place in (0, 1, 5)}


def test_hanging_witnesses_do_not_hold_the_others_up(world):
    release = threading.Event()

    class Hanging:
        def add_checkpoint(self, body):
            release.wait(20)
            raise ConnectionResetError("gone")

        def latest(self):
            release.wait(20)

    for cosigner in COSIGNERS[:2]:
        world.clients[cosigner.verifier.name] = Hanging()
    log = world.started()
    begin = time.monotonic()
    for _ in range(5):
        log.submit(leaf())
    assert time.monotonic() - begin < 3
    release.set()
