"""Departments: their journals compared with the ledger, in both directions.

Answers and refusals are compared with ``query.answer``. For one question and dataset the journal may have
several lines: refusals, repeated ones without a record, then an answer. The ledger has at most one refusal
before one answer. An entry is matched by its digest. A refusal in the journal needs no entry of its own
once the ledger has an answer, which nothing may follow.

Refusals without a valid intent are counted on the ledger as incidents. Each counted line names the
commitment of the incident that counted it, so the comparison is exact: there are as many lines as the entry
says, all of the one peer that the salt opens the commitment to.

An intent takes slots of each grant, and an answer or refusal uses them. An intent older than a day with a
grant under which no dataset was ever answered or refused is reported: slots were taken, and no owner says
for what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from ledger.contract.view import dataset_owner
from ledger.entries.times import parse_time
from node.audit.reconcile.difference import ABSENT
from node.audit.reconcile.journal import ANSWER, INCIDENT, Journal, JournalLine, Opening
from node.audit.reconcile.sides import LedgerRecords, RecordedAnswer, RecordedIncident, Sides
from protocols.check.openings import peer_commitment
from protocols.encoding import SALT_BYTES

ANSWERED = "answered"


def compare_answers(sides: Sides) -> None:
    """Compare every department's journal with the ledger."""
    for journal in sides.journals.values():
        if "department" in journal.roles:
            _compare_one(sides, journal)


def _compare_one(sides: Sides, journal: Journal) -> None:
    lines: dict[tuple[str, str], list[JournalLine]] = {}
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


def _without_intent(
    sides: Sides, journal: Journal, key: tuple[str, str], said: Iterable[JournalLine]
) -> None:
    """An answer under a question that the ledger does not know."""
    for line in said:
        if line.result == ANSWERED and not sides.is_pending(line.at, waiting=line.waiting):
            word = sides.ledger.missing("query.intent", key[0])
            sides.found.add(
                "answer_without_intent", key[0], journal.member, key[1], ledger=word, journal=line.result
            )


def _match(
    sides: Sides, journal: Journal, key: tuple[str, str], word: RecordedAnswer, said: list[JournalLine]
) -> JournalLine | None:
    """The journal line that an entry records, with their differences reported; None if no line matches."""
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


def _has_word(sides: Sides, key: tuple[str, str], line: JournalLine) -> bool:
    """Whether another entry records the line."""
    return any(word.response == line.record for word in sides.ledger.words[key])


def _unrecorded(
    sides: Sides,
    journal: Journal,
    key: tuple[str, str],
    rest: list[JournalLine],
    recorded: list[RecordedAnswer],
) -> None:
    """Lines that no entry records, although one should."""
    answered = any(word.result == ANSWERED for word in recorded)
    for line in rest:
        if line.result != ANSWERED and (answered or not line.record):
            continue
        if sides.is_pending(line.at, waiting=line.waiting):
            continue
        code = "answer_not_on_ledger" if line.result == ANSWERED else "refusal_not_on_ledger"
        word = sides.ledger.missing("query.answer", f"{key[0]}/{key[1]}")
        sides.found.add(code, key[0], journal.member, key[1], ledger=word, journal=line.result)


def compare_incidents(sides: Sides) -> None:
    """Compare every department's refusals without an intent with its incidents."""
    by_member: dict[str, list[RecordedIncident]] = {}
    for counted in sides.ledger.incidents:
        by_member.setdefault(counted.member, []).append(counted)
    for journal in sides.journals.values():
        if "department" in journal.roles:
            _compare_counts(sides, journal, by_member.get(journal.member, []))


def _compare_counts(sides: Sides, journal: Journal, counted: list[RecordedIncident]) -> None:
    lines = [line for line in journal.lines if line.kind == INCIDENT]
    numbers = Counter(line.record for line in lines if line.record)
    openings = {opening.commitment: opening for opening in journal.openings}
    for entry in counted:
        there, word = numbers.pop(entry.commitment, 0), str(entry.count)
        if there == 0:
            if not sides.is_later(journal, entry.at):
                sides.found.add(
                    "incident_not_in_journal",
                    "",
                    journal.member,
                    entry.commitment,
                    ledger=word,
                    journal=ABSENT,
                )
        elif there != entry.count:
            sides.found.add(
                "incident_count", "", journal.member, entry.commitment, ledger=word, journal=str(there)
            )
    for commitment, there in numbers.items():
        opening = openings.get(commitment)
        if opening is None or not sides.is_pending(opening.at, waiting=opening.waiting):
            sides.found.add(
                "incident_not_on_ledger", "", journal.member, commitment, ledger=ABSENT, journal=str(there)
            )
    _check_peers(sides, journal, openings)
    late = sum(not line.record and sides.is_old(line.at) for line in lines)
    if late:
        sides.found.add("incident_uncounted", "", journal.member, ledger=ABSENT, journal=str(late))


def _check_peers(sides: Sides, journal: Journal, openings: dict[str, Opening]) -> None:
    """Every line that an incident counts is of the peer it opens to."""
    wrong = (
        line.record
        for line in journal.lines
        if line.kind == INCIDENT and line.record and not _opens(openings.get(line.record), line.peer)
    )
    unopened = (opening.commitment for opening in openings.values() if not _opens(opening, opening.peer))
    for commitment in dict.fromkeys(chain(wrong, unopened)):
        sides.found.add("incident_peer", "", journal.member, commitment, ledger=commitment, journal="other")


def _opens(opening: Opening | None, peer: str) -> bool:
    """Whether a commitment opens to a peer."""
    try:
        salt = b"" if opening is None else bytes.fromhex(opening.salt)
    except ValueError:
        return False
    if opening is None or len(salt) != SALT_BYTES:
        return False
    return peer_commitment(salt, peer).hex() == opening.commitment


@dataclass(frozen=True)
class SlotCount:
    """Slots of one grant in one period: taken by intents, and used by those that were answered or refused.

    Attributes:
        grant: its id. owner: member that gave it. period: label. taken, used: slots.
    """

    grant: str
    owner: str
    period: str
    taken: int
    used: int


def compare_slots(sides: Sides) -> tuple[SlotCount, ...]:
    """Name what was taken and not used; give the counts by grant and period."""
    ledger = sides.ledger
    counts: dict[tuple[str, str], list[int]] = {}
    for intent in ledger.intents.values():
        used = {line.grant for line in intent.datasets if (intent.query, line.dataset) in ledger.words}
        for slot in intent.slots:
            count = counts.setdefault((slot.grant, slot.period), [0, 0])
            count[0] += 1
            count[1] += slot.grant in used
        if sides.is_old(parse_time(intent.at)):
            for grant in sorted({slot.grant for slot in intent.slots} - used):
                taken = sum(slot.grant == grant for slot in intent.slots)
                word = f"taken:{taken},used:0"
                sides.found.add("slots_unused", intent.query, intent.office, grant, ledger=word)
    return tuple(
        SlotCount(grant, _owner(ledger, grant), period, *count)
        for (grant, period), count in sorted(counts.items())
    )


def _owner(ledger: LedgerRecords, grant: str) -> str:
    """The member that gave a grant."""
    found = ledger.view.grant(grant)
    return "" if found is None else found.owner
