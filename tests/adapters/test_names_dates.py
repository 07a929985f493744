"""Names and dates in one form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dates import calendar_date
from adapters.errors import DateError, PersonNameError
from adapters.names import person_name
from adapters.reasons import REASONS

DAYS = st.dates(date(1900, 3, 1), date(2200, 12, 31))


@given(DAYS)
def test_five_shapes_of_one_day(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    shapes: list[object] = [
        f"{day:%Y-%m-%d}",
        f"{day:%Y/%m/%d}",
        f"{day:%Y.%m.%d}",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y%m%d}",
        f" {day:%Y-%m-%d} 13:05:00\u3000",
        f"{day:%Y-%m-%d}T00:00",
        "".join(chr(ord(c) + 0xFEE0) for c in f"{day:%Y-%m-%d}"),
        datetime(day.year, day.month, day.day, 23, tzinfo=UTC),
        day,
        serial,
        float(serial) + 0.75,
        Decimal(serial),
        str(serial),
        int(f"{day:%Y%m%d}"),
    ]
    assert [calendar_date(shape) for shape in shapes] == [day] * len(shapes)


def test_the_serial_days_around_the_day_that_never_was() -> None:
    assert calendar_date(1) == date(1900, 1, 1)
    assert calendar_date(59) == date(1900, 2, 28)
    assert calendar_date(61) == date(1900, 3, 1)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "date_empty"),
        (" ", "date_empty"),
        ("2026-02-30", "date_impossible"),
        ("20261301", "date_impossible"),
        (60, "date_impossible"),
        ("31/10/2026", "date_format"),
        ("26-10-31", "date_format"),
        ("2026-10/31", "date_format"),
        ("yesterday", "date_format"),
        (0, "date_format"),
        (float("nan"), "date_format"),
        (True, "date_format"),
        (b"2026-10-31", "date_format"),
        (10**9, "date_format"),
    ],
)
def test_dates_refused(value: object, code: str) -> None:
    with pytest.raises(DateError) as caught:
        calendar_date(value)
    assert caught.value.code == code
    assert code in REASONS


@pytest.mark.parametrize("dot", ["\u00b7", "\u2022", "\u30fb", "\uff65", "\u2027"])
def test_one_middle_dot(dot: str) -> None:
    assert person_name(f" 买买提{dot}吐尔逊\u3000") == "买买提\u00b7吐尔逊"


def test_names_lose_spaces_and_keep_rare_characters() -> None:
    assert person_name("王\u3000小\u200b 明") == "王小明"
    assert person_name("㛃\U0002a6d6\U0002b81a") == "㛃\U0002a6d6\U0002b81a"
    assert person_name("ＡＢ") == "AB"


@pytest.mark.parametrize(
    ("text", "code"), [("", "name_empty"), (" \u3000\u200b", "name_empty"), ("王\x00", "name_characters")]
)
def test_names_refused(text: str, code: str) -> None:
    with pytest.raises(PersonNameError) as caught:
        person_name(text)
    assert caught.value.code == code


@given(st.text(max_size=12))
def test_a_normal_name_is_its_own_normal_form(text: str) -> None:
    try:
        name = person_name(text)
    except PersonNameError:
        return
    assert person_name(name) == name
