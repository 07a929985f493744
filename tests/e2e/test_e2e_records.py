"""Journals, public log and case files of a whole run of the demo, side by side; and a stamped checkpoint.

The homes are those that the members' own processes left. What is changed is a copy.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.source import read_entries
from tests.e2e.shared_network import Done, quickly
from tests.ledger.audit.static_server import serving as web
from tests.ledger.formats.timestamp_authority import OPENSSL, WITHOUT, Authority, serving
from tests.ledger.formats.timestamp_authority import POLICY as TSA_POLICY

OK, INVALID, USAGE, UNAVAILABLE, DIFFERENT = 0, 1, 2, 3, 4
LATER = "2099-01-01T00:00:00Z"
Run = Path


@pytest.fixture(params=["second", "generated"])
def run(request: pytest.FixtureRequest) -> Run:
    """Result of either run."""
    found: Path = request.getfixturevalue(f"{request.param}_run")
    return found


@pytest.fixture
def copy(second_run: Path, tmp_path: Path) -> Path:
    """A run whose homes, reports and log may be changed."""
    for name in ("members", "reports", "ledger"):
        shutil.copytree(second_run / name, tmp_path / name, ignore=shutil.ignore_patterns("publications"))
    return tmp_path


def reconcile(out: Path, *more: object, source: object = None) -> Done:
    """The command over everything a run has left."""
    homes = [word for home in sorted((out / "members").iterdir()) for word in ("--home", home)]
    log = out / "ledger" if source is None else source
    return quickly("ledger", "reconcile", log, *homes, "--reports", out / "reports", *more)


def differences(done: Done) -> list[dict[str, Any]]:
    """What the command found, as JSON."""
    assert done.returncode == DIFFERENT, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["differences"]
    return found


def office(out: Path) -> Path:
    """The office's home."""
    return next(home for home in (out / "members").iterdir() if (home / "openings").is_dir())


def change(home: Path, sql: str, *values: object) -> int:
    """Change a home's database; number of rows."""
    with contextlib.closing(sqlite3.connect(home / "node.db")) as database, database:
        return database.execute(sql, values).rowcount


def bodies(out: Path, kind: str) -> list[dict[str, Any]]:
    """Bodies of the log's entries of one type."""
    return [entry.body for _, entry in read_entries(out / "ledger") if entry.type == kind]


def test_a_clean_run_reconciles(run: Run) -> None:
    for more in ((), ("--as-of", LATER)):
        done = reconcile(run, "--json", *more)
        assert done.returncode == OK, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert (found["differs"], found["differences"], found["pending"]) == (False, [], 0)
        assert found["compared"]["reports"] == len(list((run / "reports").glob("*.json")))
        assert found["slots"]
        assert all(slot["taken"] == slot["used"] for slot in found["slots"])
    assert "Nothing differs" in reconcile(run, "--language", "en").stdout
    assert "各方一致" in reconcile(run, "--language", "zh").stdout


def test_the_log_may_lie_under_a_url(second_run: Path) -> None:
    with web(second_run / "ledger") as served:
        assert reconcile(second_run, source=served.url).returncode == OK


def test_each_changed_side_is_named(copy: Path) -> None:
    answered = next(body for body in bodies(copy, "query.answer") if body["result"] == "answered")
    owner = copy / "members" / answered["dataset"].partition(".")[0]
    key = (answered["query"], answered["dataset"])
    assert change(owner, "DELETE FROM journal WHERE query = ? AND dataset = ?", *key) == 1
    released = bodies(copy, "share.release")[0]
    [trustee] = [home for home in (copy / "members").iterdir() if has_rows(home, "release")]
    assert change(trustee, "UPDATE journal SET record = ? WHERE query = ?", "ab" * 32, released["query"])
    hidden = bodies(copy, "query.close")[-1]["query"]
    assert change(office(copy), "DELETE FROM office_check WHERE query = ?", hidden) == 1
    report = next(
        path for path in sorted((copy / "reports").glob("*.json")) if hidden not in path.read_text()
    )
    report.unlink()
    found = differences(reconcile(copy, "--json", "--as-of", LATER))
    named = {(one["code"], one["query"]) for one in found}
    assert ("answer_not_in_journal", answered["query"]) in named
    assert ("release_digest", released["query"]) in named
    assert ("question_hidden", hidden) in named
    assert sum(one["code"] == "case_file_missing" and one["about"] == "report" for one in found) == 1
    assert all(one["text"]["en"] and one["text"]["zh"] for one in found)


def has_rows(home: Path, table: str) -> bool:
    """Whether a home's database has a row in a table."""
    with contextlib.closing(sqlite3.connect(home / "node.db")) as database:
        return database.execute(f"SELECT 1 FROM {table}").fetchone() is not None


def test_a_report_of_another_network(copy: Path, generated_run: Path) -> None:
    report = next((generated_run / "reports").glob("*.json"))
    shutil.copy(report, copy / "reports" / "stranger.json")
    found = differences(reconcile(copy, "--json"))
    assert "report_other_log" in {one["code"] for one in found}


def test_an_auditor_without_the_homes(second_run: Path, tmp_path: Path) -> None:
    """From exported journals alone; one that was changed is no journal any more."""
    files: list[object] = []
    for home in sorted((second_run / "members").iterdir()):
        path = tmp_path / f"{home.name}.journal"
        done = quickly("node", "journal", home, "--output", path, "--closings")
        assert done.returncode == OK, done.stderr
        files += ["--journal", path]
    arguments = ("ledger", "reconcile", second_run / "ledger", *files, "--reports", second_run / "reports")
    done = quickly(*arguments, "--as-of", LATER)
    assert done.returncode == OK, done.stdout + done.stderr
    path = Path(str(files[1]))
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    assert quickly(*arguments).returncode == INVALID


def test_what_cannot_be_compared_is_an_error(second_run: Path, generated_run: Path, tmp_path: Path) -> None:
    """Not a difference: no log there, a home of another network, a time that is none, no report."""
    (tmp_path / "x.json").write_text("{}", encoding="ascii")
    home = next((generated_run / "members").iterdir())
    log = second_run / "ledger"
    for status, arguments in (
        (USAGE, (tmp_path, "--reports", tmp_path)),
        (USAGE, (log,)),
        (USAGE, (log, "--home", home)),
        (USAGE, (log, "--reports", second_run / "reports", "--as-of", "yesterday")),
        (INVALID, (log, "--reports", tmp_path)),
    ):
        done = quickly("ledger", "reconcile", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stderr


@pytest.mark.skipif(OPENSSL is None, reason=WITHOUT)
def test_a_stamped_copy_of_the_log(copy: Path, tmp_path: Path) -> None:
    """The auditor has its copy stamped; the verifier shows the stamp, and verifies it if it can."""
    authority = Authority(tmp_path / "tsa")
    log, ca = copy / "ledger", tmp_path / "tsa" / "root.pem"
    kind = "application/timestamp-reply"
    with serving(lambda request: (200, kind, authority.post(request))) as url:
        command = ("ledger", "timestamp", log, "--url", url, "--ca", ca)
        assert quickly(*command, "--tsa-policy", "1.2.3").returncode == INVALID
        done = quickly(*command, "--tsa-policy", TSA_POLICY, "--json")
        assert (done.returncode, json.loads(done.stdout)["stamped"]) == (OK, True), done.stderr
        assert "stamped already" in quickly(*command).stdout
    assert quickly(*command[:2], tmp_path, *command[3:]).returncode == USAGE
    policy = ("--policy", log / "policy")
    [stamp] = json.loads(quickly("ledger", "verify", log, *policy, "--json").stdout)["timestamps"]
    assert (stamp["size"], stamp["verified"]) == (len(list(read_entries(log))), False)
    done = quickly("ledger", "verify", log, *policy, "--tsa-ca", ca, "--json")
    assert json.loads(done.stdout)["timestamps"][0]["verified"] is True
    assert "not verified" in quickly("ledger", "verify", log, *policy).stdout
    other = Authority(tmp_path / "other")
    done = quickly("ledger", "verify", log, *policy, "--tsa-ca", other.folder / "root.pem")
    assert done.returncode == INVALID
    assert "timestamp at" in done.stderr


@pytest.mark.skipif(OPENSSL is None, reason=WITHOUT)
def test_an_authority_out_of_reach(copy: Path, tmp_path: Path) -> None:
    ca = Authority(tmp_path / "tsa").folder / "root.pem"
    with serving(lambda _: (500, "text/plain", b"")) as url:
        done = quickly("ledger", "timestamp", copy / "ledger", "--url", url, "--ca", ca)
    assert done.returncode == UNAVAILABLE
    assert not (copy / "ledger" / "timestamps").exists()
