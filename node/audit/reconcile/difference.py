"""What a difference is: a stable code, the question and member it is about, and what each side says.

A side's word is a code, a digest or ``absent``, never an identifier. The catalogue has a text for each code
under ``difference.<code>`` and for each side under ``side.<name>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.messages import LANGUAGES, Messages

ABSENT = "absent"

CODES = (
    "answer_not_on_ledger",
    "refusal_not_on_ledger",
    "answer_not_in_journal",
    "answer_result",
    "answer_digest",
    "answer_without_intent",
    "incident_not_on_ledger",
    "incident_not_in_journal",
    "incident_count",
    "incident_peer",
    "incident_uncounted",
    "question_hidden",
    "intent_not_on_ledger",
    "intent_void",
    "certificate_differs",
    "certificate_not_in_journal",
    "case_file_missing",
    "report_other_log",
    "answer_not_in_report",
    "close_missing",
    "close_unknown",
    "close_report",
    "close_total",
    "release_not_on_ledger",
    "release_not_in_journal",
    "release_digest",
    "slots_unused",
    "journal_old",
)
"""Every code, in the order they are shown."""

SIDES = ("ledger", "journal", "store", "case_file", "report")
"""Whose word it is: the public log, a member's journal, the answer or share it keeps, the office's own record
of a question, a report."""


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
            "text": {tag: Messages(tag).text(f"difference.{self.code}") for tag in LANGUAGES},
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
