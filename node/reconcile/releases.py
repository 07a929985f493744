"""Trustees: each release in the journal against ``share.release`` on the ledger, both ways.

The list a report shows is compared with the ledger too: the trustee's salt stands beside its share.
"""

from __future__ import annotations

from node.closing import recorded_list
from node.reconcile.difference import ABSENT
from node.reconcile.journal import RELEASE, Journal, Line
from node.reconcile.sides import Sides


def compare_releases(sides: Sides) -> None:
    """Compare trustees' journals and reports with the ledger."""
    for journal in sides.journals.values():
        if "trustee" in journal.roles:
            _compare_one(sides, journal)
    _compare_reports(sides)


def _compare_one(sides: Sides, journal: Journal) -> None:
    member, found = journal.member, sides.found
    lines = {(line.query, line.case): line for line in journal.lines if line.kind == RELEASE}
    recorded = {
        (query, case): word for (query, case, who), word in sides.ledger.releases.items() if who == member
    }
    for key in sorted(lines.keys() | recorded.keys()):
        query, case = key[0], str(key[1])
        line, word = lines.get(key), recorded.get(key)
        if line is not None and word is not None:
            _same_list(sides, member, line, word[0])
        elif line is not None and not sides.is_pending(line.at, waiting=line.waiting):
            missing = sides.ledger.missing("share.release", f"{query}/{case}/{member}")
            found.add("release_not_on_ledger", query, member, case, ledger=missing, journal=line.record)
        elif word is not None and not sides.is_later(journal, word[1]):
            found.add("release_not_in_journal", query, member, case, ledger=word[0], journal=ABSENT)


def _same_list(sides: Sides, member: str, line: Line, word: str) -> None:
    """Line, kept share and entry carry the same digest."""
    said = {"journal": line.record} if line.record != word else {"store": line.stored or ABSENT}
    if word not in said.values():
        sides.found.add("release_digest", line.query, member, str(line.case), ledger=word, **said)


def _compare_reports(sides: Sides) -> None:
    """A report's total was opened with a release on the ledger, over the list it shows."""
    for report in sides.files.reports:
        if report.listed is None or report.query not in sides.ledger.intents:
            continue
        for trustee, salt in sorted(report.salts.items()):
            shown = recorded_list(salt, report.listed).hex()
            word = sides.ledger.releases.get((report.query, 0, trustee))
            if word is None:
                missing = sides.ledger.missing("share.release", f"{report.query}/0/{trustee}")
                sides.found.add(
                    "release_not_on_ledger", report.query, trustee, "0", ledger=missing, report=shown
                )
            elif word[0] != shown:
                sides.found.add("release_digest", report.query, trustee, "0", ledger=word[0], report=shown)
