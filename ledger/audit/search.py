"""Searching a public log, and exporting what was found as rows.

Every entry is replayed from the first, and those that match are returned.

Only a replay knows whose key a signature is by, which entries are void, and which question or grant an
entry belongs to. An entry is *by* the member whose node key signed it first. It *names* the members that
signed it or appear in its body. It belongs to a grant or purpose if its own body says so, or the body of
the question (``query``) or grant that it refers to. Void entries are found too, and marked.

Nothing is verified here: run ``ledger.audit.verify`` on the same copy first.

**Export** writes entries one row at a time: CSV for spreadsheets, JSON Lines for programs.

| column | content |
|---|---|
| ``index`` | place in the log, from 0 |
| ``time`` | of the entry, RFC 3339 UTC |
| ``type`` | such as ``query.intent``; empty where the leaf is malformed |
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
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from ledger import contract
from ledger.audit.source import MAX_POLICY_BYTES, LogSource, read_checkpoint, read_leaves
from ledger.audit.verify import OnEntries
from ledger.audit.verify_files import check_policy
from ledger.contract.replay import Apply, Replay
from ledger.contract.state import PackedState, State
from ledger.entries.entry import Entry
from ledger.entries.times import LOCAL_OFFSET, check_date, format_time, parse_time
from ledger.errors import ReceiptError, VerificationError
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import TILE_WIDTH

_MEMBER_FIELDS = frozenset({"member", "office", "owner", "registrar", "requester", "trustees"})
_DATASET_FIELDS = frozenset({"dataset", "datasets", "deduct", "exclude", "income", "veto"})
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


@dataclass(frozen=True)
class SearchFilter:
    """The conditions of a search; every condition that is given must hold.

    Attributes:
        since, until: bounds of the entry's time, RFC 3339 UTC text, both included.
        member: signer, or named in the body.
        grant: id of a grant.
        purpose: purpose of a question or grant.
        type: an entry type, or its part before the dot.
        index: place of the entry.
        id: id of the entry.
        receipt: a receipt, which must prove the entry found at its index.
    """

    since: str | None = None
    until: str | None = None
    member: str | None = None
    grant: str | None = None
    purpose: str | None = None
    type: str | None = None
    index: int | None = None
    id: str | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class SearchHit:
    """An entry with what the replay found about it.

    Attributes:
        index: place in the log.
        leaf: its bytes.
        entry: the same, parsed; None where they are no entry.
        void: code of its refusal; None where it counts.
        by: member whose key signed first; None where the key is no member's.
        signers: members of the further signatures, in order, each once.
        grants: ids of the grants it belongs to, sorted.
        purpose: of the question or grant it belongs to.
    """

    index: int
    leaf: bytes
    entry: Entry | None
    void: str | None
    by: str | None
    signers: tuple[str, ...]
    grants: tuple[str, ...]
    purpose: str | None


def moment(text: str, *, is_end: bool = False) -> str:
    """A bound as RFC 3339 UTC: the text itself, or the beginning or end of a calendar day in UTC+8.

    Raises:
        ValueError: neither ``YYYY-MM-DD`` nor ``YYYY-MM-DDTHH:MM:SSZ``.
    """
    if "T" in text:
        parse_time(text)
        return text
    begin = datetime.combine(check_date(text), time(23, 59, 59) if is_end else time(), UTC)
    try:
        day = begin - LOCAL_OFFSET
    except OverflowError as error:
        raise ValueError("a day before the year 1 in UTC cannot be searched for") from error
    return format_time(int(day.timestamp()))


def search(
    source: LogSource,
    wanted: SearchFilter,
    progress: OnEntries | None = None,
    *,
    seen: Callable[[SearchHit], None] | None = None,
    apply: Apply = contract.apply,
) -> Iterator[SearchHit]:
    """The entries of a log that match, in order; streamed.

    Args:
        source: the log.
        wanted: the conditions.
        progress: told how far reading is.
        seen: called with every entry, whether it matches or not.
        apply: the contract.

    Raises:
        ReceiptError: the receipt does not prove the entry at its index, or the log is too short for it.
        VerificationError: the contract refuses the first entry.
        TileError: the log cannot be read.
        LogUnavailableError: the source is out of reach.
    """
    policy = None
    if wanted.receipt is not None:
        policy = check_policy(source.fetch("policy", MAX_POLICY_BYTES), None)
    has_receipt = False
    for found in replayed(source, progress, apply=apply):
        if seen is not None:
            seen(found)
        if wanted.receipt is not None and policy is not None:
            if found.index != wanted.receipt.index:
                continue
            wanted.receipt.verify(policy, found.leaf)
            has_receipt = True
        if matches(found, wanted):
            yield found
    if wanted.receipt is not None and not has_receipt:
        raise ReceiptError(f"the log has no entry {wanted.receipt.index} yet: bring the copy up to date")


def replayed(
    source: LogSource, progress: OnEntries | None = None, *, apply: Apply = contract.apply
) -> Iterator[SearchHit]:
    """Every entry of a log with what the replay found about it, in order; streamed.

    Raises:
        VerificationError: the contract refuses the first entry, without which every other is void.
        TileError: the log cannot be read.
        LogUnavailableError: the source is out of reach.
    """
    state = PackedState()
    replay = Replay(state, apply)
    size = read_checkpoint(source).size
    for index, leaf in enumerate(read_leaves(source)):
        step = replay.step(leaf)
        if index == 0 and step.void is not None:
            raise VerificationError(
                "genesis",
                "entry 0",
                f"is void ({step.void}), so nothing in this copy counts: verify the log first",
            )
        yield _found(state, index, leaf, step.entry, step.void)
        if progress is not None and (index + 1) % TILE_WIDTH == 0:
            progress(index + 1, max(size, index + 1))


def matches(found: SearchHit, wanted: SearchFilter) -> bool:
    """Whether an entry meets the conditions; a malformed leaf matches by its index only."""
    if wanted.index is not None and found.index != wanted.index:
        return False
    entry = found.entry
    if entry is None:
        return wanted == SearchFilter(index=wanted.index, receipt=wanted.receipt)
    return (
        _within(entry.time, wanted.since, wanted.until)
        and wanted.id in (None, entry.id)
        and wanted.type in (None, entry.type, entry.type.partition(".")[0])
        and wanted.purpose in (None, found.purpose)
        and (wanted.grant is None or wanted.grant in found.grants)
        and (wanted.member is None or wanted.member in (found.by, *found.signers, *named(entry.body)))
    )


def named(value: Any) -> Iterator[str]:
    """Ids of the members that appear in a body, as such or as owners of a dataset."""
    if isinstance(value, dict):
        if "roles" in value:
            yield str(value.get("id"))
        for name, each in value.items():
            yield from _named_in(name, each)
            yield from named(each)
    elif isinstance(value, list):
        for each in value:
            yield from named(each)


def _named_in(name: str, value: Any) -> Iterator[str]:
    """Ids of members in one field of a body."""
    texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    if name in _MEMBER_FIELDS:
        yield from texts
    elif name in _DATASET_FIELDS:
        yield from (text.partition(".")[0] for text in texts)
    elif name == "verification" and isinstance(value, dict):
        yield from value


def _within(text: str, since: str | None, until: str | None) -> bool:
    return (since is None or text >= since) and (until is None or text <= until)


def _found(state: State, index: int, leaf: bytes, entry: Entry | None, void: str | None) -> SearchHit:
    if entry is None:
        return SearchHit(index, leaf, None, void, None, (), (), None)
    members = [_member(state, signature.key) for signature in entry.sigs]
    signers = dict.fromkeys(member for member in members[1:] if member is not None)
    bodies = list(_bodies(state, entry.body))
    grants = {grant for body in bodies for grant in _values(body, "grant")}
    purpose = next((text for body in bodies for text in _values(body, "purpose")), None)
    return SearchHit(index, leaf, entry, void, members[0], tuple(signers), tuple(sorted(grants)), purpose)


def _member(state: State, key: str) -> str | None:
    record = state.get(f"key/{key}")
    return None if record is None else str(record["member"])


def _bodies(state: State, body: Any) -> Iterator[Any]:
    """The entry's own body, and that of the question or grant it refers to."""
    yield body
    for name, kind in (("query", "intent"), ("grant", "grant")):
        value = body.get(name)
        record = state.get(f"{kind}/{value}") if isinstance(value, str) else None
        if record is not None:
            yield record["body"]


def _values(value: Any, name: str) -> Iterator[str]:
    """Texts under a field of this name, at any depth."""
    if isinstance(value, dict):
        for field, each in value.items():
            if field == name and isinstance(each, str):
                yield each
            else:
                yield from _values(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, name)


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
    """CSV: the heading with the byte order mark, then one record per entry, each with its line end."""
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
