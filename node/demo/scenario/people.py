"""Invented residents and the plots of a generated scenario's cases.

Identifiers follow GB 11643-1999: six digits of address, eight of birth, three of sequence, and a check
character by ISO 7064 MOD 11-2 with weights 2^(17−i) mod 11. The address code 331099 has not been assigned, so
every identifier here passes the check and belongs to no living person. Names are like 王某甲, as court
decisions write an anonymous party.

Resident number k of a pool (adults, children) has birth day k·7919 mod D, where D is the number of days of
the pool. This visits every day once before the sequence number increases, so that any number of identifiers
are distinct without a table.

A plot is the story of one case, and each plot exercises one rule of the verdict. It fixes the household, the
member datasets that its people are in, and the net income in thousandths of the standard (per counted head
and year). ``rows`` distributes that net over incomes and deductions, to the fen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

COUNTY = "331099"
"""An address code in region 3310 that has not been assigned."""
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_STEP = 7919
_SEQUENCES = 999
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_FULL_WIDTH = {ord(mark): ord(mark) + 0xFEE0 for mark in "0123456789X"}
_PLAIN_SHARE = 0.7
STANDARD_FEN = 110_000
"""The standard per head and month, as in rules/dibao-2026.toml."""
_EXCLUDE = ("justice.custody", "police.deceased")
_NOISE_FEN = 9_000_000
_FAMILY = ("self", "spouse", "child")
_COUPLE = ("self", "spouse")


@dataclass(frozen=True)
class Pool:
    """A range of birth days, both ends included."""

    first: dt.date
    last: dt.date

    @property
    def days(self) -> int:
        """Number of birth days."""
        return (self.last - self.first).days + 1

    @property
    def limit(self) -> int:
        """Number of different identifiers of the pool."""
        return self.days * _SEQUENCES


ADULTS = Pool(dt.date(1948, 1, 1), dt.date(2004, 12, 31))
CHILDREN = Pool(dt.date(2011, 1, 1), dt.date(2025, 12, 31))


def check_digit(first17: str) -> str:
    """Check digit of the first seventeen digits."""
    return _CHECK[sum(int(digit) * weight for digit, weight in zip(first17, _WEIGHTS, strict=True)) % 11]


def identifier(pool: Pool, number: int, seed: int) -> str:
    """Identifier of resident ``number`` (from 0, below ``pool.limit``) of a pool, 18 characters."""
    lap, place = divmod(number, pool.days)
    day = (place * _STEP + seed) % pool.days
    birth = pool.first + dt.timedelta(days=day)
    sequence = 1 + (lap + day * 31 + seed) % _SEQUENCES
    first17 = f"{COUNTY}{birth:%Y%m%d}{sequence:03d}"
    return first17 + check_digit(first17)


class Supply:
    """Draws residents from the pools, each once, in a fixed order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._taken = {ADULTS: 0, CHILDREN: 0}

    def take(self, pool: Pool) -> tuple[str, str]:
        """Identifier and name of the next resident."""
        number = self._taken[pool]
        self._taken[pool] = number + 1
        return identifier(pool, number, self._seed), name(number)


def name(number: int) -> str:
    """An invented name."""
    surname = _SURNAMES[number % len(_SURNAMES)]
    return f"{surname}某{_STEMS[number // len(_SURNAMES) % len(_STEMS)]}"


def old_form(identity: str) -> str:
    """The 15-digit form of an identifier with a birth year 19xx; others are returned as they are."""
    return identity[:6] + identity[8:17] if identity[6:8] == "19" else identity


def full_width(identity: str) -> str:
    """The identifier in full-width characters."""
    return identity.translate(_FULL_WIDTH)


def messy(identity: str, rng: Random) -> str:
    """The identifier as an export may write it: mostly plain, otherwise in one of seven other forms."""
    if rng.random() < _PLAIN_SHARE:
        return identity
    forms = (
        identity.lower(),
        old_form(identity),
        full_width(identity),
        f"'{identity}",
        f'"{identity}"',
        f" {identity} ",
        f"{identity[:6]} {identity[6:14]} {identity[14:]}",
    )
    return rng.choice(forms)


def broken(identity: str, rng: Random) -> str:
    """A malformed identifier for a bad row; never a valid one."""
    return rng.choice(
        (wrong_check(identity), "", identity[:14], "3.31099E+17", f"{COUNTY}19990231{identity[14:]}")
    )


def wrong_check(identity: str) -> str:
    """The identifier with a wrong check digit."""
    return identity[:17] + _CHECK[(_CHECK.index(identity[17]) + 1) % len(_CHECK)]


def yuan_text(fen: int, rng: Random) -> str:
    """An amount in yuan as exports write it: plain, with commas, or in 万 if that is exact."""
    form = rng.choice(("plain", "commas", "wan"))
    if form == "wan" and fen % 10_000 == 0:
        return f"{(Decimal(fen) / 1_000_000).normalize():f}万"
    sign, (yuan, rest) = "-" if fen < 0 else "", divmod(abs(fen), 100)
    return f"{sign}{yuan}.{rest:02d}" if form == "plain" else f"{sign}{yuan:,}.{rest:02d}"


@dataclass(frozen=True)
class Plot:
    """The story of one case.

    Attributes:
        name: what the case shows.
        relations: the household in order; a "child" consents through a guardian.
        net: lowest and highest net income in thousandths of the annual standard of the counted heads; None if
            the household has no amount rows.
        extra_fen: added to the net.
        hits: (position from 1, member dataset) of the datasets that people are in.
        refuses: position of a person without consent, or 0.
        invalid: position of a person whose identifier in the case is wrong, or 0.
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
        """Positions of the people in no exclude dataset."""
        excluded = {position for position, dataset in self.hits if dataset in _EXCLUDE}
        return tuple(place for place in range(1, len(self.relations) + 1) if place not in excluded)


@dataclass(frozen=True)
class PlotRow:
    """An amount in a dataset for the person at ``position``."""

    position: int
    dataset: str
    fen: int


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
    """Amounts of a household: those of counted people sum to the plot's net; the others must not count."""
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
