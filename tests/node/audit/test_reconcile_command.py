"""What `hedui ledger reconcile` prints: what was compared and what was not, how many differ, whose slots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.audit.reconcile.compare import ROLES as SPEAKING
from node.audit.reconcile.compare import reconcile
from node.audit.reconcile.difference import Difference
from node.audit.reconcile.journal import export
from node.cli.ledger_reconcile import reconcile as command
from node.cli.ledger_reconcile import shown
from node.errors import UsageError
from node.messages.catalogue import Messages
from tests.node.audit.reconciled_network import History, shared_history
from tests.node.network_in_memory import ROLES

ENGLISH = Messages("en")


@pytest.fixture
def history() -> History:
    return shared_history()


def journal(history: History, member: str, folder: Path) -> Path:
    path = folder / f"{member}.journal"
    key = history.net.key(member)
    path.write_bytes(export(history.journal(member), key, history.net.now + 1, opened=True))
    return path


def run(history: History, *arguments: object) -> Result:
    words = [str(history.net.folder / "public"), *map(str, arguments), "--language", "en"]
    return CliRunner().invoke(command, words)


def test_nothing_to_compare_is_no_agreement(history: History) -> None:
    for more in ((), ("--openings", history.openings)):
        done = run(history, *more)
        assert isinstance(done.exception, UsageError)
        assert "give at least one --home, --journal or --reports" in str(done.exception)


def test_members_without_a_journal_are_named(history: History, tmp_path: Path) -> None:
    asked = sorted(member for member, roles in ROLES.items() if SPEAKING.intersection(roles))
    done = run(history, "--journal", journal(history, "tax", tmp_path))
    others = ", ".join(member for member in asked if member != "tax")
    assert f"Not compared, for no journal of them was given: {others}" in done.stdout
    done = run(history, "--journal", journal(history, "tax", tmp_path), "--json")
    compared = json.loads(done.stdout)["compared"]
    assert (compared["journals"], ", ".join(compared["not_compared"])) == (["tax"], others)
    whole = shown(history.compare(), ENGLISH)
    assert not any(line.startswith("Not compared") for line in whole)
    assert whole[-1] == "Nothing differs"


def test_closes_that_nothing_opens_are_named(history: History, tmp_path: Path) -> None:
    """No closings, or no journal of the office: its reports are not said to agree with their closes."""
    path = tmp_path / "office.journal"
    sealed = export(history.journal("office"), history.net.key("office"), history.net.now + 1, opened=False)
    path.write_bytes(sealed)
    count = len(history.files().reports) - 1
    assert count > 1, "one of them was refused and never asked"
    for more in (("--journal", path), ("--journal", journal(history, "tax", tmp_path))):
        done = run(history, "--reports", history.reports, *more)
        assert done.exit_code == 0, done.output
        assert f"Not compared: query.close of {count} reports, because no closings were given" in done.stdout
        assert done.stdout.endswith("Nothing differs in what was compared\n")
        done = run(history, "--reports", history.reports, *more, "--json")
        assert json.loads(done.stdout)["compared"]["closes_not_compared"] == count
    done = run(history, "--reports", history.reports, "--journal", journal(history, "office", tmp_path))
    assert "query.close" not in done.stdout
    assert history.compare().to_json()["compared"]["closes_not_compared"] == 0


def test_a_folder_without_files_of_the_office(history: History, tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    given = ("--journal", journal(history, "office", tmp_path))
    for option, said in (("--reports", "holds no report"), ("--openings", "contains no openings")):
        done = run(history, *given, option, tmp_path / "wrong")
        assert isinstance(done.exception, UsageError)
        assert said in str(done.exception)


def test_slots_name_who_gave_the_grant(history: History) -> None:
    assert any(
        line.startswith("Slots of hib's grant g-hib in 2") for line in shown(history.compare(), ENGLISH)
    )


def test_one_difference_is_not_two(history: History) -> None:
    found = reconcile(history.ledger(), [], history.files(), history.net.now)
    one = Difference("close_missing", history.queries["total"], "office", "", ())
    for count, end in (
        (1, "1 difference: ask the member named"),
        (2, "2 differences: ask the members named"),
    ):
        lines = shown(type(found)(**{**vars(found), "differences": (one,) * count}), ENGLISH)
        assert lines[-1] == end


def test_as_of_takes_a_day_or_a_time(history: History, tmp_path: Path) -> None:
    given = ("--journal", journal(history, "tax", tmp_path), "--as-of")
    for text in ("2026-11-23", "2026-11-23T00:00:00Z"):
        assert run(history, *given, text).exit_code == 0
    done = run(history, *given, "yesterday")
    assert isinstance(done.exception, UsageError)
    assert "YYYY-MM-DD" in str(done.exception)
