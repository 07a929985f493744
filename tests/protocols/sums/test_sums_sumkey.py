"""The published sum key and the bytes of a share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocols.errors import ProofError, SumKeyError
from protocols.profiles import PAILLIER_2048_TEST, PaillierProfile
from protocols.sums.arithmetic import safe_prime
from protocols.sums.sumkey import Share, SumKey, lagrange
from protocols.sums.threshold import Dealt, deal

Dealing = Callable[[int, int], Dealt]


@pytest.fixture
def body(dealing: Dealing) -> dict[str, Any]:
    return copy.deepcopy(dealing(2, 3).key.to_body())


def test_a_key_survives_the_ledger(dealing: Dealing, small: PaillierProfile, large: Dealt) -> None:
    for threshold, count in [(2, 2), (2, 3), (3, 5)]:
        key = dealing(threshold, count).key
        assert SumKey.from_body(key.to_body(), small) == key
    assert SumKey.from_body(large.key.to_body(), PAILLIER_2048_TEST) == large.key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("suite", "paillier-3072"),
        ("bits", 3072),
        ("office", 5),
        ("office", "trustee-1"),
        ("office", ""),
        ("trustees", "trustee-1"),
        ("trustees", ["trustee-1"]),
        ("trustees", ["trustee-1", "trustee-1"]),
        ("trustees", ["trustee-1", 7]),
        ("trustees", ["trustee-2", "trustee-1"]),
        ("threshold", 1),
        ("threshold", 3),
        ("threshold", 4),
        ("threshold", True),
        ("threshold", "2"),
        ("modulus", ""),
        ("modulus", 5),
        ("modulus", "0" * 128),
        ("modulus", "f" * 128),
        ("base", "0" * 256),
        ("base", "0" * 255 + "5"),
        ("v", "0" * 255 + "4"),
        ("v", "F" * 256),
        ("verification", {}),
        ("verification", []),
        ("ceremony", "ab"),
        ("ceremony", "xy" * 32),
        ("proof", []),
        ("proof", "ab"),
        ("proof", ["0" * 128] * 9),
        ("proof", [5] * 8),
    ],
)
def test_each_malformed_field_is_refused(
    body: dict[str, Any], small: PaillierProfile, field: str, value: object
) -> None:
    body[field] = value
    with pytest.raises(SumKeyError):
        SumKey.from_body(body, small)


def test_a_missing_or_unknown_field_is_refused(body: dict[str, Any], small: PaillierProfile) -> None:
    for name in list(body):
        with pytest.raises(SumKeyError):
            SumKey.from_body({key: value for key, value in body.items() if key != name}, small)
    with pytest.raises(SumKeyError):
        SumKey.from_body({**body, "note": ""}, small)


def test_another_suite_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(SumKeyError):
        SumKey.from_body(body, PAILLIER_2048_TEST)


def test_a_changed_root_is_refused(body: dict[str, Any], small: PaillierProfile) -> None:
    body["proof"][3] = body["proof"][2]
    with pytest.raises(ProofError):
        SumKey.from_body(body, small)


@pytest.mark.parametrize("holder", ["office", "trustee-1", "trustee-2"])
def test_a_verification_value_of_another_key_is_refused(
    dealing: Dealing,
    small: PaillierProfile,
    small_primes_pair: tuple[int, int],
    holder: str,
) -> None:
    key = dealing(2, 3).key
    other = deal(small, key.holders, 2, small_primes_pair, ceremony=bytes(32)).key
    place = key.index(holder) - 1
    n, modulus = key.public.n, key.public.n_square
    for wrong in (
        other.verification[place],
        key.verification[place] * (1 + n) % modulus,
        0,
        1,
        n,
        modulus + 1,
    ):
        values = (*key.verification[:place], wrong, *key.verification[place + 1 :])
        changed = replace(key, verification=values)
        with pytest.raises(SumKeyError):
            changed.check()


def test_swapped_verification_values_are_refused(dealing: Dealing) -> None:
    for threshold, count in [(2, 2), (2, 3), (3, 5)]:
        key = dealing(threshold, count).key
        values = (key.verification[1], key.verification[0], *key.verification[2:])
        with pytest.raises(SumKeyError):
            replace(key, verification=values).check()
        with pytest.raises(SumKeyError):
            replace(key, verification=key.verification[:-1]).check()


def test_a_base_or_v_of_ones_own_choice_is_refused(dealing: Dealing) -> None:
    key = dealing(2, 3).key
    modulus = key.public.n_square
    own = replace(key.public, base=key.public.base * (1 + key.public.n) % modulus)
    for changed in (replace(key, public=own), replace(key, v=pow(key.v, 4, modulus))):
        with pytest.raises(SumKeyError, match="derived"):
            changed.check()


def test_lagrange_recovers_a_polynomial() -> None:
    def f(x: int) -> int:
        return 91 - 17 * x + 4 * x * x

    for chosen in ([1, 2, 3], [2, 4, 5], [5, 1, 3]):
        for at in range(6):
            assert sum(lagrange(120, chosen, i, at) * f(i) for i in chosen) == 120 * f(at)


def test_a_share_survives_sealing(dealing: Dealing) -> None:
    dealt = dealing(2, 3)
    for share in dealt.shares:
        data = dealt.key.share_to_bytes(share)
        assert dealt.key.share_from_bytes(data, share.holder) == share
        assert str(share.value) not in repr(share)


def test_a_wrong_share_is_refused_on_receipt(dealing: Dealing) -> None:
    dealt, other = dealing(2, 3), dealing(2, 2)
    share = dealt.shares[1]
    data = dealt.key.share_to_bytes(share)
    for wrong in (b"", data[:-1], data + b"\0", other.key.share_to_bytes(other.shares[1]), bytes(len(data))):
        with pytest.raises(SumKeyError):
            dealt.key.share_from_bytes(wrong, share.holder)
    with pytest.raises(SumKeyError):
        dealt.key.share_from_bytes(data, "office")
    with pytest.raises(SumKeyError):
        dealt.key.share_from_bytes(data, "stranger")
    length = len(data) - 128
    for damaged in (data[: length - 1] + b"\x7f" + data[length:], data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(SumKeyError):
            dealt.key.share_from_bytes(damaged, share.holder)


@pytest.mark.parametrize("value", [0, -1, 1 << 1024])
def test_a_share_out_of_range_is_refused(dealing: Dealing, value: int) -> None:
    with pytest.raises(SumKeyError):
        dealing(2, 3).key.check_share(Share("office", value))


def test_a_share_of_another_modulus_is_refused(dealing: Dealing, small: PaillierProfile) -> None:
    other = deal(
        small, ["office", "trustee-1", "trustee-2"], 2, (safe_prime(256), safe_prime(256)), ceremony=bytes(32)
    )
    with pytest.raises(SumKeyError):
        dealing(2, 3).key.share_from_bytes(other.key.share_to_bytes(other.shares[0]), "office")
