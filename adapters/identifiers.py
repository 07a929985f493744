"""Identifiers of persons in canonical form.

Resident ID, GB 11643-1999: 6 digits address code of first registration, 8 birth date, 3 sequence, 1 check
character by ISO 7064 MOD 11-2: with the weights 7 9 10 5 8 4 2 1 6 3 7 9 10 5 8 4 2 over the first 17 digits,
check = ``10X98765432``[Σ mod 11]. The 15-digit form has a two-digit year and no check.

Normalisation, in this order: full-width to half-width; white space (inner, full-width, no-break) and
zero-width characters dropped; quotes and apostrophes at either end, and a spreadsheet's ``="…"`` wrapper,
dropped; ``x`` to ``X``; 15 to 18 digits by inserting ``19`` and computing the check.

Refused: masked values, scientific notation, impossible birth dates, a wrong check. Not refused: any address
code (a code stays with a person for life, abolished ones too) and any birth date that exists in the
calendar, however early or late: this module knows no today.

An identifier enters a protocol as the bytes ``CN-RID:`` and the 18 characters.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from operator import mul

from adapters.errors import IdentifierError

DOMAIN = b"CN-RID:"
"""Prefix of a resident ID's canonical bytes."""

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_ASCII_ZEROS = 48 * sum(_WEIGHTS)

_CANONICAL = re.compile(r"[0-9]{17}[0-9X]")
_OLD = re.compile(r"[0-9]{15}")
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]*)?E[+-]?[0-9]+", re.IGNORECASE)
_WRAPPER = "'\"`´‘’“”′″"
_CLEAN: dict[int, int | None] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(
        map(ord, " \t\r\n\v\f\u00a0\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\u00ad")
    ),
    **dict.fromkeys(range(0x2000, 0x2010)),
    **dict.fromkeys(range(0x202A, 0x202F)),
}

_NUMBER_EXACT_BELOW = 10**15

_DIGIT = "[0-9\uff10-\uff19]"
_LAST = "[0-9Xx\uff10-\uff19\uff38\uff58]"
_GAP = "[\\s._\u00b7\u2010-\u2015-]*"
_LIKE = re.compile(f"(?:{_DIGIT}{_GAP}){{14,}}{_LAST}")
"""15 characters or more of an identifier's alphabet, also with gaps, wherever they stand."""
_ALONE = re.compile(
    f"(?<![0-9A-Za-z\uff10-\uff19])(?:{_DIGIT}{{17}}{_LAST}|{_DIGIT}{{15}})(?![0-9A-Za-z\uff10-\uff19])"
)
"""15 digits, or 17 and a digit or X, standing alone: no part of a hash in hex."""


def resident_id(text: str) -> str:
    """The canonical 18 characters of a resident ID.

    Raises:
        IdentifierError: ``code`` is one of identifier_empty, identifier_length, identifier_characters,
            identifier_masked, identifier_scientific, identifier_date, identifier_check.
    """
    if _CANONICAL.fullmatch(text) is None:
        text = _normalised(text)
    _require_date(text[6:14])
    if text[17] != _check_character(text):
        raise IdentifierError("identifier_check")
    return text


def canonical_or_none(text: str) -> str | None:
    """The canonical 18 characters of a resident ID as written, or None where it is not valid."""
    try:
        return resident_id(text)
    except IdentifierError:
        return None


def identifier_text(value: object) -> str:
    """The text of a raw cell that should hold an identifier.

    Text passes unchanged; an empty cell gives "". Integers (databases, XLSX) are exact. A binary float
    carries 15 digits at most, so it is accepted only below 10^15 (a 15-digit ID).

    Raises:
        IdentifierError: identifier_digits_lost, or identifier_characters for any other type.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        raise IdentifierError("identifier_characters")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not abs(value) < _NUMBER_EXACT_BELOW:
            raise IdentifierError("identifier_digits_lost")
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    raise IdentifierError("identifier_characters")


def canonical_bytes(identifier: str) -> bytes:
    """Bytes of a canonical resident ID for a protocol: ``CN-RID:`` and 18 characters, 25 bytes.

    Raises:
        IdentifierError: ``identifier`` is not in canonical form (pass it through ``resident_id`` first).
    """
    if _CANONICAL.fullmatch(identifier) is None:
        raise IdentifierError("identifier")
    return DOMAIN + identifier.encode("ascii")


def mask(identifier: str) -> str:
    """First four and last four characters, stars between: ``3301**********001X``; under 9, only stars."""
    if len(identifier) < 9:
        return "*" * len(identifier)
    return identifier[:4] + "*" * (len(identifier) - 8) + identifier[-4:]


def holds_identifier(text: str) -> bool:
    """Whether a text that should hold none, such as a person's name, has something like an identifier in it.

    Digits count at full width and with gaps of white space, dots and dashes between them too; neither the
    birth date nor the check character is verified.
    """
    return _LIKE.search(text) is not None


def hide_identifiers(text: str) -> str:
    """A name or a free text with a star for each character of what looks like an identifier in it."""
    return _LIKE.sub(_stars, text)


def hide_lone_identifiers(text: str) -> str:
    """A message with a star for each character of an identifier in it that stands alone.

    Unlike ``hide_identifiers`` it leaves digits inside longer words, such as hashes, as they are.
    """
    return _ALONE.sub(_stars, text)


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def _normalised(text: str) -> str:
    """18 characters of the right alphabet, date and check not yet verified."""
    code = _cleaned(text)
    if _CANONICAL.fullmatch(code) is not None:
        return code
    if _OLD.fullmatch(code) is not None:
        body = code[:6] + "19" + code[6:]
        return body + _check_character(body)
    if len(code) not in (15, 18) and re.fullmatch(r"[0-9X]+", code) is not None:
        raise IdentifierError("identifier_length")
    raise IdentifierError("identifier_characters")


def _cleaned(text: str) -> str:
    code = text.translate(_CLEAN).removeprefix("=").strip(_WRAPPER).upper()
    if not code:
        raise IdentifierError("identifier_empty")
    if "*" in code:
        raise IdentifierError("identifier_masked")
    if _SCIENTIFIC.fullmatch(code) is not None and (len(code) != 18 or not code.isalnum()):
        raise IdentifierError("identifier_scientific")
    return code


def _check_character(digits: str) -> str:
    """Check character over the first 17 of ``digits`` (ASCII digits)."""
    return _CHECKS[(sum(map(mul, _WEIGHTS, digits.encode("ascii"))) - _ASCII_ZEROS) % 11]


def _require_date(text: str) -> None:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise IdentifierError("identifier_date") from None
