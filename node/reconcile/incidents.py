"""Departments: refusals without a valid intent, as the journal has them, against the counts on the ledger.

Each counted line names the commitment of the incident that counted it, so the comparison is exact: as many
lines as the entry says, all of the one peer that the salt opens the commitment to.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

from node.incidents import peer_commitment
from node.reconcile.difference import ABSENT
from node.reconcile.journal import INCIDENT, Journal, Opening
from node.reconcile.ledger_side import Counted
from node.reconcile.sides import Sides
from protocols.encoding import SALT_BYTES


def compare_incidents(sides: Sides) -> None:
    """Compare every department's refusals without an intent with its incidents."""
    by_member: dict[str, list[Counted]] = {}
    for counted in sides.ledger.incidents:
        by_member.setdefault(counted.member, []).append(counted)
    for journal in sides.journals.values():
        if "department" in journal.roles:
            _compare_one(sides, journal, by_member.get(journal.member, []))


def _compare_one(sides: Sides, journal: Journal, counted: list[Counted]) -> None:
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
