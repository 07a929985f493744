"""Amounts to fen: exact, or refused with a code."""

from __future__ import annotations

import contextlib
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.amounts import LIMIT_FEN, UNITS, fen
from adapters.errors import AmountError
from adapters.report import REASONS

SHIFT = {"fen": 0, "yuan": 2, "wan": 6}
FEN = st.integers(-LIMIT_FEN, LIMIT_FEN)


@given(FEN, st.sampled_from(UNITS))
def test_every_amount_comes_back_from_its_text_and_its_decimal(amount: int, unit: str) -> None:
    number = Decimal(amount).scaleb(-SHIFT[unit])
    assert fen(f"{number:f}", unit) == amount
    assert fen(number, unit) == amount


@given(FEN)
def test_a_float_counts_as_what_it_prints(amount: int) -> None:
    assert fen(amount / 100, "yuan") == amount


@given(FEN, st.data())
def test_dressed_amounts(amount: int, data: st.DataObject) -> None:
    digits = f"{abs(amount) // 100:,}.{abs(amount) % 100:02d}"
    text = (
        data.draw(st.sampled_from(["", "¥", "￥ "])) + digits + data.draw(st.sampled_from(["", "元", " 元"]))
    )
    if amount < 0:
        text = data.draw(st.sampled_from([f"-{text}", f"−{text}", f"({text})", f"（{text}）"]))
    if data.draw(st.booleans()):
        text = "".join(chr(ord(c) + 0xFEE0) if c in "0123456789,.-" else c for c in text)
    assert fen(f" {text}\u3000", "yuan") == amount


@pytest.mark.parametrize(
    ("value", "unit", "amount"),
    [
        ("1.2万", "yuan", 1_200_000),
        ("1.2万元", "yuan", 1_200_000),
        ("¥1.2万", "wan", 1_200_000),
        ("30万", "wan", 30_000_000),
        ("0.000001", "wan", 1),
        ("５００", "fen", 500),
        ("500分", "fen", 500),
        (".5", "yuan", 50),
        ("5.", "yuan", 500),
        ("-0", "yuan", 0),
        ("'12.30", "yuan", 1230),
        ("12.3400", "yuan", 1234),
        ("¥-5", "yuan", -500),
        (0.1, "yuan", 10),
        (1e9, "yuan", 10**11),
        (-3, "yuan", -300),
        (Decimal("1E+3"), "yuan", 100_000),
    ],
)
def test_accepted(value: object, unit: str, amount: int) -> None:
    assert fen(value, unit) == amount


@pytest.mark.parametrize(
    ("value", "unit", "code"),
    [
        (None, "yuan", "amount_empty"),
        ("", "yuan", "amount_empty"),
        (" \u3000", "yuan", "amount_empty"),
        ("不详", "yuan", "amount_format"),
        ("1,23", "yuan", "amount_format"),
        ("12,34,567", "yuan", "amount_format"),
        ("1.2.3", "yuan", "amount_format"),
        ("1 234", "yuan", "amount_format"),
        ("--1", "yuan", "amount_format"),
        ("(-1)", "yuan", "amount_format"),
        ("-¥-5", "yuan", "amount_format"),
        ("NaN", "yuan", "amount_format"),
        ("١٢", "yuan", "amount_format"),
        (float("nan"), "yuan", "amount_format"),
        (float("inf"), "yuan", "amount_format"),
        (Decimal("NaN"), "yuan", "amount_format"),
        (True, "yuan", "amount_format"),
        (datetime(2026, 1, 1), "yuan", "amount_format"),  # noqa: DTZ001
        ("1.2E+05", "yuan", "amount_scientific"),
        ("1e3", "yuan", "amount_scientific"),
        ("12元", "wan", "amount_unit"),
        ("¥12", "wan", "amount_unit"),
        ("¥12", "fen", "amount_unit"),
        ("12元", "fen", "amount_unit"),
        ("12万", "fen", "amount_unit"),
        ("12分", "yuan", "amount_unit"),
        ("¥12分", "fen", "amount_unit"),
        ("0.001", "yuan", "amount_fraction"),
        ("0.5", "fen", "amount_fraction"),
        (0.1 + 0.2, "yuan", "amount_fraction"),
        (1e-300, "yuan", "amount_fraction"),
        ("0." + "0" * 5000 + "1", "yuan", "amount_fraction"),
        ("10000000000.01", "yuan", "amount_range"),
        ("-1000000000001", "fen", "amount_range"),
        ("9" * 5000, "yuan", "amount_range"),
        (1e300, "yuan", "amount_range"),
        (10**40, "wan", "amount_range"),
    ],
)
def test_refused(value: object, unit: str, code: str) -> None:
    with pytest.raises(AmountError) as caught:
        fen(value, unit)
    assert caught.value.code == code
    assert code in REASONS


@given(
    st.one_of(st.text(max_size=20), st.text("0123456789,.-+¥万元分() eE", max_size=12), st.floats()),
    st.sampled_from(UNITS),
)
def test_anything_is_fen_or_refused(value: object, unit: str) -> None:
    with contextlib.suppress(AmountError):
        assert abs(fen(value, unit)) <= LIMIT_FEN
