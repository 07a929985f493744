"""What the commands of `hedui ledger` are given: policies in every form, an address, names of files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node.cli import root
from node.cli.ledger import ledger as command
from node.cli.ledger_options import policy_place
from node.errors import exit_code
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.audit.static_server import serving as serving_files
from tests.ledger.contract.contract_cases import answered
from tests.ledger.formats.timestamp_authority import OPENSSL, WITHOUT, Authority, serving
from tests.ledger.sequencer.log_cases import POLICY, real_leaves
from tests.node.cli.pinned_policy import OTHER, PINNED, nobodys_settings


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pinned, and the language is English."""
    nobodys_settings(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Growing:
    """The log of one question, by the real contract."""
    log = Growing(tmp_path_factory.mktemp("log") / "public")
    log.add(*real_leaves(answered()))
    return log


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def status(done: Result) -> int:
    """The exit status the command line gives the error."""
    assert isinstance(done.exception, Exception)
    return exit_code(done.exception)


def test_a_policy_is_pinned_from_a_home_a_folder_or_a_file(asked: Growing, tmp_path: Path) -> None:
    """And what is none is a usage error, not a log that was forged."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "network.json").write_text(json.dumps({"network": "s-county", "policy": PINNED}))
    (tmp_path / "pin").write_text("# the county's\n" + PINNED)
    for number, given in enumerate((home / "network.json", home, tmp_path / "pin")):
        done = run("verify", asked.root, "--policy", given, "--json")
        assert (done.stderr, json.loads(done.stdout)["policy"]) == ("", "pinned")
        made = run("mirror", asked.root, tmp_path / f"copy{number}", "--policy", given, "--json")
        assert json.loads(made.stdout)["pinned"] is True
    for number, text in enumerate(("no policy", "{}", '{"policy": 1}', "[" * 5000, "\x00")):
        (home / "network.json").write_text(text)
        for given in (home / "network.json", home):
            for words in (("verify", asked.root), ("mirror", asked.root, tmp_path / f"other{number}")):
                done = run(*words, "--policy", given)
                assert status(done) == 2
                assert "trust policy" in str(done.exception)
    (home / "network.json").write_text(OTHER.format())
    done = run("verify", asked.root, "--policy", home)
    assert status(done) == 1
    assert POLICY.fingerprint in str(done.exception)
    [failed] = json.loads(run("verify", asked.root, "--policy", home, "--json").stdout)["failures"]
    assert failed["check"] == "policy"


def test_who_has_pinned_policies_takes_no_other_logs_word(asked: Growing, tmp_path: Path) -> None:
    """A job that verifies each night must not stay green when the log is another one."""
    pins = tmp_path / "config" / "policies"
    pins.mkdir(parents=True)
    (pins / ".hidden").write_text("no policy")
    assert run("verify", asked.root).exit_code == 0
    (pins / "other").write_text(OTHER.format())
    for words in (("verify", asked.root), ("mirror", asked.root, tmp_path / "copy")):
        done = run(*words)
        assert status(done) == 1
        assert f"no policy in {pins} has it" in str(done.exception)
    (pins / "county").write_text(PINNED)
    assert run("verify", asked.root).exit_code == 0
    (pins / "county").write_text(PINNED.replace("quorum", "quorun"))
    assert status(run("verify", asked.root)) == 1
    (pins / "other").unlink()
    done = run("verify", asked.root)
    assert status(done) == 2
    assert "none is a trust policy" in str(done.exception)


def test_a_home_is_pinned_by_its_own_file(tmp_path: Path) -> None:
    assert policy_place("http://a.example/log/") == "http://a.example/log/policy"
    (tmp_path / "node.toml").write_text("")
    assert policy_place(str(tmp_path)) == f"{tmp_path}/network.json"


def test_a_scheme_in_capitals_is_a_url(asked: Growing, tmp_path: Path) -> None:
    with serving_files(asked.root) as web:
        done = run("verify", web.url.replace("http", "HTTP"), "--json")
    assert json.loads(done.stdout)["valid"] is True
    done = run("timestamp", "HTTPS://a.example/log", "--url", "http://tsa/", "--ca", tmp_path / "pin")
    assert status(done) == 2
    assert "a URL cannot be stamped in place" in str(done.exception)


def test_what_cannot_be_listed_is_said_as_json(
    asked: Growing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("tile"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert status(run("verify", asked.root)) == 1
    done = run("verify", asked.root, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["valid"] is False
    assert found["failures"][0]["reason"] == f"{asked.root / 'tile'} cannot be listed: Permission denied"


@pytest.mark.skipif(OPENSSL is None, reason=WITHOUT)
def test_a_stamp_that_is_there_says_its_time(asked: Growing, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tsa")
    (tmp_path / "ca.pem").write_bytes(authority.root)
    log = shutil.copytree(asked.root, tmp_path / "log")
    with serving(lambda asks: (200, "application/timestamp-reply", authority.post(asks))) as url:
        words = ("timestamp", log, "--url", url, "--ca", tmp_path / "ca.pem")
        first = json.loads(run(*words, "--json").stdout)
        second = json.loads(run(*words, "--json").stdout)
        assert f"The checkpoint was stamped already: {first['time']}, policy" in run(*words).stdout
        for option, value in (("--ca", log / "policy"), ("--tsa-policy", "no OID")):
            done = run(*words, option, value)
            assert status(done) == 2
            assert str(value) in str(done.exception)
    assert (first["stamped"], first["already"]) == (True, False)
    assert second == {**first, "stamped": False, "already": True}
    size = json.loads(run("verify", log, "--json").stdout)["size"]
    assert f"{size} entries stamped {first['time']} (its authority not verified" in run("verify", log).stdout
    next((log / "timestamps").glob("*.tsr")).unlink()
    assert f"{size} entries not stamped: the note is there without a token\n" in run("verify", log).stdout


@pytest.mark.parametrize("url", ["notaurl", "ftp://tsa.example/", "http://", "http://[1/", "http://a:x/"])
def test_an_authority_needs_an_address(asked: Growing, tmp_path: Path, url: str) -> None:
    done = run("timestamp", asked.root, "--url", url, "--ca", tmp_path / "pin")
    assert done.exit_code == 2
    assert "'--url'" in done.output
    assert "is not an address" in done.output


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_an_export_replaces_plain_files_only(asked: Growing, tmp_path: Path, force: tuple[str, ...]) -> None:
    """No device, as /dev/null, no pipe, no link; and a folder that is not there is named."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("pipe", "link"):
        done = run("export", asked.root, "--format", "csv", "--output", tmp_path / name, *force)
        assert status(done) == 2
        assert "is not a regular file" in str(done.exception)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "mine"
    assert (tmp_path / "pipe").is_fifo()
    done = run("export", asked.root, "--format", "csv", "--output", tmp_path / "no" / "out", *force)
    assert status(done) == 2
    assert f"{tmp_path / 'no'} is not a folder" in str(done.exception)


def test_a_mirror_may_be_the_folder_one_is_in(
    asked: Growing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    assert run("mirror", asked.root, ".").exit_code == 0
    assert (tmp_path / "copy" / "checkpoint").read_bytes() == (asked.root / "checkpoint").read_bytes()
    assert status(run("mirror", asked.root, "/")) == 2


def test_a_name_in_a_message_controls_no_terminal(
    asked: Growing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(asked.root, copy)
    for number in range(2):
        (copy / f"\x1b[2J\x9b31m王\udcff{number}").write_bytes(b"")
    listed = json.loads(run("verify", copy, "--json").stdout)["failures"]
    assert [one["place"] for one in listed] == sorted(file.name for file in copy.glob("\x1b*"))
    monkeypatch.setattr(sys, "argv", ["hedui", "ledger", "verify", str(copy)])
    with pytest.raises(SystemExit):
        root.run()
    told = capsys.readouterr()
    for stream in (told.out, told.err):
        assert "\\x1b[2J\\x9b31m王\\udcff" in stream
        assert stream.replace("\n", "").isprintable()
