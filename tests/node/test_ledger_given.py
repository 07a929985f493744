"""What the commands of `hedui ledger` are given: policies in every form, an authority's address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.ledger import ledger as command
from node.cli.ledger_options import policy_place
from node.errors import exit_code
from tests.ledger.contract_cases import answered
from tests.ledger.log_cases import POLICY, real_leaves
from tests.ledger.public_cases import Growing
from tests.node.pinned import OTHER, PINNED, nobodys_settings


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


def test_a_home_is_pinned_by_its_own_file(tmp_path: Path) -> None:
    assert policy_place("http://a.example/log/") == "http://a.example/log/policy"
    (tmp_path / "node.toml").write_text("")
    assert policy_place(str(tmp_path)) == f"{tmp_path}/network.json"


@pytest.mark.parametrize("url", ["notaurl", "ftp://tsa.example/", "http://", "http://[1/", "http://a:x/"])
def test_an_authority_needs_an_address(asked: Growing, tmp_path: Path, url: str) -> None:
    done = run("timestamp", asked.root, "--url", url, "--ca", tmp_path / "pin")
    assert done.exit_code == 2
    assert "'--url'" in done.output
    assert "is no address" in done.output
