"""ristretto255 in batches: RFC 9496 figures, group laws, and every kind of bad point or scalar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import GroupError
from protocols.psi import group

FIELD_PRIME = 2**255 - 19
DST = b"hedui/test"

SCALARS = st.integers(1, group.ORDER - 1)

RFC_9496_MULTIPLES = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
]
"""G, 2·G, 3·G: RFC 9496 appendix A.1."""

BAD_POINTS = {
    "identity": bytes(32),
    "short": group.GENERATOR[:31],
    "long": group.GENERATOR + b"\x00",
    "empty": b"",
    "not reduced: p": FIELD_PRIME.to_bytes(32, "little"),
    "not reduced: p + 6": (FIELD_PRIME + 6).to_bytes(32, "little"),
    "not reduced: all ones": b"\xff" * 32,
    "high bit": (int.from_bytes(group.GENERATOR, "little") | 1 << 255).to_bytes(32, "little"),
    "negative: 1": (1).to_bytes(32, "little"),
    "negative: p - G": (FIELD_PRIME - int.from_bytes(group.GENERATOR, "little")).to_bytes(32, "little"),
    "not on the curve": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
}
"""Classes of RFC 9496 appendix A.2, made from the field prime; the last one is an entry of that table."""


def test_multiples_of_the_generator_are_those_of_the_rfc() -> None:
    assert [point.hex() for point in group.multiply_base([1, 2, 3])] == RFC_9496_MULTIPLES
    assert group.multiply(1, [group.GENERATOR]) == [group.GENERATOR]


@pytest.mark.parametrize("point", BAD_POINTS.values(), ids=BAD_POINTS.keys())
def test_a_bad_point_refuses_the_whole_batch(point: bytes) -> None:
    good = group.GENERATOR
    with pytest.raises(GroupError, match="point 1 "):
        group.check_points([good, point])
    with pytest.raises(GroupError, match="point 1 "):
        group.multiply(5, [good, point])
    with pytest.raises(GroupError, match="point 1 "):
        group.multiply_each([5, 6], [good, point])
    for weight in (0, 7):
        with pytest.raises(GroupError, match="is not a canonical"):
            group.sum_of_products([3, weight], [good, point])
    if point != group.IDENTITY:
        with pytest.raises(GroupError):
            group.add([good], [point])
        with pytest.raises(GroupError):
            group.subtract([point], [good])


@pytest.mark.parametrize("scalar", [0, -1, group.ORDER, group.ORDER + 1, 1 << 256])
def test_scalars_out_of_range_are_refused(scalar: int) -> None:
    for call in (
        lambda: group.check_scalar(scalar),
        lambda: group.multiply(scalar, [group.GENERATOR]),
        lambda: group.multiply_each([scalar], [group.GENERATOR]),
        lambda: group.multiply_base([scalar]),
        lambda: group.invert(scalar),
    ):
        with pytest.raises(GroupError):
            call()


def test_scalar_bytes_are_strict() -> None:
    assert group.scalar_from_bytes(bytes(32)) == 0
    assert group.scalar_from_bytes(group.scalar_to_bytes(group.ORDER - 1)) == group.ORDER - 1
    for data in (b"", bytes(31), bytes(33), group.ORDER.to_bytes(32, "little"), b"\xff" * 32):
        with pytest.raises(GroupError):
            group.scalar_from_bytes(data)
    with pytest.raises(GroupError):
        group.scalar_to_bytes(group.ORDER)


@settings(max_examples=25, deadline=None)
@given(SCALARS, SCALARS, st.binary(max_size=80))
def test_group_laws(a: int, b: int, message: bytes) -> None:
    point = group.hash_to_group([message], DST)[0]
    group.check_points([point])
    pa, pb = group.multiply_each([a, b], [point, point])
    assert group.multiply(b, [pa]) == group.multiply(a, [pb])
    assert group.multiply(group.invert(a), [pa]) == [point]
    assert group.invert(a) * a % group.ORDER == 1
    assert group.add([pa], [pb]) == group.add([pb], [pa]) == [group.sum_of_products([a, b], [point, point])]
    assert group.subtract(group.add([pa], [pb]), [pb]) == [pa]
    assert group.sum_of_products([a, group.ORDER - a], [point, point]) == group.IDENTITY
    assert group.sum_of_products([a, 0], [point, pb]) == pa


def test_identity_results_and_empty_batches() -> None:
    g = group.GENERATOR
    assert group.subtract([g], [g]) == [group.IDENTITY]
    assert group.add([group.IDENTITY], [g]) == [g]
    assert group.sum_of_products([], []) == group.IDENTITY
    assert group.sum_of_products([0], [g]) == group.IDENTITY
    assert group.multiply(3, []) == group.multiply_base([]) == group.hash_to_group([], DST) == []
    group.check_points([])


def test_uneven_batches_are_refused() -> None:
    for call in (group.multiply_each, group.sum_of_products):
        with pytest.raises(GroupError, match="pass"):
            call([1, 2], [group.GENERATOR])
    with pytest.raises(GroupError, match="equal lengths"):
        group.add([group.GENERATOR], [])


def test_hashing_separates_domains_and_messages() -> None:
    first, again, other = group.hash_to_group([b"a", b"a", b"b"], DST)
    assert first == again != other
    assert group.hash_to_group([b"a"], DST + b"2") != [first]
    assert 0 <= group.hash_to_scalar(b"a", DST) < group.ORDER
    assert group.hash_to_scalar(b"a", DST) != group.hash_to_scalar(b"a", DST + b"2")
    for dst in (b"", b"x" * 256):
        with pytest.raises(GroupError, match="domain separation"):
            group.hash_to_group([b"a"], dst)
    assert len(group.expand_message(b"", b"x" * 255)) == 64


def test_random_scalars_are_fresh_and_in_range() -> None:
    drawn = {group.random_scalar() for _ in range(50)}
    assert len(drawn) == 50
    assert all(0 < scalar < group.ORDER for scalar in drawn)
