r"""Canonical JSON: the one byte form of every value that is hashed or signed (RFC 8785, a subset).

Rules
- Values are objects with string names, arrays, strings, integers with absolute value below 2^53, booleans and
  null. There are no floats: bigger numbers, digests and points are lower-case hex strings.
- No white space; names sorted by their UTF-16 code units; strings escaped as RFC 8785 section 3.2.2.2 says
  (the two-character escapes, ``\u00xx`` in lower case for the other control characters, everything else as
  it is, in UTF-8). A lone surrogate has no UTF-8 form and is refused.
- ``decode`` accepts only what ``encode`` would write: it parses, checks size and depth, writes the value
  again and compares the bytes. That one comparison also refuses duplicate names, white space, ``-0``,
  unsorted names and needless escapes.

Depth counts nested objects and arrays: ``1`` has depth 0, ``{}`` depth 1, ``{"a":[]}`` depth 2.

The work is done by the json module of the standard library, whose compact output equals RFC 8785 for this
subset as long as names are sorted by code point in the same order as by UTF-16 code unit; names outside ASCII
take a slower path that sorts them itself.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeAlias

from ledger.errors import CanonicalError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"
"""A decoded value; never a float."""

MAX_BYTES = 61440
"""60 KiB: the largest entry."""

MAX_DEPTH = 8
INTEGER_LIMIT = 1 << 53
"""Integers are strictly between -2^53 and 2^53, so that every JSON reader keeps them exactly."""

_ENCODE_DEPTH = 64
_SORTED = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_AS_GIVEN = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=False, separators=(",", ":")
)


def encode(value: object) -> bytes:
    """Canonical bytes of ``value``.

    Args:
        value: nested dict with str names, list, str, int, bool and None; exact types, no subclasses.

    Raises:
        CanonicalError: a float, a big integer, a lone surrogate, another type, or nesting over 64.
    """
    return _write(value, _ENCODE_DEPTH)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """The value whose canonical bytes are ``data``.

    Args:
        data: UTF-8 bytes, exactly as ``encode`` writes them.
        max_bytes: largest accepted length in bytes.
        max_depth: deepest accepted nesting of objects and arrays.

    Raises:
        CanonicalError: ``data`` is too long, too deep, no JSON, or not in canonical form.
    """
    if len(data) > max_bytes:
        raise CanonicalError(f"{len(data)} bytes are over the limit of {max_bytes}: send a digest instead")
    try:
        value: Json = _DECODER.decode(data.decode("utf-8"))
    except CanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        raise CanonicalError("not valid JSON in UTF-8") from error
    if _write(value, max_depth) != data:
        raise CanonicalError("not in canonical form (RFC 8785): order, spaces, escapes or a duplicate name")
    return value


def reread_json(data: bytes) -> Any:
    """The value of bytes that ``decode`` has accepted before, without the checks."""
    return _DECODER.raw_decode(data.decode("utf-8"))[0]


def _write(value: object, max_depth: int) -> bytes:
    plain = _check(value, max_depth)
    text = _SORTED.encode(value) if plain else _AS_GIVEN.encode(_ordered(value))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds a lone surrogate: it is not valid Unicode text") from error


def _check(value: object, room: int) -> bool:
    """Check types, integers and depth; True when every name is ASCII (code point order is then exact)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        _check_integer(value)
        return True
    if room == 0:
        raise CanonicalError("objects and arrays are nested too deeply")
    if kind is dict:
        return _check_object(value, room - 1)
    if kind is list:
        plain = True
        for item in value:  # type: ignore[attr-defined]  # kind is list
            if type(item) is not str and not _check(item, room - 1):
                plain = False
        return plain
    raise CanonicalError(f"{kind.__name__} has no canonical form: use text, integers, lists and objects")


def _check_object(value: object, room: int) -> bool:
    plain = True
    for name, item in value.items():  # type: ignore[attr-defined]  # the caller saw a dict
        if type(name) is not str:
            raise CanonicalError("names of an object must be strings")
        if not name.isascii():
            plain = False
        if type(item) is not str and not _check(item, room):
            plain = False
    return plain


def _check_integer(value: object) -> None:
    if not -INTEGER_LIMIT < value < INTEGER_LIMIT:  # type: ignore[operator]  # the caller saw an int
        raise CanonicalError("integers must be below 2^53: write bigger ones as hex strings")


def _ordered(value: object) -> object:
    """The same value with every object's names in UTF-16 code unit order."""
    if type(value) is dict:
        return {name: _ordered(value[name]) for name in sorted(value, key=_utf16)}
    if type(value) is list:
        return [_ordered(item) for item in value]
    return value


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _refuse_number(text: str) -> NoReturn:
    del text
    raise CanonicalError("floats have no canonical form here: use integers or hex strings")


_DECODER = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)
