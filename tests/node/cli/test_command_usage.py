"""Commands that act on a node refuse what names nothing, before they ask a node or a key of anything."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from node.cli.consent import consent
from node.cli.dataset import dataset
from node.cli.demo import program
from node.cli.sumkey import share
from node.errors import EXIT_USAGE, UsageError, exit_code

DATASETS = """
[[dataset]]
id = "tax.income"
title = "income"
kind = "member"
source = "csv:income.csv"
identifier = "id"
as_of = "2026-10-31"
"""


def run(group: click.Group, *arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def refused(done: Result) -> str:
    """The message of a usage error."""
    assert isinstance(done.exception, UsageError), done.output
    assert exit_code(done.exception) == EXIT_USAGE
    return str(done.exception)


def test_a_dataset_that_the_file_does_not_describe(tmp_path: Path) -> None:
    file = tmp_path / "datasets.toml"
    file.write_text(DATASETS)
    words = ("publish", tmp_path, file, "--epoch", "2026-11")
    said = refused(run(dataset, *words, "--only", "tax.incom"))
    assert said == f"--only tax.incom: {file} describes no such dataset; there are tax.income"
    file.write_text("")
    for more in ((), ("--only", "tax.income")):
        assert "describes no dataset" in refused(run(dataset, *words, *more))


def test_a_folder_without_applications(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    for place in (tmp_path, tmp_path / "notes.txt"):
        assert f"{place} contains no application" in refused(run(consent, "load", tmp_path, place))


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "2026-1", "202611", "2026-11-01", "soon"])
def test_a_month_of_no_calendar(tmp_path: Path, month: str) -> None:
    done = run(consent, "allow", tmp_path, "2026-000123", "--month", month, "--reason", "appeal")
    assert done.exit_code == EXIT_USAGE
    assert f"'--month': {month} is not a month: write YYYY-MM" in done.output


@pytest.mark.parametrize("digest", ["abc", "AB" * 32, "ab" * 31, ""])
def test_a_list_that_is_no_digest(tmp_path: Path, digest: str) -> None:
    done = run(share, "except", tmp_path, "ab" * 16, "--list", digest, "--reason", "appeal")
    assert refused(done).startswith(f"--list {digest} is not a digest")


def test_a_command_to_paste_starts_the_program_as_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its path, by its name where that is found, or by its module."""
    folder = tmp_path / "a b"
    folder.mkdir()
    script = folder / "hedui"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == [str(script)]
    monkeypatch.setenv("PATH", str(folder))
    assert program() == ["hedui"]
    monkeypatch.setattr(sys, "argv", [str(folder / "node" / "cli" / "__main__.py"), "demo"])
    assert program() == [sys.executable, "-m", "node.cli"]
