"""The contract's characters are those that this Python calls printable, and do not change with Python."""

from __future__ import annotations

import sys
import unicodedata

from ledger.entries.body_schema import is_printable


def test_every_character_this_python_knows_is_judged_as_it_does() -> None:
    known = map(chr, range(sys.maxunicode + 1))
    assigned = (one for one in known if unicodedata.category(one) != "Cn")
    wrong = [hex(ord(one)) for one in assigned if is_printable(one) != one.isprintable()]
    assert wrong == []


def test_characters_to_come_are_taken_and_those_that_never_come_are_not() -> None:
    assert is_printable("\U00033480")  # unassigned in Unicode 16
    assert is_printable("\u0378")
    for never in (0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x3FFFF, 0xEFFFE, 0xFFFFE, 0x10FFFF):
        assert not is_printable(chr(never)), hex(never)


def test_whole_texts() -> None:
    assert is_printable("最低生活保障 2026, 𠮷 é ①")
    assert is_printable("")
    assert not is_printable("a\u3000b")
    assert not is_printable("a\u202eb")
    assert not is_printable("a\nb")
