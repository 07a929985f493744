"""The commands `hedui report verify` and `hedui report html`: policy, exit statuses, JSON, languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger import canonical
from node.cli.report import report as command
from node.errors import UsageError, exit_code
from node.office.report import build_openings
from node.report.findings import CheckFailedError
from node.report.policies import trusted_policy
from tests.node.report.households import finished, report
from tests.node.report.world import world


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a report, its openings, its policy; nothing pinned."""
    monkeypatch.setenv("HEDUI_CONFIG", str(tmp_path / "config"))
    (tmp_path / "report.json").write_bytes(report("vetoed"))
    (tmp_path / "openings.json").write_bytes(build_openings(finished("vetoed")))
    (tmp_path / "policy").write_text(world().policy.format())
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_valid_report(place: Path) -> None:
    done = run("verify", place / "report.json", "--policy", place / "policy", "--language", "en")
    assert (done.exit_code, done.output) == (0, "valid\n")
    done = run("verify", place / "report.json", "--policy", place / "policy", "--language", "zh")
    assert (done.exit_code, done.output) == (0, "有效\n")
    done = run(
        "verify",
        place / "report.json",
        "--policy",
        place / "policy",
        "--json",
        "--openings",
        place / "openings.json",
    )
    assert done.exit_code == 0
    assert json.loads(done.output) == {"valid": True, "failures": []}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_in_a_report_controls_the_terminal_or_forges_a_line(place: Path, language: str) -> None:
    value = json.loads(report("vetoed"))
    hostile = "\x1b]0;owned\x07\u202e\nvalid"
    value["answers"][hostile] = value["answers"].pop("tax.owner")
    (place / "report.json").write_bytes(canonical.encode(value))
    done = run("verify", place / "report.json", "--policy", place / "policy", "--language", language)
    assert done.exit_code == 1
    assert "]0;owned" in done.output
    assert "\x1b" not in done.output
    assert "\x07" not in done.output
    assert "\u202e" not in done.output
    assert not any(line.startswith("valid") for line in done.output.splitlines())


def test_an_invalid_report_names_every_check(place: Path) -> None:
    value = json.loads(report("vetoed"))
    value["verdict"]["outcome"] = "dibao"
    value["answers"]["tax.owner"]["salt"] = "00" * 32
    (place / "report.json").write_bytes(canonical.encode(value))
    done = run("verify", place / "report.json", "--policy", place / "policy", "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["valid"] is False
    assert {item["check"] for item in found["failures"]} == {"seal", "answer", "verdict"}
    assert all(item.keys() == {"check", "line", "reason"} for item in found["failures"])
    assert {item["line"] for item in found["failures"] if item["check"] == "answer"} == {"tax.owner"}
    text = run("verify", place / "report.json", "--policy", place / "policy", "--language", "zh").output
    assert "无效" in text
    assert "answer，第 tax.owner 行" in text


def test_other_openings_fail(place: Path) -> None:
    (place / "openings.json").write_bytes(build_openings(finished("total")))
    done = run(
        "verify",
        place / "report.json",
        "--policy",
        place / "policy",
        "--openings",
        place / "openings.json",
        "--json",
    )
    assert done.exit_code == 1
    assert {item["check"] for item in json.loads(done.output)["failures"]} == {"identity"}


def test_without_a_policy_nothing_is_verified(place: Path) -> None:
    done = run("verify", place / "report.json")
    assert isinstance(done.exception, UsageError)
    assert exit_code(done.exception) == 2
    (place / "empty").mkdir()
    assert isinstance(run("verify", place / "report.json", "--policy", place / "empty").exception, UsageError)
    assert isinstance(
        run("verify", place / "report.json", "--policy", place / "report.json").exception, UsageError
    )
    assert run("verify", place / "report.json", "--policy", place / "absent").exit_code == 2
    assert run("verify", place / "absent", "--policy", place / "policy").exit_code == 2


def test_a_pinned_policy_is_used(place: Path) -> None:
    pinned = place / "config" / "policies"
    pinned.mkdir(parents=True)
    (pinned / "s-county").write_text(world().policy.format())
    (pinned / "notes.txt").write_text("nothing of ours")
    assert run("verify", place / "report.json").exit_code == 0


def test_a_folder_holds_policies_of_several_networks(place: Path) -> None:
    folder = place / "policies"
    folder.mkdir()
    (folder / "other").write_text(world("t-county").policy.format())
    done = run("verify", place / "report.json", "--policy", folder, "--json")
    assert done.exit_code == 1
    assert {"policy", "checkpoint"} == {item["check"] for item in json.loads(done.output)["failures"]}
    (folder / "own").write_text("# the county's\n" + world().policy.format())
    assert run("verify", place / "report.json", "--policy", folder).exit_code == 0
    chosen = trusted_policy(folder, place, world("t-county").policy.fingerprint)
    assert chosen == world("t-county").policy


def test_a_file_is_used_whatever_the_report_names(place: Path) -> None:
    (place / "other").write_text(world("t-county").policy.format())
    done = run("verify", place / "report.json", "--policy", place / "other", "--json")
    assert done.exit_code == 1
    assert {"policy", "checkpoint"} <= {item["check"] for item in json.loads(done.output)["failures"]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the report is no JSON"),
        (b"<!doctype html>", "the report is no JSON"),
        (report("vetoed")[:-100], "the report is no JSON"),
        (b"[]", "the report is no JSON object"),
        (b"{}", "report lacks answers, applied, case, certificate, household and 16 more"),
        (build_openings(finished("vetoed")), "report lacks answers, applied"),
    ],
)
def test_what_is_no_report_fails_one_check(place: Path, data: bytes, reason: str) -> None:
    """What else would be said of it means nothing."""
    (place / "report.json").write_bytes(data)
    words = ("verify", place / "report.json", "--policy", place / "policy")
    done = run(*words, "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)["failures"]
    assert {item["check"] for item in found} == {"form"}
    assert reason in next(item["reason"] for item in found)
    if len(found) == 1:
        assert run(*words, "--language", "en").output.startswith("invalid: 1 check fails\nform: ")


def test_fields_that_lack_or_are_too_many_are_named(place: Path) -> None:
    value = json.loads(report("vetoed"))
    del value["salt"]
    (place / "report.json").write_bytes(canonical.encode({**value, "extra": 1, "3301": 2}))
    done = run("verify", place / "report.json", "--policy", place / "policy", "--json")
    found = [item["reason"] for item in json.loads(done.output)["failures"] if item["check"] == "form"]
    assert found == ["report lacks salt", "report has what it must not have: extra, …"]


def test_html_prints_a_report_again(place: Path) -> None:
    assert run("html", place / "report.json", place / "page.html").exit_code == 0
    assert "2026-000004" in (place / "page.html").read_text()
    assert "王*" not in (place / "page.html").read_text()
    again = run("html", place / "report.json", place / "page.html")
    assert isinstance(again.exception, UsageError)
    assert "王*" not in (place / "page.html").read_text()
    done = run("html", place / "report.json", place / "other.html", "--openings", place / "openings.json")
    assert "王*" in (place / "other.html").read_text()
    assert done.output.startswith(f"{place / 'other.html'}: ")


def test_html_refuses_what_is_no_report(place: Path) -> None:
    (place / "report.json").write_bytes(b"{}")
    done = run("html", place / "report.json", place / "page.html")
    assert isinstance(done.exception, CheckFailedError)
    assert not (place / "page.html").exists()


def test_html_refuses_openings_of_another_household(place: Path) -> None:
    (place / "openings.json").write_bytes(build_openings(finished("total")))
    done = run("html", place / "report.json", place / "page.html", "--openings", place / "openings.json")
    assert isinstance(done.exception, CheckFailedError)


def test_html_refuses_a_form_without_content(place: Path) -> None:
    value = json.loads(report("vetoed"))
    for name in ("certificate", "ledger"):
        broken = (
            {**value, name: {**value[name], "datasets": [{}], "entries": []}}
            if name == "certificate"
            else value
        )
        if name == "ledger":
            broken["ledger"]["entries"][0]["leaf"] = {}
        (place / "report.json").write_bytes(canonical.encode(broken))
        assert isinstance(run("html", place / "report.json", place / "page.html").exception, CheckFailedError)
