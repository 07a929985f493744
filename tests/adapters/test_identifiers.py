"""Resident IDs: canonical form, every refusal, the check by a second formula."""

from __future__ import annotations

import calendar
import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import IdentifierError
from adapters.identifiers import (
    canonical_bytes,
    canonical_or_none,
    hide_identifiers,
    hide_lone_identifiers,
    holds_identifier,
    identifier_text,
    mask,
    resident_id,
)
from adapters.report import REASONS

VALID = "11010519491231002X"
VALID_DIGITS = "440524188001010014"


def recursive_check(digits: str) -> str:
    """Pure ISO 7064 system: P = 0; P = (P + a) · 2 mod 11; check c with P + c = 1 mod 11."""
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2 % 11
    value = (12 - total) % 11
    return "X" if value == 10 else str(value)


@st.composite
def identifiers(draw: st.DrawFn, years: tuple[int, int] = (1800, 2100)) -> str:
    year = draw(st.integers(*years))
    month = draw(st.integers(1, 12))
    day = draw(st.integers(1, calendar.monthrange(year, month)[1]))
    address = draw(st.integers(0, 999_999))
    digits = f"{address:06d}{year}{month:02d}{day:02d}{draw(st.integers(0, 999)):03d}"
    return digits + recursive_check(digits)


def refused(text: str) -> str:
    with pytest.raises(IdentifierError) as caught:
        resident_id(text)
    assert caught.value.code in REASONS
    assert len(text) < 6 or text not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("text", [VALID, VALID_DIGITS])
def test_the_published_examples_are_valid(text: str) -> None:
    assert resident_id(text) == text


@given(identifiers())
def test_every_valid_identifier_is_its_own_canonical_form(text: str) -> None:
    assert resident_id(text) == text
    assert canonical_bytes(text) == b"CN-RID:" + text.encode()


@given(identifiers(), st.data())
def test_a_changed_digit_never_passes(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 16))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != text[place]]))
    assert refused(text[:place] + digit + text[place + 1 :]) in ("identifier_check", "identifier_date")


@given(identifiers(), st.data())
def test_mess_around_an_identifier_is_normalised_away(text: str, data: st.DataObject) -> None:
    messy = text.lower() if data.draw(st.booleans()) else text
    if data.draw(st.booleans()):
        messy = "".join(chr(ord(character) + 0xFEE0) for character in messy)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(messy)))
        space = data.draw(st.sampled_from(" \t\n\u3000\u00a0\u200b\u200d\ufeff\u2060"))
        messy = messy[:place] + space + messy[place:]
    start, end = data.draw(
        st.sampled_from([("", ""), ("'", ""), ("’", ""), ("＇", ""), ('"', '"'), ('="', '"'), ("“", "”")])
    )
    assert resident_id(start + messy + end) == text


@given(identifiers(years=(1900, 1999)))
def test_fifteen_and_eighteen_digits_are_one_person(text: str) -> None:
    assert resident_id(text[:6] + text[8:17]) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "identifier_empty"),
        (" \u3000\u200b", "identifier_empty"),
        ("'", "identifier_empty"),
        ("11010519491231002", "identifier_length"),
        ("110105194912310021X", "identifier_length"),
        ("1101051949123100211", "identifier_length"),
        ("某某", "identifier_characters"),
        ("11010519491231002Y", "identifier_characters"),
        ("1101051949123100X2", "identifier_characters"),
        ("110105-19491231-002X", "identifier_characters"),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", "identifier_characters"),
        ("1101**********002X", "identifier_masked"),
        ("1.10105E+17", "identifier_scientific"),
        ("1.1010519491231e17", "identifier_scientific"),
        ("4.405241880010E+17", "identifier_scientific"),
        ("11010519490230002X", "identifier_date"),
        ("110105194913310021", "identifier_date"),
        ("110105000001010021", "identifier_date"),
        ("110105490230002", "identifier_date"),
        ("110105194912310020", "identifier_check"),
    ],
)
def test_refusals_have_a_code(text: str, code: str) -> None:
    assert refused(text) == code


@given(st.text(max_size=24))
def test_any_text_is_canonical_or_refused(text: str) -> None:
    with contextlib.suppress(IdentifierError):
        assert canonical_bytes(resident_id(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (VALID, VALID),
        (None, ""),
        (440524188001010014, VALID_DIGITS),
        (110105491231002, "110105491231002"),
        (110105491231002.0, "110105491231002"),
        (Decimal(440524188001010014), VALID_DIGITS),
    ],
)
def test_cells_of_every_type_become_text(value: object, text: str) -> None:
    assert identifier_text(value) == text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (4.40524188001010014e17, "identifier_digits_lost"),
        (float("nan"), "identifier_digits_lost"),
        (True, "identifier_characters"),
        (1.5, "identifier_characters"),
        (b"11010519491231002X", "identifier_characters"),
    ],
)
def test_cells_that_cannot_hold_an_identifier(value: object, code: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        identifier_text(value)
    assert caught.value.code == code


def test_only_canonical_identifiers_have_bytes() -> None:
    with pytest.raises(IdentifierError):
        canonical_bytes(VALID.lower())


def test_the_mask_keeps_four_and_four() -> None:
    assert mask("33010219491231001X") == "3301**********001X"
    assert mask("12345678") == "********"


@pytest.mark.parametrize("text", ["", "123", "3310****0101001X", "33102219800101001Z"])
def test_what_is_no_identifier_has_no_canonical_form(text: str) -> None:
    assert canonical_or_none(text) is None


def test_an_identifier_as_written_has_the_canonical_form_of_resident_id() -> None:
    assert canonical_or_none(" 11010519491231002x ") == resident_id("11010519491231002X")


@pytest.mark.parametrize(
    "written",
    [
        VALID,
        VALID.lower(),
        "110105491231002",
        "110105 19491231 002X",
        "110105-19491231-002X",
        "１１０１０５19491231002Ｘ",
    ],
)
def test_a_text_that_holds_an_identifier_is_found_and_hidden(written: str) -> None:
    for text in (written, f"户主{written}", f"case_{written}.json", f"id{written}"):
        assert holds_identifier(text)
        assert hide_identifiers(text) == text.replace(written, "*" * len(written))


@pytest.mark.parametrize("text", ["2026-000123.json", "户主", "13800138000", "2026-11-02", ""])
def test_a_text_without_identifier_is_not_changed(text: str) -> None:
    assert not holds_identifier(text)
    assert hide_identifiers(text) == text


def test_a_message_keeps_hashes_and_times() -> None:
    kept = "root a110105491231002b at 1792300000123, 2026-10-17T10:13:20.123Z"
    assert hide_lone_identifiers(kept) == kept
    for written in (VALID, VALID_DIGITS, "110105491231002"):
        hidden = hide_lone_identifiers(f"/cases/{written}.json: 户主{written}，不是")
        assert hidden == f"/cases/{'*' * len(written)}.json: 户主{'*' * len(written)}，不是"
