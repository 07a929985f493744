"""A difference between the sides: a stable code, its question and member, and what each side says.

What a side says is a code, a digest or ``absent``, never an identifier. ``DIFFERENCE_TEXTS`` and
``SIDE_TEXTS`` have the text of each code and side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from node.messages.catalogue import LANGUAGES, Messages, mark

ABSENT = "absent"

DIFFERENCE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "answer_not_on_ledger": mark("an answer was given, and the ledger has no query.answer for it"),
        "refusal_not_on_ledger": mark(
            "the journal has a refusal that must be on the ledger, and the ledger does not have it"
        ),
        "answer_not_in_journal": mark(
            "the ledger has a query.answer that the department's journal does not have"
        ),
        "answer_result": mark(
            "one side has an answer and another a refusal, or the reasons of the refusal differ"
        ),
        "answer_digest": mark(
            "the digest of the response on the ledger is not that of the other side's response"
        ),
        "answer_without_intent": mark(
            "the journal has an answer to a question whose intent is not on the ledger"
        ),
        "incident_not_on_ledger": mark(
            "the journal counted refusals, and the ledger has no incident for them"
        ),
        "incident_not_in_journal": mark("the ledger has an incident of which the journal has no line"),
        "incident_count": mark("the journal's number of refusals is not the one in the incident"),
        "incident_peer": mark("the incident's commitment does not open to the peer in the journal's lines"),
        "incident_uncounted": mark(
            "refusals without a valid intent are older than a day and are not counted yet"
        ),
        "question_hidden": mark(
            "an intent is on the ledger, and the office's journal has no record of the question"
        ),
        "intent_not_on_ledger": mark("the office has a question whose intent is not on the ledger"),
        "intent_void": mark("the office has a question whose intent the ledger's contract refused"),
        "certificate_differs": mark("the certificate is not the one that the intent names"),
        "certificate_not_in_journal": mark(
            "the registrar's journal does not have the certificate that the intent names"
        ),
        "case_file_missing": mark(
            "the office finished a check, and the folder does not have its report or openings"
        ),
        "report_other_log": mark("the report's receipts are from another log or another history"),
        "answer_not_in_report": mark(
            "the department answered, and the report of the closed question does not have the answer"
        ),
        "close_missing": mark("the question is older than a day and has no query.close"),
        "close_unknown": mark(
            "the question is closed on the ledger; the office's record is not closed, or cannot open the "
            "close"
        ),
        "close_report": mark("query.close does not open to the report in the case file"),
        "close_total": mark("query.close does not open to the total in the case file"),
        "release_not_on_ledger": mark("a share was released, and the ledger has no share.release for it"),
        "release_not_in_journal": mark(
            "the ledger has a share.release that the trustee's journal does not have"
        ),
        "release_digest": mark("the digest of the list on the ledger is not that of the other side's list"),
        "slots_unused": mark("slots were taken, and no dataset of the grant was ever answered or refused"),
        "journal_old": mark(
            "the journal was exported before entries that are now a day old: ask for a new export"
        ),
    }
)
"""What each difference means, by its code, in the order in which they are shown."""
CODES = tuple(DIFFERENCE_TEXTS)

SIDE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "ledger": mark("ledger"),
        "journal": mark("journal"),
        "store": mark("kept record"),
        "case_file": mark("case file"),
        "report": mark("report"),
    }
)
"""Each side: the public log, a member's journal, the answer or share it keeps, the office's own record of a
question, a report."""
SIDES = tuple(SIDE_TEXTS)


@dataclass(frozen=True)
class Difference:
    """One thing on which two sides differ.

    Attributes:
        code: one of ``CODES``.
        query: query id; empty for incidents.
        who: the member whose record differs from the others'.
        about: dataset, case index, commitment or grant; empty for the whole question.
        sides: (side, its word), in the order of ``SIDES``.
    """

    code: str
    query: str
    who: str
    about: str
    sides: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """``{"code", "query", "who", "about", "sides", "text": {"en", "zh"}}``."""
        return {
            "code": self.code,
            "query": self.query,
            "who": self.who,
            "about": self.about,
            "sides": dict(self.sides),
            "text": {tag: Messages(tag).translate(DIFFERENCE_TEXTS[self.code]) for tag in LANGUAGES},
        }


class Differences:
    """Collects differences, each once, and what is too young to be judged."""

    def __init__(self) -> None:
        self._found: dict[Difference, None] = {}
        self.pending = 0

    @property
    def found(self) -> list[Difference]:
        """Differences by code, then question, in a stable order."""
        place = {code: at for at, code in enumerate(CODES)}
        return sorted(
            self._found, key=lambda one: (place[one.code], one.query, one.who, one.about, one.sides)
        )

    def add(self, code: str, query: str, who: str, about: str = "", /, **sides: str) -> None:
        """Record a difference; ``sides`` by name."""
        words = tuple((side, sides[side]) for side in SIDES if side in sides)
        self._found[Difference(code, query, who, about, words)] = None
