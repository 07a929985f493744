"""Witnesses outside the quorum: asked, published when true, never waited for, never needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.errors import NoteError, PolicyError, QuarantineError, QuorumError, VerificationError
from ledger.formats.checkpoint import Checkpoint, Cosigner
from ledger.formats.note import Note
from ledger.formats.policy import Policy, WitnessKey
from ledger.sequencer.final_log import LogParts
from ledger.sequencer.finalizer import FinalizerSettings
from ledger.sequencer.sequencer import Sequencer
from ledger.sequencer.witness_rounds import Cosigners, gate
from ledger.witness import AddCheckpoint
from tests.ledger.contract.contract_cases import signer
from tests.ledger.sequencer.log_cases import (
    COSIGNERS,
    LOG,
    MOMENT,
    POLICY,
    Client,
    World,
    admit_all,
    leaf,
    signed_head,
    some_leaves,
)

STRANGER = Cosigner("witness.example/w1", signer("stranger", "witness"))
URL = "https://witness.example/w1"
FURTHER = WitnessKey(STRANGER.verifier.name, STRANGER.verifier, URL)
WIDER = Policy.create(LOG.verifier, [cosigner.verifier for cosigner in COSIGNERS], [FURTHER])
NAME = FURTHER.name


class Listed(World):
    """A log whose policy lists one further witness, reached by whatever client a test gives."""

    def begin(self, client: object, **changes: object) -> Sequencer:
        fields = {"round": 0.5, "retry": 0.05, "submit": 20.0, "refresh": 0.05, **changes}
        made = Sequencer(
            self.engine("log"),
            LogParts(
                LOG,
                WIDER,
                {**self.clients, NAME: client},  # type: ignore[dict-item]  # each test's own client
                self.public,
                FinalizerSettings(**fields),  # type: ignore[arg-type]
            ),
            lambda: self.now,
            admit=self.admit,
        )
        self._running.append(made)
        made.start()
        made.wait_ready(5)
        return made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Listed]:
    made = Listed(tmp_path)
    yield made
    made.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, at most as long as a slow machine needs."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def published(world: Listed) -> Note:
    return Note.parse((world.public / "checkpoint").read_bytes())


def names(world: Listed) -> list[str]:
    return [line.name for line in published(world).signatures]


class Slow(Client):
    """Answers only when it is let."""

    def __init__(self, world: World) -> None:
        super().__init__(STRANGER, lambda: world.now)
        self.let = threading.Event()

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        assert self.let.wait(20)
        return super().add_checkpoint(body)


class Lying(Client):
    """Says what a test makes it say."""

    def __init__(self, answer: tuple[int, bytes], note: bytes | None = None) -> None:
        super().__init__(STRANGER, lambda: MOMENT)
        self.answer = answer
        self.note = note

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        self.calls += 1
        return self.answer

    def latest(self) -> bytes | None:
        return self.note


def test_a_policy_lists_further_witnesses_after_those_that_count():
    text = WIDER.format()
    assert Policy.parse(text) == WIDER
    assert f"\nwitness {NAME} {STRANGER.verifier.format()} {URL}\ngroup witnesses 4 " in text
    assert NAME not in text.split("group", 1)[1]
    assert WIDER.quorum == POLICY.quorum
    assert WIDER.fingerprint != POLICY.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        WIDER.format().replace(f" {URL}", ""),
        WIDER.format().replace(STRANGER.verifier.format(), COSIGNERS[0].verifier.format()),
        WIDER.format().replace(f"witness {NAME}", f"witness {COSIGNERS[0].verifier.name}"),
        WIDER.format().replace(f"witness {NAME}", "witness witnesses"),
        WIDER.format().replace(STRANGER.verifier.format(), LOG.verifier.format()),
    ],
)
def test_a_further_witness_that_cannot_be_is_refused(text):
    with pytest.raises(PolicyError):
        Policy.parse(text)


def test_its_cosignature_never_counts_and_must_be_true():
    note = signed_head(some_leaves(5))
    own = [cosigner.cosign(note.text, MOMENT) for cosigner in COSIGNERS]
    further = STRANGER.cosign(note.text, MOMENT + 9)
    with pytest.raises(QuorumError):
        WIDER.verify_checkpoint(Note(note.text, (*note.signatures, *own[:3], further)).format())
    verified = WIDER.verify_checkpoint(Note(note.text, (*note.signatures, *own[:4], further)).format())
    assert NAME not in verified.cosigned
    assert dict(verified.further) == {NAME: MOMENT + 9}
    assert verified.quorum_time(4) == MOMENT
    false = STRANGER.cosign(signed_head(some_leaves(6)).text, MOMENT)
    with pytest.raises(NoteError, match="false"):
        WIDER.verify_checkpoint(Note(note.text, (*note.signatures, *own, false)).format())


def test_a_willing_one_is_published_and_verified_where_it_is_listed(world):
    log = world.begin(Client(STRANGER, lambda: world.now))
    log.submit(leaf())
    until(lambda: names(world)[-1] == NAME)
    assert verify_folder(world.public, apply=world.admit).checkpoint.further == {NAME: MOMENT}
    (world.public / "policy").write_text(POLICY.format())
    with pytest.raises(VerificationError) as caught:
        verify_folder(world.public, apply=world.admit)
    assert caught.value.check == "checkpoint"


def test_a_late_one_delays_nothing_and_is_taken_with_a_refresh(world):
    slow = Slow(world)
    log = world.begin(slow, round=30.0)
    began = time.monotonic()
    log.submit(leaf())
    assert time.monotonic() - began < 15
    assert NAME not in names(world)
    slow.let.set()
    until(lambda: NAME in names(world))
    assert published(world).text == Note.parse(log.head or b"").text
    again = leaf()
    log.submit(again)
    until(lambda: log.size == 2 and NAME in names(world))


class Faulty(Client):
    """Raises what no client should, until it is mended."""

    def __init__(self, cosigner: Cosigner, world: World) -> None:
        super().__init__(cosigner, lambda: world.now)
        self.mended = False

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        if not self.mended:
            self.calls += 1
            raise ValueError("closed channel")
        return super().add_checkpoint(body)

    def latest(self) -> bytes | None:
        if not self.mended:
            raise KeyError("latest")
        return super().latest()


def test_a_faulty_client_is_no_answer_and_is_asked_again(world, caplog):
    faulty = Faulty(STRANGER, world)
    log = world.begin(faulty)
    log.submit(leaf())
    until(lambda: faulty.calls > 2)
    assert NAME not in names(world)
    assert f"asking the witness {NAME} failed" in caplog.text
    faulty.mended = True
    until(lambda: NAME in names(world))


def test_a_faulty_client_of_one_that_counts_ends_the_round_and_keeps_the_gate_shut(world):
    clients = {c.verifier.name: Faulty(c, world) for c in COSIGNERS}
    cosigners = Cosigners(POLICY, clients, lambda note: None)
    cosigners.start()
    leaves = some_leaves(2)
    head = signed_head(leaves)
    checkpoint = Checkpoint.parse(head.text)
    asked = cosigners.begin(checkpoint, head.format(), lambda old: ())
    assert asked.wait(POLICY.quorum, 60) == {}
    assert set(asked.failed()) == set(clients)
    assert gate(cosigners, POLICY, lambda note: None, 0.1) == [c.verifier.name for c in COSIGNERS]
    for client in clients.values():
        client.mended = True
    assert gate(cosigners, POLICY, lambda note: None, 60) == []
    asked = cosigners.begin(checkpoint, head.format(), lambda old: ())
    assert len(asked.wait(POLICY.quorum, 60)) >= POLICY.quorum
    cosigners.stop()


def test_its_line_is_kept_over_a_restart(world):
    client = Client(STRANGER, lambda: world.now)
    first = world.begin(client)
    first.submit(leaf())
    until(lambda: NAME in names(world))
    first.stop()
    client.up = False
    world.begin(client)
    until(lambda: names(world).count(NAME) == 1)
    assert verify_folder(world.public, apply=world.admit).checkpoint.further == {NAME: MOMENT}


LARGER = b"1000000\n"
LIES = {
    "refuses": (403, b"no\n"),
    "claims a larger tree": (409, LARGER),
    "claims what is no size": (409, b"many\n"),
    "another size each time": (409, b"0\n"),
    "calls it inconsistent": (422, b"bad proof\n"),
    "says yes and gives nothing": (200, b""),
    "gives what is no line": (200, b"yes\n"),
    "gives bytes": (200, b"\xff" * 100),
    "signs another text": (200, STRANGER.cosign(signed_head(some_leaves(3)).text, MOMENT).line().encode()),
    "signs with another's key": (200, COSIGNERS[0].cosign("x\n", MOMENT).line().encode()),
    "fails": (500, b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_one_changes_nothing(world, lie):
    client = Lying(LIES[lie])
    log = world.begin(client)
    for _ in range(3):
        log.submit(leaf())
    until(lambda: client.calls > 3)
    assert log.quarantined is None
    assert NAME not in names(world)
    verify_folder(world.public, apply=world.admit)


@pytest.mark.parametrize("note", [b"nonsense", signed_head(some_leaves(9)).format()[:-30] + b"AAAA\n"])
def test_claims_that_the_log_has_not_signed_are_no_evidence(world, note):
    client = Lying((409, LARGER), note)
    log = world.begin(client)
    log.submit(leaf())
    until(lambda: client.calls > 2)
    assert log.quarantined is None


def test_a_checkpoint_the_log_has_signed_is_evidence_from_anybody(world):
    world.admit = admit_all
    log = world.begin(Lying((409, LARGER), signed_head(some_leaves(90)).format()))
    until(lambda: _refused(log))
    assert isinstance(log.quarantined, QuarantineError)


def _refused(log: Sequencer) -> bool:
    try:
        log.submit(leaf())
    except QuarantineError:
        return True
    return False


def test_it_cannot_stand_in_for_those_that_count(world):
    log = world.begin(Client(STRANGER, lambda: world.now))
    log.submit(leaf())
    down = world.switch(3, up=False)
    with pytest.raises(QuorumError) as caught:
        log.submit(leaf())
    assert set(caught.value.missing) == set(down)
    world.switch(3, up=True)
    until(lambda: log.size == 2)


def test_the_start_gate_neither_asks_nor_needs_it(world):
    asked: list[str] = []

    class Asked(Client):
        def latest(self) -> bytes | None:
            asked.append(NAME)
            return super().latest()

    log = world.begin(Asked(STRANGER, lambda: world.now))
    log.submit(leaf())
    assert asked == []


def test_a_request_starts_from_the_size_its_409_told(world):
    client = Client(STRANGER, lambda: world.now)
    first = world.begin(client)
    first.submit(leaf())
    until(lambda: client.witness.latest(LOG.verifier.name) is not None)
    first.stop()
    seen: list[int] = []

    class Watched(Client):
        def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
            seen.append(AddCheckpoint.parse(body).old)
            return super().add_checkpoint(body)

    watched = Watched(STRANGER, lambda: world.now)
    watched.witness = client.witness
    log = world.begin(watched)
    log.submit(leaf())
    until(lambda: NAME in names(world) and len(seen) >= 2)
    assert seen[:2] == [0, 1]
