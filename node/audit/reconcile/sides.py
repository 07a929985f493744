"""The three sides together, and what is too recent to be judged.

A journal is written before the ledger has the entry, clocks differ by up to two minutes, and a copy of the
log or an exported journal is older than the present. So a line whose entry still waits, or that is not
older than the log's last entry by more than the clock tolerance, is judged only once it is a day old. An
entry that is not older than the export of a journal is not expected in it. Both are counted as pending.

Only the member itself states when a journal was exported, so that excuses nothing for long: if an entry
that the journal would have to know is a day old, the journal itself is the difference (``journal_old``),
and the remedy is a new export.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.entries.times import parse_time
from node.audit.reconcile.case_files import CaseFiles, Report
from node.audit.reconcile.difference import Differences
from node.audit.reconcile.journal import Journal, JournalQuestion
from node.audit.reconcile.ledger_side import LedgerRecords
from protocols.profiles import CLOCK_TOLERANCE_SECONDS

DAY = 86_400


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
