"""Canonical JSON: the form of RFC 8785, and every other form refused."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import rfc8785
from hypothesis import given

from ledger.canonical import INTEGER_LIMIT, decode, encode
from ledger.errors import CanonicalError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-INTEGER_LIMIT + 1, INTEGER_LIMIT - 1) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_bytes_are_those_of_rfc_8785_and_read_back_the_same(value):
    data = encode(value)
    assert data == rfc8785.dumps(value)
    again = decode(data, max_depth=64)
    assert again == value
    assert encode(again) == data


def test_names_are_sorted_by_utf16_code_units():
    value = {"\ufb33": 1, "\U0001f600": 2, "a": 3, "\r": 4, "ö": 5}
    assert encode(value) == '{"\\r":4,"a":3,"ö":5,"\U0001f600":2,"\ufb33":1}'.encode()
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b" 1",
        b"1 ",
        b"1\n",
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b'"a',
        b"",
        b"[1,]",
        b"[" * 60000,
        b"[[[[[[[[[]]]]]]]]]",
        b'"' + b"a" * 61439 + b'"',
    ],
)
def test_every_other_form_is_refused(data):
    with pytest.raises(CanonicalError):
        decode(data)


def test_the_greatest_size_and_depth_are_accepted():
    assert decode(b'"' + b"a" * 61438 + b'"') == "a" * 61438
    assert decode(b"[[[[[[[[1]]]]]]]]") == [[[[[[[[1]]]]]]]]


@pytest.mark.parametrize(
    "value", [1.5, b"x", (1,), {1: 2}, "\ud800", INTEGER_LIMIT, {"a": {"\ud800": 1}}, {1, 2}]
)
def test_values_without_a_form_are_refused(value):
    with pytest.raises(CanonicalError):
        encode(value)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_or_canonical(data):
    try:
        value = decode(data)
    except CanonicalError:
        return
    assert encode(value) == data
