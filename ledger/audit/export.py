"""Entries as rows: CSV for spreadsheets, JSON Lines for programs; one row at a time.

| column | content |
|---|---|
| ``index`` | place in the log, from 0 |
| ``time`` | of the entry, RFC 3339 UTC |
| ``type`` | such as ``query.intent``; empty where the leaf is no entry |
| ``id`` | of the entry |
| ``by`` | member whose key signed first; empty where the key is no member's |
| ``signers`` | members of the further signatures |
| ``void`` | code, where the entry has no effect; else empty (null in JSON) |
| ``grants`` | grants it belongs to, by itself or by its question |
| ``purpose`` | of its question or grant |
| ``query`` | question it speaks of; for an intent its own id |
| ``dataset`` | dataset it speaks of |
| ``code`` | code, decision or result in its body |
| ``body`` | the whole body: JSON |

CSV is RFC 4180 in UTF-8 with a byte order mark, so that spreadsheets read Chinese right. Lists are joined by
a space. A cell that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, a tab
or a line break, in full width too) gets an apostrophe before it; ``body`` begins with a brace. JSON Lines
has the same names, with lists and the body as JSON, and changes no text: what a terminal may obey (controls,
marks of direction) and what other programs take for a line's end is escaped.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ledger.audit.search import SearchHit

COLUMNS = (
    "index",
    "time",
    "type",
    "id",
    "by",
    "signers",
    "void",
    "grants",
    "purpose",
    "query",
    "dataset",
    "code",
    "body",
)
BYTE_ORDER_MARK = "\ufeff"
_UNSHOWN = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Controls that JSON leaves as they are, invisible characters and marks of direction."""
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a formula begins with."""


def row(found: SearchHit) -> dict[str, Any]:
    """The columns of an entry, as JSON values."""
    entry = found.entry
    body: Mapping[str, Any] = {} if entry is None else entry.body
    is_intent = entry is not None and entry.type == "query.intent"
    return {
        "index": found.index,
        "time": None if entry is None else entry.time,
        "type": None if entry is None else entry.type,
        "id": None if entry is None else entry.id,
        "by": found.by,
        "signers": list(found.signers),
        "void": found.void,
        "grants": list(found.grants),
        "purpose": found.purpose,
        "query": entry.id if is_intent and entry is not None else body.get("query"),
        "dataset": body.get("dataset"),
        "code": next((body[name] for name in ("code", "decision", "result") if name in body), None),
        "body": None if entry is None else entry.body,
    }


def jsonl(entries: Iterable[SearchHit]) -> Iterator[str]:
    """JSON Lines: each line with its newline."""
    for found in entries:
        yield json_line(row(found)) + "\n"


def json_line(value: Any) -> str:
    """A value as one line of JSON that a terminal shows as it is."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_lines(entries: Iterable[SearchHit]) -> Iterator[str]:
    """CSV: the heading with the byte order mark, then a record an entry, each with its line end."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    yield BYTE_ORDER_MARK + _line(writer, buffer, COLUMNS)
    for found in entries:
        yield _line(writer, buffer, [_cell(value) for value in row(found).values()])


FORMATS: Mapping[str, Callable[[Iterable[SearchHit]], Iterator[str]]] = {"csv": csv_lines, "jsonl": jsonl}
"""Writer by the format's name."""


def _cell(value: Any) -> str:
    """A value as the text of a cell that no spreadsheet computes."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(writer: Any, buffer: io.StringIO, cells: Iterable[str]) -> str:
    buffer.seek(0)
    buffer.truncate()
    writer.writerow(cells)
    return buffer.getvalue()
