"""The three sides that are compared: journals, the public log, and the office's case files.

**What is too recent to be judged.** A journal is written before the ledger has the entry, clocks differ by up
to two minutes, and a copy of the log or an exported journal is older than the present. So a line whose entry
still waits, or that is not older than the log's last entry by more than the clock tolerance, is judged only
once it is a day old. An entry that is not older than the export of a journal is not expected in it. Both are
counted as pending.

Only the member itself states when a journal was exported, so that excuses nothing for long: if an entry
that the journal would have to know is a day old, the journal itself is the difference (``journal_old``),
and the remedy is a new export.

**The public log** is replayed through the contract and ordered by question. ``hedui ledger verify`` says
whether it is genuine; this module only reads it. A void entry changes nothing. Its code is
kept, so that a difference can say that an entry was ordered and refused.

**Case files** are reports and openings in their folders. Only those parts of a report are read that other
sides have too; ``hedui report verify`` verifies a report. Of an openings file only the query id is read,
since reconciliation does not need the persons in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import contract
from ledger.audit.source import MAX_POLICY_BYTES, LogSource, read_leaves
from ledger.contract.records import Intent
from ledger.contract.replay import Replay
from ledger.contract.state import MemoryState
from ledger.contract.view import View, dataset_owner
from ledger.entries.entry import Entry, certificate_digest, parse
from ledger.entries.times import parse_time
from ledger.errors import (
    EntryError,
    EntryRefusedError,
    LedgerError,
    PolicyError,
    TileError,
    TileMissingError,
)
from ledger.formats.policy import Policy
from ledger.formats.tiles import POLICY
from ledger.merkle import MemoryTree, leaf_hash
from node.audit.reconcile.difference import ABSENT, Differences
from node.audit.reconcile.journal import Journal, JournalQuestion
from node.errors import KNOWN_ERRORS, ReportError, UsageError
from node.home import read_bounded
from node.report.findings import MALFORMED, Findings
from node.report.form import MAX_REPORT_BYTES, decode_report
from node.report.verify_question import MAX_OPENINGS_BYTES, read_openings
from protocols.check.answer import Answer
from protocols.check.openings import CODE
from protocols.check.terms import list_digest
from protocols.profiles import CLOCK_TOLERANCE_SECONDS

DAY = 86_400
READ_ERRORS: tuple[type[Exception], ...] = (*KNOWN_ERRORS, *MALFORMED, OSError)


@dataclass
class Sides:
    """What is compared.

    Attributes:
        ledger: the replayed log.
        journals: by member.
        files: the office's case files.
        as_of: second since 1970 at which ages are counted.
        found: what differs.
    """

    ledger: LedgerRecords
    journals: dict[str, Journal]
    files: CaseFiles
    as_of: int
    found: Differences = field(default_factory=Differences)

    def __post_init__(self) -> None:
        self._questions = {
            (journal.member, question.query): question
            for journal in self.journals.values()
            for question in journal.questions
        }
        self._reports: dict[str, list[Report]] = {}
        for report in self.files.reports:
            self._reports.setdefault(report.query, []).append(report)

    def question(self, office: str, query: str) -> JournalQuestion | None:
        """An office's own record of a question."""
        return self._questions.get((office, query))

    def reports(self, query: str) -> list[Report]:
        """Reports of a question, mostly one."""
        return self._reports.get(query, [])

    def is_old(self, at: int) -> bool:
        """Whether the entry that follows ``at`` is overdue: a day has passed."""
        return self.as_of - at >= DAY

    def is_pending(self, at: int, *, waiting: bool) -> bool:
        """Whether a journal's line may still reach this copy of the ledger; counted if so."""
        recent = waiting or at >= parse_time(self.ledger.time) - CLOCK_TOLERANCE_SECONDS
        pending = recent and not self.is_old(at)
        self.found.pending += pending
        return pending

    def is_later(self, journal: Journal, at: str) -> bool:
        """Whether an entry is newer than the export of a journal; counted, and reported once it is old."""
        if journal.taken is None or parse_time(at) < journal.taken:
            return False
        self.found.pending += 1
        if self.is_old(parse_time(at)):
            self.found.add("journal_old", "", journal.member, journal=str(journal.taken))
        return True


@dataclass(frozen=True)
class RecordedAnswer:
    """One ``query.answer``: result, response digest, and the entry's time."""

    result: str
    response: str
    at: str


@dataclass(frozen=True)
class RecordedIncident:
    """One ``incident`` that counts refusals without a valid intent."""

    member: str
    commitment: str
    count: int
    at: str


@dataclass
class LedgerRecords:
    """The replayed log.

    Attributes:
        policy: whom the log's network trusts.
        view: typed reads of the state.
        tree: of the log, for the leaves and roots that reports embed.
        time: the contract's time.
        intents: accepted intents by query.
        words: by (query, dataset), in order.
        incidents: in order.
        releases: (list digest, time) by (query, case, trustee).
        voids: code of the last void entry by (type, what it was about).
    """

    policy: Policy
    view: View
    tree: MemoryTree = field(default_factory=MemoryTree)
    time: str = ""
    intents: dict[str, Intent] = field(default_factory=dict)
    words: dict[tuple[str, str], list[RecordedAnswer]] = field(default_factory=dict)
    incidents: list[RecordedIncident] = field(default_factory=list)
    releases: dict[tuple[str, int, str], tuple[str, str]] = field(default_factory=dict)
    voids: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The network's name."""
        found = self.view.network()
        return "" if found is None else found.network

    def missing(self, kind: str, about: str) -> str:
        """What the ledger says of an entry that does not count: ``void:<code>`` or ``absent``."""
        code = self.voids.get((kind, about))
        return ABSENT if code is None else f"void:{code}"

    def answered(self, query: str, dataset: str) -> RecordedAnswer | None:
        """The ``answered`` of a dataset, or None."""
        return next(
            (word for word in self.words.get((query, dataset), ()) if word.result == "answered"), None
        )

    def add(self, entry: Entry, submitter: str) -> None:
        """Take an accepted entry."""
        body = entry.body
        if entry.type == "query.intent":
            intent = self.view.intent(entry.id)
            assert intent is not None
            self.intents[entry.id] = intent
        elif entry.type == "query.answer":
            word = RecordedAnswer(body["result"], body["response"], entry.time)
            self.words.setdefault((body["query"], body["dataset"]), []).append(word)
        elif entry.type == "incident" and body["code"] == CODE:
            self.incidents.append(
                RecordedIncident(submitter, body.get("commitment", ""), body["count"], entry.time)
            )
        elif entry.type == "share.release":
            self.releases[body["query"], body["case"], submitter] = (body["list"], entry.time)


def read_ledger(source: LogSource) -> LedgerRecords:
    """Replay a public log.

    Raises:
        UsageError: the log has no policy.
        LedgerError: it cannot be read.
    """
    return replayed(read_policy(source), read_leaves(source))


def read_policy(source: LogSource) -> Policy:
    """The policy in the folder of a public log.

    Raises:
        UsageError: the policy is missing or cannot be parsed.
    """
    try:
        return Policy.parse(source.fetch(POLICY, MAX_POLICY_BYTES).decode("utf-8"))
    except (TileError, TileMissingError, UnicodeDecodeError, PolicyError) as error:
        raise UsageError(f"{source.place} is no public log: it has no readable policy") from error


def replayed(policy: Policy, leaves: Iterable[bytes]) -> LedgerRecords:
    """Replay all leaves of a log, from the first on.

    Raises:
        LedgerError: the leaves do not found a network.
    """
    state = MemoryState()
    side, replay = LedgerRecords(policy, View(state)), Replay(state, contract.apply)
    for leaf in leaves:
        side.tree.append(leaf_hash(leaf))
        with contextlib.suppress(EntryError):
            entry = parse(leaf)
            owner = side.view.member_by_key(entry.sigs[0].key)
            submitter = "" if owner is None else owner[0].id
            try:
                replay.admit(entry)
            except EntryRefusedError as refused:
                side.voids[entry.type, about(entry, submitter)] = refused.code
            else:
                side.add(entry, submitter)
    side.time = replay.time
    if side.view.network() is None:
        raise LedgerError("the log's first entry founds no network: verify it with `hedui ledger verify`")
    return side


def about(entry: Entry, submitter: str) -> str:
    """What an entry is about, as ``LedgerRecords.missing`` asks for it."""
    body = entry.body
    query, dataset = str(body.get("query", "")), str(body.get("dataset", ""))
    if entry.type == "query.answer":
        return f"{query}/{dataset}" if dataset_owner(dataset) == submitter else ""
    if entry.type == "share.release":
        return f"{query}/{body.get('case', '')}/{submitter}"
    return query if entry.type == "query.close" else entry.id


@dataclass(frozen=True)
class Report:
    """The parts of a report that the journals or the ledger hold too.

    Attributes:
        data: its bytes.
        query, office: of its certificate or refusal.
        asks: a question left: the certificate names datasets.
        certificate: the certificate's digest; empty for a refused case.
        responses: response digest by dataset.
        listed: digest of the list of the opened total; None where none was opened.
        salts: salt of the recorded list by trustee.
        policy: fingerprint of the policy its receipts are made for.
        checkpoint: the embedded note.
        entries: (index, leaf as JSON) of the embedded entries.
    """

    data: bytes = field(repr=False)
    query: str
    office: str
    asks: bool
    certificate: str
    responses: dict[str, str]
    listed: bytes | None
    salts: dict[str, bytes]
    policy: str
    checkpoint: bytes
    entries: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True)
class CaseFiles:
    """Every case file given.

    Attributes:
        reports: by query id; of two reports of one query both are kept.
        opened: query ids of openings files.
        has_reports, has_openings: such a folder was given, so that a file can be missing in it.
    """

    reports: tuple[Report, ...] = ()
    opened: frozenset[str] = frozenset()
    has_reports: bool = False
    has_openings: bool = False


def read_case_files(reports: Path | None, openings: Path | None) -> CaseFiles:
    """Read the folders given.

    Raises:
        UsageError: the folder of reports holds none.
        ReportError: a file is no report or no openings.
    """
    if reports is not None and not any(reports.glob("*.json")):
        raise UsageError(f"{reports} holds no report (*.json): give the folder of the office's reports")
    found = [] if reports is None else [read_report(path) for path in sorted(reports.glob("*.json"))]
    opened = [] if openings is None else [_query_of(path) for path in sorted(openings.glob("*.json"))]
    return CaseFiles(tuple(found), frozenset(opened), reports is not None, openings is not None)


def read_report(path: Path) -> Report:
    """Read one report.

    Raises:
        ReportError: the file is not a report, or cannot be read.
    """
    try:
        data = read_bounded(path, MAX_REPORT_BYTES)
        return _report(data, decode_report(data, Findings()))
    except READ_ERRORS as error:
        raise ReportError(f"{path} is no report: remove it, or fetch it again from the office") from error


def _report(data: bytes, value: dict[str, Any]) -> Report:
    certificate, total = value["certificate"], value["total"]
    shares = [] if total is None else total["shares"]
    return Report(
        data,
        str(value["refusal"]["document"]["query"] if certificate is None else certificate["query"]),
        str(value["office"]),
        certificate is not None and bool(certificate["datasets"]),
        "" if certificate is None else certificate_digest(certificate),
        {name: Answer.parse(name, item).response.hex() for name, item in value["answers"].items()},
        None if total is None else list_digest(total["list"]),
        {share["holder"]: bytes.fromhex(share["salt"]) for share in shares if "salt" in share},
        str(value["policy"]),
        str(value["ledger"]["checkpoint"]).encode(),
        tuple((int(item["index"]), item["leaf"]) for item in value["ledger"]["entries"]),
    )


def _query_of(path: Path) -> str:
    try:
        return str(read_openings(read_bounded(path, MAX_OPENINGS_BYTES))["query"])
    except READ_ERRORS as error:
        raise ReportError(f"{path} holds no openings: give the office's own folder of openings") from error
