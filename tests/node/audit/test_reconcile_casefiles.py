"""The office's case files and the registrar's book against the ledger: each side is changed, and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import canonical
from ledger.audit.source import FolderSource
from ledger.entries.entry import parse
from node.audit.reconcile.compare import reconcile
from node.audit.reconcile.difference import ABSENT, CODES, DIFFERENCE_TEXTS, SIDE_TEXTS, SIDES
from node.audit.reconcile.sides import CaseFiles, read_case_files, read_policy, replayed
from node.errors import ReportError, UsageError
from node.messages.catalogue import Messages
from node.office.inquiry import read_inquiry
from node.store import tables
from tests.node.audit.reconciled_network import (
    DAY,
    History,
    changed,
    codes,
    moved,
    only,
    shared_history,
    without,
)
from tests.node.network_in_memory import ROLES


@pytest.fixture
def history() -> History:
    return shared_history()


@pytest.fixture(autouse=True)
def agrees_afterwards(history: History) -> Iterator[None]:
    """Each test restores what it removed."""
    yield
    assert codes(history.compare(days=2)) == []


def file_of(history: History, name: str) -> Path:
    """The report of a kind of check."""
    query = history.queries[name]
    return next(path for path in sorted(history.reports.glob("*.json")) if query in path.read_text("utf-8"))


def rewritten(history: History, tmp_path: Path, name: str, **changes: Any) -> CaseFiles:
    """The case files with one report that says something else."""
    for path in history.reports.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / file_of(history, name).name
    value = canonical.decode(path.read_bytes(), max_bytes=1 << 24, max_depth=16)
    assert isinstance(value, dict)
    path.write_bytes(canonical.encode(value | changes))
    return read_case_files(tmp_path, history.openings)


def compared(history: History, files: CaseFiles) -> Any:
    """Reconcile with other case files."""
    journals = [history.journal(member) for member in ROLES]
    return reconcile(history.ledger(), journals, files, history.net.now)


def content(history: History, name: str) -> dict[str, Any]:
    """The report of a kind of check."""
    value: dict[str, Any] = json.loads(file_of(history, name).read_bytes())
    return value


# Questions.


def test_a_hidden_question(history: History, tmp_path: Path) -> None:
    """Its record taken out of the store; then its files too; files alone accuse nobody."""
    query, store = history.queries["total"], history.services("office").store
    report = file_of(history, "total")
    with without(store, tables.office_check, query=query):
        sides = only(history.compare(), "question_hidden")
        assert sides == {"ledger": "intent", "journal": ABSENT, "case_file": "present"}
        with (
            moved(report, tmp_path / "report"),
            moved(history.openings / report.name, tmp_path / "openings"),
        ):
            assert only(history.compare(), "question_hidden") == {"ledger": "intent", "journal": ABSENT}
            assert codes(history.compare(members=())) == [], (
                "a folder of files says of nothing that it is all"
            )


@pytest.mark.parametrize("name", ["total", "refused"])
def test_a_dropped_case_file(history: History, tmp_path: Path, name: str) -> None:
    report = file_of(history, name)
    with moved(report, tmp_path / "report"):
        found = history.compare()
        only(found, "case_file_missing")
        assert (found.differences[0].query, found.differences[0].about) == (history.queries[name], "report")
    with moved(history.openings / report.name, tmp_path / "openings"):
        found = history.compare()
        only(found, "case_file_missing")
        assert found.differences[0].about == "openings"


def test_an_older_report_of_the_same_case_is_not_missing(history: History) -> None:
    """A case that is asked again has the newer check's report under its number."""
    [row] = history.services("office").store.all(tables.office_check, query=history.queries["veto"])
    current = read_inquiry(row)
    total = history.services("office").store.one(tables.office_check, query=history.queries["total"])
    assert total is not None
    current.case = json.loads(total["document"])["case"]
    with changed(
        history.services("office").store,
        tables.office_check,
        {"query": current.query},
        document=json.dumps(current.to_json()),
    ):
        # The veto was asked after the total: the total's report may be gone, the veto's may not.
        report = file_of(history, "total")
        with moved(report, report.with_suffix(".aside")), moved_openings(history, report):
            assert codes(history.compare()) == []
        report = file_of(history, "veto")
        with moved(report, report.with_suffix(".aside")):
            only(history.compare(), "case_file_missing")


def moved_openings(history: History, report: Path) -> Any:
    """The openings beside a report are elsewhere."""
    path = history.openings / report.name
    return moved(path, path.with_suffix(".aside"))


def test_a_question_that_the_ledger_does_not_have(history: History) -> None:
    """Left out of the log, or ordered and refused by the contract because its registrar was not admitted."""
    query = history.queries["late"]
    found = history.withheld(lambda entry: entry.id == query)
    assert codes(found).count("intent_not_on_ledger") == 1
    assert "answer_without_intent" in codes(found)
    grant = "g-police"
    found = history.withheld(lambda entry: entry.type == "grant.decide" and entry.body["grant"] == grant)
    void = [one for one in found.differences if one.code == "intent_void"]
    assert len(void) == len(history.queries) - 1
    assert dict(void[0].sides) == {"ledger": "void:grant_not_approved", "journal": "done"}


def test_another_certificate(history: History, tmp_path: Path) -> None:
    office, desk = history.services("office").store, history.services("desk").store
    query = history.queries["total"]
    [row] = office.all(tables.office_check, query=query)
    document = json.loads(row["document"])
    document["certificate"]["count"] += 4
    with changed(office, tables.office_check, {"query": query}, document=json.dumps(document)):
        only(history.compare(), "certificate_differs")
    [row] = desk.all(tables.certificate, query=query)
    document = json.loads(row["document"])
    document["certificate"]["count"] += 4
    with changed(desk, tables.certificate, {"query": query}, document=json.dumps(document)):
        assert history.compare().differences[0].who == "desk"
    with without(desk, tables.certificate, query=query):
        assert only(history.compare(), "certificate_not_in_journal")["journal"] == ABSENT
    certificate = content(history, "total")["certificate"] | {"count": 8}
    found = compared(history, rewritten(history, tmp_path, "total", certificate=certificate))
    assert "certificate_differs" in codes(found)


# Closes.


def test_closes_that_do_not_open(history: History, tmp_path: Path) -> None:
    """Another salt in the report, another total, the salts gone, the check still open."""
    salt = {"salt": "ab" * 32}
    only(compared(history, rewritten(history, tmp_path, "veto", **salt)), "close_report")
    total = content(history, "total")["total"]
    total["list"]["case"] = 5
    found = compared(history, rewritten(history, tmp_path, "total", total=total))
    assert codes(found) == ["close_report", "close_total", "release_digest"]
    store, query = history.services("office").store, history.queries["veto"]
    [row] = store.all(tables.office_check, query=query)
    for change in ({"closing": {}}, {"state": "logged"}):
        document = json.dumps(json.loads(row["document"]) | change)
        with changed(store, tables.office_check, {"query": query}, document=document):
            assert codes(history.compare())[0] == "close_unknown"


def test_a_total_shown_where_none_was_opened(history: History, tmp_path: Path) -> None:
    total = content(history, "total")["total"]
    found = compared(history, rewritten(history, tmp_path, "veto", total=total))
    assert codes(found) == ["close_report", "close_total", "release_digest"]


# Reports.


def test_an_answer_changed_or_left_out(history: History, tmp_path: Path) -> None:
    answers = content(history, "late")["answers"]
    other = {**answers, "tax.income": answers["tax.income"] | {"salt": "ab" * 32}}
    found = compared(history, rewritten(history, tmp_path, "late", answers=other))
    assert codes(found) == ["answer_digest", "close_report"]
    fewer = {name: value for name, value in answers.items() if name != "tax.income"}
    found = compared(history, rewritten(history, tmp_path, "late", answers=fewer))
    assert codes(found) == ["answer_not_in_report", "close_report"]
    assert found.differences[0].about == "tax.income"


def test_receipts_of_another_log(history: History, tmp_path: Path) -> None:
    """Another policy; a checkpoint that the log never signed; an entry that stands elsewhere."""
    found = compared(history, rewritten(history, tmp_path, "veto", policy="ab" * 32))
    assert codes(found) == ["report_other_log", "close_report"]
    part = content(history, "veto")["ledger"]
    note = part["checkpoint"]
    origin, size, *rest = note.split("\n")
    for other in ("\n".join((origin, str(int(size) - 1), *rest)), note.replace(origin, "elsewhere", 1)):
        changed_part = part | {"checkpoint": other}
        found = compared(history, rewritten(history, tmp_path, "veto", ledger=changed_part))
        assert codes(found) == ["report_other_log", "close_report"]
    entries = [item | {"index": item["index"] + 1} for item in part["entries"][:1]]
    found = compared(history, rewritten(history, tmp_path, "veto", ledger=part | {"entries": entries}))
    assert codes(found) == ["report_other_log", "close_report"]


def test_the_same_key_over_another_history(history: History) -> None:
    """A split view: the log showed the office a tree that this copy is not."""
    leaves = history.leaves()
    one, two, *_ = [index for index, leaf in enumerate(leaves) if parse(leaf).type == "incident"]
    leaves[one], leaves[two] = leaves[two], leaves[one]
    ledger = replayed(read_policy(history.public), leaves)
    other = reconcile(ledger, [], history.files(), history.net.now)
    assert set(codes(other)) == {"report_other_log"}
    assert {(each.query, each.about) for each in other.differences} == {
        (history.queries["late"], "checkpoint")
    }


def test_a_report_newer_than_this_copy_is_pending(history: History) -> None:
    leaves = history.leaves()
    places = [index for index, leaf in enumerate(leaves) if parse(leaf).id == history.queries["late"]]
    ledger = replayed(read_policy(history.public), leaves[: places[0]])
    found = reconcile(ledger, [], history.files(), history.net.now)
    assert codes(found) == []
    assert found.pending > 0


# Reading.


def test_files_that_are_none(history: History, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ReportError, match="no report"):
        read_case_files(tmp_path, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no report"):
        read_case_files(tmp_path / "empty", None)
    with pytest.raises(ReportError, match="no openings"):
        read_case_files(None, tmp_path)
    with pytest.raises(UsageError, match="policy"):
        read_policy(FolderSource(tmp_path))
    journal = history.journal("tax")
    with pytest.raises(UsageError, match="twice"):
        reconcile(history.ledger(), [journal, journal], CaseFiles(), DAY)


def test_every_code_and_side_has_a_text() -> None:
    wanted = [DIFFERENCE_TEXTS[code] for code in CODES] + [SIDE_TEXTS[side] for side in SIDES]
    assert all(Messages(tag).translate(text) for tag in ("en", "zh") for text in wanted)
    assert [text for text in wanted if Messages("zh").translate(text) == text] == []
