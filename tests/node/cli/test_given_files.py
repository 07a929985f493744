"""Files that a command is given and that are not what they should be: too long, endless, of another kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.ledger import ledger
from node.cli.node import node
from node.cli.report import report
from node.config import environment_passphrase, passphrase_in
from node.errors import ConfigurationError, UsageError, exit_code
from node.membership.home_setup import init_home
from tests.node.cli.pinned_policy import PINNED, nobodys_settings
from tests.node.upkeep.backup_cases import make_home

ENDLESS = Path("/dev/zero")
endless = pytest.mark.skipif(not ENDLESS.exists(), reason="there is no /dev/zero here")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobodys_settings(tmp_path, monkeypatch)
    monkeypatch.delenv("HEDUI_PASSPHRASE", raising=False)


def said(done: Result, status: int) -> str:
    """What a command that fails says; its exit status is the one given."""
    assert isinstance(done.exception, Exception), done.output
    assert exit_code(done.exception) == status, done.exception
    return str(done.exception)


@endless
def test_an_endless_report_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(PINNED)
    done = CliRunner().invoke(
        report, ["verify", str(ENDLESS), "--policy", str(tmp_path / "policy"), "--json"]
    )
    assert done.exit_code == 1, done.output
    [failed] = json.loads(done.stdout)["failures"]
    assert (failed["check"], failed["reason"]) == ("form", "the report is too long to be one")
    done = CliRunner().invoke(report, ["html", str(ENDLESS), str(tmp_path / "page.html")])
    assert "too long" in said(done, 1)


@endless
def test_an_endless_passphrase() -> None:
    with pytest.raises(ConfigurationError, match="/dev/zero has more than 4096 bytes"):
        passphrase_in(ENDLESS)


def test_a_passphrase_has_no_white_space_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file and in the environment alike."""
    (tmp_path / "words").write_bytes(b" five random words\r\n")
    assert passphrase_in(tmp_path / "words") == b"five random words"
    monkeypatch.setenv("HEDUI_PASSPHRASE", "five random words\n")
    assert environment_passphrase() == b"five random words"
    monkeypatch.setenv("HEDUI_PASSPHRASE", "\n")
    assert environment_passphrase() is None


@pytest.mark.parametrize("other", [b"", b"x", b"tax\n4\nnot a root\n\n", b"\xff" * 100])
def test_rejoin_from_what_is_no_checkpoint(tmp_path: Path, other: bytes) -> None:
    home = make_home(tmp_path / "home")
    (tmp_path / "policy").write_bytes(other)
    files = [tmp_path / "policy", *([ENDLESS] if ENDLESS.exists() else [])]
    for file in files:
        done = CliRunner().invoke(node, ["rejoin", str(home), str(file)])
        assert said(done, 2) == f"{file} is not a checkpoint: give the file named checkpoint of a mirror"
        assert isinstance(done.exception, UsageError)


def test_the_member_that_runs_the_log_has_nothing_to_rejoin(tmp_path: Path) -> None:
    init_home(tmp_path / "home", "audit", "审计局", ("sequencer", "auditor"), "127.0.0.1:7400")
    (tmp_path / "checkpoint").write_bytes(b"x")
    done = CliRunner().invoke(node, ["rejoin", str(tmp_path / "home"), str(tmp_path / "checkpoint")])
    assert said(done, 2) == "audit runs the log and is not a witness: nothing to rejoin"


@pytest.mark.parametrize("command", ["verify", "show", "search"])
def test_a_folder_without_a_log_is_no_damaged_log(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("none")
    done = CliRunner().invoke(ledger, [command, str(folder)])
    assert said(done, 2).startswith(f"{folder} contains no public log: ")
    (folder / "tile").mkdir()
    assert said(CliRunner().invoke(ledger, [command, str(folder)]), 1)
    shutil.rmtree(folder)
    assert "is not a folder" in said(CliRunner().invoke(ledger, [command, str(folder)]), 2)
