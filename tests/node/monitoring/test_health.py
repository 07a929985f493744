"""How the ledger stands at a node, and what the command and its exit status say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keys.signing import SigningKey
from ledger.errors import LogError, QuorumError
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from node.cli import node as commands
from node.monitoring.health import ledger_health
from node.tlog.engine import Engine

NOW = 1_700_000_000
SIGNER = NoteSigner("log.example", SigningKey.from_seed(b"\x01" * 32))
COSIGNERS = [Cosigner(name, SigningKey.from_seed(name.encode() * 32)) for name in "abcd"]
POLICY = Policy.create(SIGNER.verifier, [cosigner.verifier for cosigner in COSIGNERS], [])


def cosigned(*at: int) -> bytes:
    """A checkpoint that every witness cosigned at a time, or the first of them each at its own."""
    note = sign_checkpoint(Checkpoint("log.example", 3, b"\x05" * 32), SIGNER)
    times = at * len(COSIGNERS) if len(at) == 1 else at
    lines = tuple(cosigner.cosign(note.text, time) for cosigner, time in zip(COSIGNERS, times, strict=False))
    return Note(note.text, note.signatures + lines).format()


@dataclass
class Log:
    """The state that a log on this machine reports."""

    head: bytes | None = None
    quorum_error: QuorumError | None = None
    quarantined: LogError | None = None


def engine(log: Log | None) -> Engine:
    own: Any = log
    return Engine(own) if own is None else Engine(own, own, fault=lambda: own.quarantined)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (Log(cosigned(NOW - 7)), ("final", 7, False)),
        (Log(), ("no final checkpoint yet", None, False)),
        (
            Log(cosigned(NOW - 90), quorum_error=QuorumError("x", ["a", "b", "c", "d"])),
            (f"quorum 0 of {POLICY.quorum}, missing a, b, c, d", 90, False),
        ),
        (
            Log(quorum_error=QuorumError("x", ["b", "c"])),
            (f"quorum 2 of {POLICY.quorum}, missing b, c", None, False),
        ),
        (Log(quorum_error=QuorumError("the disk is full")), ("the disk is full", None, False)),
        (Log(cosigned(NOW - 5), quarantined=LogError("another tree")), ("quarantine: another tree", 5, True)),
    ],
)
def test_the_member_with_the_log_knows_why(log: Log, said: tuple[str, int | None, bool]) -> None:
    found = ledger_health(engine(log), POLICY, None, NOW)
    assert (found.ledger, found.final_age, found.quarantined) == said


@pytest.mark.parametrize(
    ("age", "said"),
    [(None, "no final checkpoint yet"), (59, "final"), (60, "the newest checkpoint is 60 s old")],
)
def test_the_others_know_the_age(age: int | None, said: str) -> None:
    newest = None if age is None else POLICY.verify_checkpoint(cosigned(NOW - age))
    found = ledger_health(engine(None), POLICY, newest, NOW)
    assert found.ledger.startswith(said)
    assert (found.final_age, found.quarantined) == (age, False)


AHEAD = NOW + 10**8


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((AHEAD, NOW - 5, NOW - 7, NOW - 9), ("final", 7)),
        ((AHEAD, NOW - 500, NOW - 700, NOW - 900), ("the newest checkpoint is 700 s old", 700)),
        ((NOW, NOW, NOW - 700), ("the newest checkpoint is 700 s old", 700)),
        ((AHEAD, NOW - 5, NOW - 7), ("too few witnesses", 7)),
        ((AHEAD,) * 4, ("too few witnesses", 0)),
        ((NOW + 240,) * 4, ("final", 0)),
    ],
)
def test_no_clock_alone_makes_a_checkpoint_young(times: tuple[int, ...], said: tuple[str, int]) -> None:
    assert POLICY.quorum == 3
    found = ledger_health(engine(None), POLICY, POLICY.verify_checkpoint(cosigned(*times)), NOW)
    assert found.ledger.startswith(said[0])
    assert found.final_age == said[1]
    assert ledger_health(engine(Log(cosigned(*times))), POLICY, None, NOW).final_age == said[1]


@pytest.mark.parametrize(("healthy", "status"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_exit_status_says_whether_a_person_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healthy: bool, status: int, options: list[str]
) -> None:
    values = {
        "ledger": "final",
        "final_age": None,
        "healthy": healthy,
        "evidence": [],
        "spent": {},
        "waiting": 0,
    }

    class Client:
        def __init__(self, _home: object) -> None:
            """Of any home."""

        def status(self) -> dict[str, Any]:
            return values

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(commands, "OperatorClient", Client)
    (tmp_path / "keys").mkdir()
    (tmp_path / "node.toml").write_text("")
    (tmp_path / "keys" / "passphrase").write_text("x")
    (tmp_path / "keys" / "passphrase").chmod(0o640)
    done = CliRunner().invoke(commands.node, ["status", str(tmp_path), *options])
    assert "keys/passphrase can be read by other users" in done.stderr
    assert done.exit_code == status
    if options:
        assert json.loads(done.stdout) == values
    else:
        shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
        assert (shown["final_age"], shown["evidence"], shown["spent"], shown["waiting"]) == (
            "-",
            "-",
            "-",
            "0",
        )
