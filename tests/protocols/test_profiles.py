"""Named parameters: the padding steps are those of the design, and hide every count between two steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.contract.datasets import is_row_step
from ledger.contract.intents import is_element_step
from protocols import profiles
from protocols.profiles import padded_elements, padded_rows


@given(st.integers(1, 10**6))
def test_elements_go_up_to_the_next_step(count: int) -> None:
    size = padded_elements(count)
    assert size >= count
    assert is_element_step(size)
    assert padded_elements(size) == size
    assert size < 2 * count or size == 4 or size - count < 1024


@pytest.mark.parametrize(
    ("count", "size"),
    [(1, 4), (4, 4), (5, 8), (8, 8), (9, 16), (1000, 1024), (1024, 1024), (1025, 2048), (2049, 3072)],
)
def test_element_steps(count: int, size: int) -> None:
    assert padded_elements(count) == size


@given(st.integers(1, 10**12))
def test_rows_go_up_to_the_next_step(count: int) -> None:
    size = padded_rows(count)
    assert count <= size
    assert is_row_step(size)
    assert padded_rows(size) == size
    assert size * 3 <= count * 4 + 30, "at most a third more, small sets aside"
    assert padded_rows(size + 1) > size


def test_row_steps_of_a_decade() -> None:
    steps = sorted({padded_rows(count) for count in range(1000, 10_001)})
    assert steps == [1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 10_000]
    assert [padded_rows(count) for count in (0, 1, 2, 12, 13, 101)] == [1, 1, 2, 15, 15, 125]


def test_the_numbers_of_the_design() -> None:
    assert profiles.PAILLIER_3072.modulus_bits == 3072
    assert profiles.PAILLIER_2048_TEST.modulus_bits == 2048
    assert profiles.AMOUNT_LIMIT_FEN == 10**12
    assert (profiles.CERTIFICATE_SECONDS, profiles.CLOCK_TOLERANCE_SECONDS) == (900, 120)
    assert profiles.RENEWAL_LIMIT_SECONDS == 604_800
    assert profiles.HEAD_MAX_AGE_SECONDS == 60
    assert all(
        profile.short_exponent_bits * 2 == profile.modulus_bits
        for profile in profiles.PAILLIER_PROFILES.values()
    )
    assert set(profiles.PAILLIER_PROFILES) == {"paillier-3072", "paillier-2048-test"}
