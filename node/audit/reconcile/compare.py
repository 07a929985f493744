"""All comparisons in order: departments, incidents, office and registrar, reports, trustees, slots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from node.audit.reconcile.departments import SlotCount, compare_answers, compare_incidents, compare_slots
from node.audit.reconcile.difference import Difference
from node.audit.reconcile.journal import Journal
from node.audit.reconcile.questions import (
    closes_not_compared,
    compare_questions,
    compare_releases,
    compare_reports,
)
from node.audit.reconcile.sides import CaseFiles, LedgerRecords, Sides
from node.errors import UsageError

ROLES = frozenset({"department", "office", "registrar", "trustee"})
"""Roles whose journals record questions."""


@dataclass(frozen=True)
class Reconciliation:
    """The result of all comparisons.

    Attributes:
        differences: every difference, in the order of their codes.
        pending: how much was too recent to be judged.
        entries: size of the log.
        members: whose journals were compared.
        missing: members with a part in questions whose journals were not.
        reports: number of reports compared.
        closes: number of these whose ``query.close`` was not, for no closings were given.
        slots: slots taken and used by grant and period.
    """

    differences: tuple[Difference, ...]
    pending: int
    entries: int
    members: tuple[str, ...]
    missing: tuple[str, ...]
    reports: int
    closes: int
    slots: tuple[SlotCount, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"differs", "differences", "pending", "compared", "slots"}``."""
        return {
            "differs": bool(self.differences),
            "differences": [one.to_json() for one in self.differences],
            "pending": self.pending,
            "compared": {
                "entries": self.entries,
                "journals": list(self.members),
                "not_compared": list(self.missing),
                "reports": self.reports,
                "closes_not_compared": self.closes,
            },
            "slots": [asdict(slot) for slot in self.slots],
        }


def reconcile(
    ledger: LedgerRecords, journals: Iterable[Journal], files: CaseFiles, as_of: int
) -> Reconciliation:
    """Compare the sides.

    Args:
        ledger: the replayed log, read before the journals.
        journals: of homes or of files, at most one per member.
        files: the office's reports and openings.
        as_of: second since 1970 at which ages are counted.

    Raises:
        UsageError: a journal is of another network, or a member's is given twice.
    """
    by_member: dict[str, Journal] = {}
    for journal in journals:
        if journal.network != ledger.network:
            raise UsageError(f"the journal of {journal.member} is one of another network: leave it out")
        if journal.member in by_member:
            raise UsageError(f"the journal of {journal.member} is given twice: give it once")
        by_member[journal.member] = _with_roles(journal, ledger)
    sides = Sides(ledger, by_member, files, as_of)
    compare_answers(sides)
    compare_incidents(sides)
    compare_questions(sides)
    compare_reports(sides)
    compare_releases(sides)
    slots = compare_slots(sides)
    missing = {one.id for one in ledger.view.members() if one.active and ROLES.intersection(one.roles)}
    return Reconciliation(
        tuple(sides.found.found),
        sides.found.pending,
        ledger.tree.size,
        tuple(sorted(by_member)),
        tuple(sorted(missing - by_member.keys())),
        len(files.reports),
        closes_not_compared(sides),
        slots,
    )


def _with_roles(journal: Journal, ledger: LedgerRecords) -> Journal:
    """A journal with the roles that the ledger gives its member, who does not choose what is compared."""
    member = ledger.view.member(journal.member)
    return journal if member is None else replace(journal, roles=member.roles)
