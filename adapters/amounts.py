"""Amounts as integer fen (1/100 yuan), exact or refused.

A declared unit ("yuan", "fen", "wan" = ten thousand yuan) says what a bare number means:

    fen = number × 1 (fen), × 10^2 (yuan), × 10^6 (wan)

Read from text: optional sign (``+ - −``) or parentheses for a negative, optional ``¥`` or ``￥``, digits
with or without a comma every three, optional decimal point, optional suffix ``分``, ``元``, ``万`` or
``万元``; full-width forms and outer white space are allowed. A mark in the cell must agree with the
declared unit: ``万`` may stand in a column of yuan or wan and means ten thousand yuan in both; ``元`` and
``¥`` alone only in a column of yuan; ``分`` only in one of fen. Anything else is refused (amount_unit),
since a wrong guess is a factor of 10,000.

XLSX and database numbers go through ``Decimal(repr(x))``, so 0.1 is 0.1. The arithmetic is on integers: no
context, no rounding. Refused: empty cells (empty is not zero), fractions of a fen, NaN and infinities, more
than 10^12 fen either way, misplaced commas (``1,23`` may be a decimal comma), and scientific notation in
text, since the spreadsheet that wrote ``1.23E+05`` has already thrown digits away. A number cell whose repr
has an exponent is exact and accepted.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, get_args

from adapters.errors import AmountError

Unit = Literal["yuan", "fen", "wan"]
"""What a bare number in an amount column means."""

UNITS: tuple[str, ...] = get_args(Unit)
LIMIT_FEN = 10**12
"""Largest absolute value of one row and of one person's total, in fen."""

_LONGEST = 1_000
_SHIFT = {"fen": 0, "yuan": 2, "wan": 6}
_MARKS = {"": "", "分": "fen", "元": "yuan", "万": "wan", "万元": "wan"}
_PLAIN = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,2}))?")
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_MONEY = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<yen>¥?)\s*(?P<inner>[+-]?)(?P<number>{_NUMBER})\s*(?P<mark>万元|万|元|分|)"
)
_SCIENTIFIC = re.compile(r"[+-]?[0-9.,]+E[+-]?[0-9]+", re.IGNORECASE)
_HALF: dict[int, int | None] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    0x2212: ord("-"),
    0xFFE5: ord("¥"),
    0x3000: ord(" "),
    **dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)),
}


def fen(value: object, unit: Unit) -> int:
    """``value`` of a raw cell as integer fen, between -10^12 and 10^12.

    Args:
        value: text, int, float, Decimal, or None for an empty cell.
        unit: what a bare number means.

    Raises:
        AmountError: amount_empty, amount_format, amount_scientific, amount_unit, amount_fraction or
            amount_range.
    """
    if isinstance(value, str):
        if unit == "yuan" and (plain := _PLAIN.fullmatch(value)) is not None:
            return _from_plain(plain)
        return _from_text(value, unit)
    if value is None:
        raise AmountError("amount_empty")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise AmountError("amount_format")
    return _scaled(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), unit)


def _from_plain(plain: re.Match[str]) -> int:
    """The common shape, digits with at most two decimals in yuan, without a Decimal."""
    sign, whole, cents = plain.groups()
    result = int(whole) * 100 + (0 if cents is None else int(cents.ljust(2, "0")))
    if result > LIMIT_FEN:
        raise AmountError("amount_range")
    return -result if sign else result


def _from_text(text: str, unit: Unit) -> int:
    amount = text.translate(_HALF).strip().strip("'\"").strip()
    if not amount:
        raise AmountError("amount_empty")
    bracketed = amount.startswith("(") and amount.endswith(")")
    money = _MONEY.fullmatch(amount[1:-1].strip() if bracketed else amount)
    if money is None:
        raise AmountError("amount_scientific" if _SCIENTIFIC.fullmatch(amount) else "amount_format")
    signs = money["sign"] + money["inner"]
    if len(signs) > 1 or (bracketed and signs):
        raise AmountError("amount_format")
    result = _scaled(
        Decimal(money["number"].replace(",", "")), _stated_unit(money["yen"], money["mark"], unit)
    )
    return -result if bracketed or signs == "-" else result


def _stated_unit(yen: str, mark: str, unit: Unit) -> str:
    """The unit of one cell: the declared one, unless a mark inside the cell says ten thousand yuan."""
    stated = _MARKS[mark] or ("yuan" if yen else unit)
    if yen and stated == "fen":
        raise AmountError("amount_unit")
    if stated != unit and not (stated == "wan" and unit == "yuan"):
        raise AmountError("amount_unit")
    return stated


def _scaled(number: Decimal, unit: str) -> int:
    """``number`` × 10^shift as an integer, exactly."""
    if not number.is_finite():
        raise AmountError("amount_format")
    if not number:
        return 0
    if number.adjusted() > 13:
        raise AmountError("amount_range")
    sign, digits, power = number.as_tuple()
    if len(digits) > _LONGEST:
        raise AmountError("amount_fraction")
    exponent = int(power) + _SHIFT[unit]
    significant = int("".join(map(str, digits)))
    if exponent >= 0:
        result, rest = significant * int(10**exponent), 0
    else:
        result, rest = divmod(significant, int(10 ** min(-exponent, len(digits) + 1)))
    if rest:
        raise AmountError("amount_fraction")
    if result > LIMIT_FEN:
        raise AmountError("amount_range")
    return -result if sign else result
