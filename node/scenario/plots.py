"""The stories a generated scenario tells, one a case, each for one rule of the verdict.

A plot fixes the household, who hits which member dataset, and the net income in thousandths of the standard
(per counted head and year). ``rows`` spreads that net over incomes and deductions, to the fen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

STANDARD_FEN = 110_000
"""Per head and month, as in rules/dibao-2026.toml."""

_EXCLUDE = ("justice.custody", "police.deceased")
_NOISE_FEN = 9_000_000


@dataclass(frozen=True)
class Plot:
    """One story.

    Attributes:
        name: what it shows.
        relations: household in order; a "child" consents through a guardian.
        net: lowest and highest net, thousandths of the annual standard of the counted heads; None: no row.
        extra_fen: added to the net.
        hits: (position from 1, member dataset).
        refuses: position of a member without consent, or 0.
        invalid: position of a member whose identifier the case writes wrongly, or 0.
    """

    name: str
    relations: tuple[str, ...]
    net: tuple[int, int] | None
    extra_fen: int = 0
    hits: tuple[tuple[int, str], ...] = ()
    refuses: int = 0
    invalid: int = 0

    @property
    def counted(self) -> tuple[int, ...]:
        """Positions not in an exclude dataset."""
        out = {position for position, dataset in self.hits if dataset in _EXCLUDE}
        return tuple(place for place in range(1, len(self.relations) + 1) if place not in out)


@dataclass(frozen=True)
class PlotRow:
    """An amount in a dataset for the member at ``position``."""

    position: int
    dataset: str
    fen: int


_FAMILY = ("self", "spouse", "child")
_COUPLE = ("self", "spouse")

PLOTS = (
    Plot("dibao", _FAMILY, (300, 950)),
    Plot("edge", ("self", "child"), (1010, 1490)),
    Plot("none", _COUPLE, (1600, 4000)),
    Plot("vehicle", _FAMILY, (300, 900), hits=((2, "vehicle.owner"),)),
    Plot("custody", _FAMILY, (300, 900), hits=((2, "justice.custody"), (2, "vehicle.owner"))),
    Plot("no consent", _COUPLE, (300, 900), refuses=2),
    Plot("all in custody", _COUPLE, (300, 900), hits=((1, "justice.custody"), (2, "justice.custody"))),
    Plot("at the standard", ("self", "parent"), (1000, 1000)),
    Plot("one fen above", _FAMILY, (1000, 1000), extra_fen=1),
    Plot("at 1.5 times", _COUPLE, (1500, 1500)),
    Plot("a loss", _FAMILY, (-900, -100)),
    Plot("no rows", ("self", "child"), None),
    Plot("two homes", _COUPLE, (300, 900), hits=((1, "housing.two_or_more"),)),
    Plot("company", _FAMILY, (300, 900), hits=((1, "tax.company_owner"),)),
    Plot("deceased", ("self", "parent", "child"), (300, 900), hits=((2, "police.deceased"),)),
    Plot("invalid identifier", _COUPLE, (300, 900), invalid=2),
)


def rows(plot: Plot, rng: Random) -> Iterator[PlotRow]:
    """Amounts of a household: those of counted members add to the plot's net, the others must not count."""
    if plot.net is None:
        return
    counted = plot.counted
    for position in range(1, len(plot.relations) + 1):
        if position not in counted:
            yield PlotRow(position, "sib.pension", _NOISE_FEN)
    if not counted:
        return
    net = STANDARD_FEN * 12 * len(counted) * rng.randint(*plot.net) // 1000 + plot.extra_fen
    deduct = rng.randrange(1, 400_000)
    subsidy = rng.randrange(1, 30) * 10_000
    pension = rng.randrange(1, 200_000)
    second = rng.randrange(1, 100_000)
    adults = [place for place in counted if plot.relations[place - 1] != "child"]
    first, last = adults[0], adults[-1]
    yield PlotRow(last, "hib.selfpaid", deduct)
    yield PlotRow(first, "agri.subsidy", subsidy)
    yield PlotRow(last, "sib.pension", pension)
    yield PlotRow(last, "tax.income", second)
    yield PlotRow(first, "tax.income", net + deduct - subsidy - pension - second)
