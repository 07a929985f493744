"""Golomb–Rice coding of tags: every set round-trips, one encoding a set, malformed streams are refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import EncodingError
from protocols.profiles import MAX_TAG
from protocols.psi import golomb

TAG_SETS = st.sets(
    st.one_of(st.integers(0, MAX_TAG), st.integers(0, 300), st.integers(MAX_TAG - 300, MAX_TAG)),
    min_size=1,
    max_size=60,
).map(sorted)


def test_parameter_is_the_floor_of_the_optimum() -> None:
    assert golomb.parameter(1) == 63
    assert golomb.parameter(10_000_000) == 40
    for count in (0, -1, (1 << 48) + 1):
        with pytest.raises(EncodingError):
            golomb.parameter(count)


def test_size_at_even_spread_is_as_stated() -> None:
    source = random.Random(1)
    count = 20_000
    tags = sorted({0, MAX_TAG, *(source.getrandbits(64) for _ in range(count - 2))})
    bits = 8 * len(golomb.encode(tags, count)) / count
    assert 64 - 14.288 + 1.4 < bits < 64 - 14.288 + 1.6  # log2(20000) = 14.288


@settings(max_examples=150, deadline=None)
@given(TAG_SETS, st.integers(1, 23), st.integers(1, 7))
def test_chunks_of_any_size_round_trip(tags: list[int], chunk: int, group_size: int) -> None:
    data = golomb.encode(tags, len(tags))
    assert golomb.decode(data, len(tags)) == tags
    encoder = golomb.Encoder(len(tags))
    parts = [encoder.feed(tags[start : start + group_size]) for start in range(0, len(tags), group_size)]
    assert b"".join(parts) + encoder.finish() == data
    decoder = golomb.Decoder(len(tags))
    got = [tag for start in range(0, len(data), chunk) for tag in decoder.feed(data[start : start + chunk])]
    decoder.finish()
    assert got == tags


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.integers(1, 6))
def test_any_bytes_are_refused_or_are_the_one_encoding(data: bytes, count: int) -> None:
    try:
        tags = golomb.decode(data, count)
    except EncodingError:
        return
    assert golomb.encode(tags, count) == data


@settings(max_examples=60, deadline=None)
@given(TAG_SETS, st.integers(1, 64))
def test_truncated_extended_and_refilled_streams_are_refused(tags: list[int], extra: int) -> None:
    data = golomb.encode(tags, len(tags))
    for wrong in (data[:-1], data + b"\x00", data + bytes(extra), data + b"\xff"):
        with pytest.raises(EncodingError):
            golomb.decode(wrong, len(tags))
    decoder = golomb.Decoder(len(tags))
    decoder.feed(data)
    decoder.feed(b"")
    with pytest.raises(EncodingError, match="after the last"):
        decoder.feed(b"\x00")


def test_fill_bits_must_be_zero() -> None:
    data = golomb.encode([0, 1, 2], 3)
    assert len(data) * 8 > 3 * (golomb.parameter(3) + 1)
    with pytest.raises(EncodingError, match="after the last"):
        golomb.decode(data[:-1] + bytes([data[-1] | 1]), 3)


@pytest.mark.parametrize("tags", [[2, 1], [1, 1], [-1, 3], [5, MAX_TAG + 1], [1, 2, 3]])
def test_encoder_refuses_what_is_no_set(tags: list[int]) -> None:
    with pytest.raises(EncodingError):
        golomb.encode(tags, 2)


def test_encoder_refuses_a_short_set() -> None:
    with pytest.raises(EncodingError, match="1 tags are missing"):
        golomb.encode([4], 2)


def test_endless_ones_are_refused_at_the_bound() -> None:
    decoder = golomb.Decoder(1000)
    for _ in range(31):
        assert decoder.feed(b"\xff" * 8) == []
    with pytest.raises(EncodingError, match="above"):
        decoder.feed(b"\xff" * 1000)
    assert decoder._pending_bits < 128


def test_a_tag_above_the_range_is_refused() -> None:
    with pytest.raises(EncodingError, match="above"):
        golomb.decode(b"\x80" + b"\xff" * 8 + b"\xff" * 8, 2)
