"""Slots taken against slots used: an intent takes slots of each grant, an answer or refusal uses them.

An intent older than a day under one of whose grants no dataset was ever answered or refused is named: the
budget went, and no owner says for what.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.reconcile.ledger_side import LedgerSide
from node.reconcile.sides import Sides
from node.services import instant


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
        if sides.is_old(instant(intent.at)):
            for grant in sorted({slot.grant for slot in intent.slots} - used):
                taken = sum(slot.grant == grant for slot in intent.slots)
                word = f"taken:{taken},used:0"
                sides.found.add("slots_unused", intent.query, intent.office, grant, ledger=word)
    return tuple(
        SlotCount(grant, _owner(ledger, grant), period, *count)
        for (grant, period), count in sorted(counts.items())
    )


def _owner(ledger: LedgerSide, grant: str) -> str:
    """The member that gave a grant."""
    found = ledger.view.grant(grant)
    return "" if found is None else found.owner
