"""The strict format of entries, what signers sign, and the helpers beside it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import BadSignatureError
from keys.signing import SigningKey
from ledger.canonical import encode
from ledger.contract.datasets import is_row_step
from ledger.contract.intents import is_element_step
from ledger.contract.network import key_id
from ledger.entries import times
from ledger.entries.entry import (
    Entry,
    Signature,
    body_message,
    certificate_digest,
    certificate_message,
    draft,
    node_message,
    parse,
    sign_body,
    signed,
)
from ledger.errors import EntryError

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))
PLAIN: dict[str, Any] = {
    "v": 1,
    "network": "s-county",
    "type": "dataset.publish",
    "id": "00ff",
    "time": "2026-11-22T02:00:00Z",
    "body": {"dataset": "tax.income"},
    "sigs": [{"key": "ab" * 16, "alg": "ed25519", "sig": "cd" * 64}],
}


def made() -> Entry:
    return draft("s-county", "dataset.publish", "00ff", "2026-11-22T02:00:00Z", {"dataset": "tax.income"})


def test_a_leaf_reads_back_as_the_same_entry() -> None:
    entry = signed(made(), KEY, [sign_body(OTHER, made())])
    assert parse(entry.leaf()) == entry
    assert parse(entry.leaf()).leaf() == entry.leaf()


def test_the_messages_are_these_bytes() -> None:
    assert node_message(made()) == (
        b"hedui/entry/v1\x00"
        b'{"body":{"dataset":"tax.income"},"id":"00ff","network":"s-county","time":"2026-11-22T02:00:00Z",'
        b'"type":"dataset.publish","v":1}'
    )
    assert body_message("s-county", "dataset.publish", "00ff", {"dataset": "tax.income"}) == (
        b"hedui/body/v1\x00"
        b'{"body":{"dataset":"tax.income"},"id":"00ff","network":"s-county","type":"dataset.publish","v":1}'
    )


def test_a_body_signature_does_not_depend_on_the_time() -> None:
    later = dataclasses.replace(made(), time="2026-11-22T09:00:00Z")
    assert sign_body(KEY, later) == sign_body(KEY, made())
    assert signed(later, KEY).sigs != signed(made(), KEY).sigs


def test_the_two_messages_cannot_stand_for_each_other() -> None:
    signature = sign_body(KEY, made())
    with pytest.raises(BadSignatureError):
        KEY.public.verify(node_message(made()), signature.raw)


def test_a_draft_is_no_leaf() -> None:
    with pytest.raises(EntryError, match="sign it first"):
        made().leaf()


def test_a_leaf_has_at_most_60_kib() -> None:
    size = 61440 - len(signed(dataclasses.replace(made(), body={"x": ""}), KEY).leaf())
    fits = signed(dataclasses.replace(made(), body={"x": "a" * size}), KEY)
    assert len(fits.leaf()) == 61440
    parse(fits.leaf())
    with pytest.raises(EntryError, match="61440"):
        signed(dataclasses.replace(made(), body={"x": "a" * (size + 1)}), KEY).leaf()


def nested(depth: int) -> dict[str, Any]:
    """A body of this depth, its own object included."""
    return {"x": nested(depth - 1)} if depth > 1 else {"x": 1}


def test_depth_is_at_most_eight() -> None:
    assert parse(encode({**PLAIN, "body": nested(7)})).type == "dataset.publish"
    with pytest.raises(EntryError, match="canonical"):
        parse(encode({**PLAIN, "body": nested(8)}))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": "1"},
        {"v": True},
        {"network": "S"},
        {"network": ""},
        {"network": "a/b"},
        {"type": "Dataset"},
        {"type": "a.b.c"},
        {"type": 1},
        {"id": ""},
        {"id": "a" * 65},
        {"id": "a b"},
        {"id": "a/b"},
        {"id": "a\n"},
        {"time": "2026-11-22T02:00:00.5Z"},
        {"time": "2026-11-22T02:00:00+00:00"},
        {"time": "2026-11-22 02:00:00Z"},
        {"time": "2026-13-22T02:00:00Z"},
        {"time": "2026-11-22T02:00:60Z"},
        {"time": "２026-11-22T02:00:00Z"},
        {"time": 0},
        {"body": []},
        {"body": None},
        {"sigs": []},
        {"sigs": {}},
        {"sigs": PLAIN["sigs"] * 65},
        {"sigs": [{"key": "ab" * 16, "alg": "ed25519"}]},
        {"sigs": [{"key": "AB" * 16, "alg": "ed25519", "sig": "cd" * 64}]},
        {"sigs": [{"key": "ab" * 16, "alg": "", "sig": "cd" * 64}]},
        {"sigs": [{"key": "ab" * 16, "alg": "ed25519", "sig": "c"}]},
        {"sigs": ["x"]},
        {"more": 1},
    ],
)
def test_malformed_entries_are_refused(change: dict[str, Any]) -> None:
    assert parse(encode(PLAIN)).id == "00ff"
    with pytest.raises(EntryError):
        parse(encode({**PLAIN, **change}))


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(EntryError, match="exactly the fields"):
        parse(encode({field: value for field, value in PLAIN.items() if field != name}))


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"null",
        encode(PLAIN) + b"\n",
        json.dumps(PLAIN, sort_keys=True).encode(),
        encode(PLAIN).replace(b'"v":1', b'"v":1,"v":1'),
        encode(PLAIN).replace(b'"v":1', b'"v":1.0'),
        encode(PLAIN).replace(b'"dataset":"tax.income"', b'"n":9007199254740992'),
        encode(PLAIN).replace(b"tax.income", b"tax\xff"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(leaf: bytes) -> None:
    with pytest.raises(EntryError):
        parse(leaf)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_give_an_entry_or_an_entry_error(data: bytes) -> None:
    with pytest.raises(EntryError):
        parse(data)


@settings(max_examples=60)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_another_entry_or_none(place: int, value: int) -> None:
    leaf = bytearray(encode(PLAIN))
    leaf[place % len(leaf)] = value
    try:
        entry = parse(bytes(leaf))
    except EntryError:
        return
    assert entry.leaf() == bytes(leaf)


@pytest.mark.parametrize(
    ("network", "type", "id", "time"),
    [
        ("S", "a", "a", PLAIN["time"]),
        ("s", "A", "a", PLAIN["time"]),
        ("s", "a", "A", PLAIN["time"]),
        ("s", "a", "a", "now"),
    ],
)
def test_a_draft_is_checked_like_a_leaf(network: str, type: str, id: str, time: str) -> None:
    with pytest.raises(EntryError):
        draft(network, type, id, time, {})


def test_a_signature_keeps_its_bytes() -> None:
    assert Signature("ab" * 16, "ed25519", "00ff").raw == b"\x00\xff"


def test_key_ids_agree_with_the_keys_package() -> None:
    assert key_id("ed25519", KEY.public.raw) == KEY.public.id


def test_periods_are_those_of_utc_plus_8() -> None:
    assert times.period_label("2026-11-30T15:59:59Z", "month") == "2026-11"
    assert times.period_label("2026-11-30T16:00:00Z", "month") == "2026-12"
    assert times.period_label("2026-12-31T16:00:00Z", "day") == "2027-01-01"
    assert times.format_time(times.parse_time("2026-11-22T02:00:00Z")) == "2026-11-22T02:00:00Z"
    assert times.parse_time("1970-01-01T00:00:00Z") == 0
    assert times.format_time(-62_135_596_800) == "0001-01-01T00:00:00Z"
    assert times.local_date("9998-12-31T23:59:59Z") == "9999-01-01"
    for bad in ("9999-01-01T00:00:00Z", "9999-12-31T23:00:00Z", "2026-11-22", "2026-11-22T24:00:00Z"):
        with pytest.raises(ValueError, match=r"year 9999|YYYY-MM-DDTHH"):
            times.local_date(bad)
    with pytest.raises(ValueError, match="month or day"):
        times.period_label("2026-11-22T02:00:00Z", "year")
    with pytest.raises(ValueError, match="YYYY"):
        times.check_date("20261122")


def test_a_renewal_keeps_the_digest_and_changes_what_is_signed() -> None:
    first = {"query": "a", "not_before": "1", "not_after": "2"}
    renewed = {**first, "not_before": "3", "not_after": "4"}
    assert (
        certificate_digest(first)
        == certificate_digest(renewed)
        != certificate_digest({**first, "query": "b"})
    )
    assert certificate_message(first) != certificate_message(renewed)
    assert (
        certificate_message(first)
        == b'hedui/certificate/v1\x00{"not_after":"2","not_before":"1","query":"a"}'
    )


def test_padding_steps() -> None:
    assert [n for n in range(1, 2049) if is_element_step(n)] == [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    assert is_element_step(3 * 1024)
    assert not is_element_step(1536)
    steps = {n for n in range(1, 1001) if is_row_step(n)}
    wanted = {1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125}
    assert steps == wanted | {150, 200, 250, 300, 400, 500, 600, 800, 1000}
