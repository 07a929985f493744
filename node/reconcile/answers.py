"""Departments: each answer and refusal in the journal against ``query.answer`` on the ledger, both ways.

For one question and dataset the journal may have several lines: refusals, repeated ones without a record,
then an answer. The ledger has at most one refusal before one answer. An entry is matched by its digest; a
refusal in the journal needs no entry of its own once the ledger has an answer, which nothing may follow.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.view import dataset_owner
from node.reconcile.difference import ABSENT
from node.reconcile.journal import ANSWER, Journal, Line
from node.reconcile.ledger_side import Word
from node.reconcile.sides import Sides

ANSWERED = "answered"


def compare_answers(sides: Sides) -> None:
    """Compare every department's journal with the ledger."""
    for journal in sides.journals.values():
        if "department" in journal.roles:
            _compare_one(sides, journal)


def _compare_one(sides: Sides, journal: Journal) -> None:
    lines: dict[tuple[str, str], list[Line]] = {}
    for line in journal.lines:
        if line.kind == ANSWER:
            lines.setdefault((line.query, line.dataset), []).append(line)
    words = {
        key: found for key, found in sides.ledger.words.items() if dataset_owner(key[1]) == journal.member
    }
    for key in sorted(lines.keys() | words.keys()):
        said, recorded = lines.get(key, []), words.get(key, [])
        if key[0] not in sides.ledger.intents:
            _without_intent(sides, journal, key, said)
            continue
        taken = [_match(sides, journal, key, word, said) for word in recorded]
        rest = [line for line in said if line not in taken]
        _unrecorded(sides, journal, key, rest, recorded)


def _without_intent(sides: Sides, journal: Journal, key: tuple[str, str], said: Iterable[Line]) -> None:
    """An answer under a question that the ledger does not know."""
    for line in said:
        if line.result == ANSWERED and not sides.is_pending(line.at, waiting=line.waiting):
            word = sides.ledger.missing("query.intent", key[0])
            sides.found.add(
                "answer_without_intent", key[0], journal.member, key[1], ledger=word, journal=line.result
            )


def _match(sides: Sides, journal: Journal, key: tuple[str, str], word: Word, said: list[Line]) -> Line | None:
    """The line that an entry stands for, the differences between the two named; None where there is none."""
    query, dataset = key
    same = next((line for line in said if line.record == word.response), None)
    if same is not None:
        if same.result != word.result:
            sides.found.add(
                "answer_result", query, journal.member, dataset, ledger=word.result, journal=same.result
            )
        elif same.stored != word.response:
            kept = same.stored or ABSENT
            sides.found.add("answer_digest", query, journal.member, dataset, ledger=word.response, store=kept)
        return same
    alike = next((line for line in said if line.record and line.result == word.result), None)
    if alike is not None:
        sides.found.add(
            "answer_digest", query, journal.member, dataset, ledger=word.response, journal=alike.record
        )
        return alike
    other = next((line for line in said if line.record), None)
    if other is not None and not _has_word(sides, key, other):
        sides.found.add(
            "answer_result", query, journal.member, dataset, ledger=word.result, journal=other.result
        )
        return other
    if not sides.is_later(journal, word.at):
        sides.found.add(
            "answer_not_in_journal", query, journal.member, dataset, ledger=word.result, journal=ABSENT
        )
    return None


def _has_word(sides: Sides, key: tuple[str, str], line: Line) -> bool:
    """Whether another entry stands for the line."""
    return any(word.response == line.record for word in sides.ledger.words[key])


def _unrecorded(
    sides: Sides, journal: Journal, key: tuple[str, str], rest: list[Line], recorded: list[Word]
) -> None:
    """Lines that no entry stands for, although one should."""
    answered = any(word.result == ANSWERED for word in recorded)
    for line in rest:
        if line.result != ANSWERED and (answered or not line.record):
            continue
        if sides.is_pending(line.at, waiting=line.waiting):
            continue
        code = "answer_not_on_ledger" if line.result == ANSWERED else "refusal_not_on_ledger"
        word = sides.ledger.missing("query.answer", f"{key[0]}/{key[1]}")
        sides.found.add(code, key[0], journal.member, key[1], ledger=word, journal=line.result)
