"""Rows for spreadsheets and programs: every entry once, every column, nothing that a spreadsheet computes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from ledger.audit.search import (
    BYTE_ORDER_MARK,
    COLUMNS,
    SearchFilter,
    SearchHit,
    csv_lines,
    jsonl,
    row,
    search,
)
from ledger.audit.source import FolderSource
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.contract.contract_cases import answered
from tests.ledger.sequencer.log_cases import real_leaves


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[SearchHit]:
    net = answered()
    log = Growing(tmp_path_factory.mktemp("log") / "public")
    log.add(*real_leaves(net), b"no entry")
    return list(search(FolderSource(log.root), SearchFilter()))


def records(entries: list[SearchHit]) -> list[dict[str, str]]:
    text = "".join(csv_lines(entries))
    assert text.startswith(BYTE_ORDER_MARK + "index,")
    return list(csv.DictReader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")))


def test_json_lines_hold_every_column(entries: list[SearchHit]) -> None:
    lines = [json.loads(line) for line in jsonl(entries)]
    assert [tuple(line) for line in lines] == [COLUMNS] * len(entries)
    for line, found in zip(lines, entries, strict=True):
        assert line["index"] == found.index
        assert line["body"] == (None if found.entry is None else found.entry.body)
    assert [line["void"] for line in lines if line["void"]] == ["entry"]
    intent = next(line for line in lines if line["type"] == "query.intent")
    assert (intent["query"], intent["by"]) == (intent["id"], "office")
    answers = [line for line in lines if line["type"] == "query.answer"]
    assert {line["query"] for line in answers} == {intent["id"]}
    assert {line["code"] for line in answers} == {"answered"}
    assert all(line["dataset"] for line in answers)


def test_csv_says_the_same(entries: list[SearchHit]) -> None:
    found = records(entries)
    assert len(found) == len(entries)
    for record, entry in zip(found, entries, strict=True):
        value = row(entry)
        assert record["index"] == str(value["index"])
        assert record["signers"] == " ".join(value["signers"])
        assert record["body"] == "" if value["body"] is None else json.loads(record["body"]) == value["body"]


def test_json_lines_give_a_terminal_nothing_to_obey(entries: list[SearchHit]) -> None:
    base = next(found for found in entries if found.entry is not None)
    assert base.entry is not None
    wild = "\x1b[2J\x9b2J\u202e\u2028\ufeff\x7f 王"
    found = replace(base, entry=replace(base.entry, body={"reason": wild}))
    (line,) = jsonl([found])
    assert line.rstrip("\n").isprintable()
    assert "王" in line
    assert json.loads(line)["body"] == {"reason": wild}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(entries: list[SearchHit], text: str) -> None:
    base = entries[0]
    bad = SearchHit(0, base.leaf, base.entry, text, text, (text, "b"), (text,), text)
    [record] = records([bad])
    for name in ("void", "by", "signers", "grants", "purpose"):
        assert record[name].startswith("'")
        assert record[name].removeprefix("'").split(" ")[0].startswith(text)
    assert all(not cell.startswith(tuple("=+-@\t\r\n")) for cell in record.values())
    assert json.loads(next(jsonl([bad])))["purpose"] == text


def test_quotes_commas_and_line_ends_stay_in_their_cell(entries: list[SearchHit]) -> None:
    base = entries[0]
    odd = SearchHit(0, base.leaf, base.entry, None, 'a,"b"\n,c', (), (), "低保,")
    [record] = records([odd])
    assert (record["by"], record["purpose"]) == ('a,"b"\n,c', "低保,")
