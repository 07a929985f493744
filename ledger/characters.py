"""Which characters the contract takes, the same for every node whatever Python it runs on.

``str.isprintable`` and a pattern's class of digits follow the Unicode tables of the running Python, which
grow with its releases: an entry with a character that is new in one of them would be void on some nodes and
count on others. Here the ranges are written out. A code point that no table names yet is taken, by everybody.
"""

from __future__ import annotations

import re

DIGIT = "0-9\\uff10-\\uff19"
"""Digits of half and full width, for a character class."""

_CONTROL = "\\x00-\\x1f\\x7f-\\x9f"
_SPACE = "\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_FORMAT = (
    "\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f"
    "\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff0-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e00ff\\U000e01f0-\\U000e0fff"
)
_PRIVATE = "\\ud800-\\uf8ff\\U000f0000-\\U0010ffff"
"""Surrogates, too."""

_NEVER = "\\ufdd0-\\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(15))
"""No characters, for ever."""

_REFUSED = re.compile(f"[{_CONTROL}{_SPACE}{_FORMAT}{_PRIVATE}{_NEVER}]")


def is_printable(text: str) -> bool:
    """Whether a text holds no control, format, private or separating character but the plain space."""
    return _REFUSED.search(text) is None
