"""Documents from peers: one canonical form, bounded in size, and of the expected kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical
from node.errors import RefusalError
from node.rpc.untrusted_json import MAX_BYTES, MAX_DEPTH, read_list, read_object, read_texts

TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4)


@given(TEXTS)
def test_what_is_canonical_reads_back(value: dict[str, str]) -> None:
    data = canonical.encode(dict(value))
    assert read_object(data) == read_texts(data) == value
    assert read_list(b"[" + data + b"]") == [value]


@given(TEXTS, st.sampled_from([b" ", b"\n", b"x", b"\0"]))
def test_nothing_stands_beside_it(value: dict[str, str], more: bytes) -> None:
    for data in (canonical.encode(dict(value)) + more, more + canonical.encode(dict(value))):
        with pytest.raises(RefusalError, match="malformed"):
            read_object(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b"\xff",
        b"{'a':1}",
    ],
)
def test_no_object(data: bytes) -> None:
    with pytest.raises(RefusalError, match="malformed"):
        read_object(data)


def test_other_kinds() -> None:
    for read, data in ((read_list, b"{}"), (read_texts, b'{"a":1}'), (read_texts, b'{"a":null}')):
        with pytest.raises(RefusalError, match="malformed"):
            read(data)


def test_bounds() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    read_list(deep)
    with pytest.raises(RefusalError):
        read_list(b"[" + deep + b"]")
    with pytest.raises(RefusalError):
        read_list(b'["' + b"x" * MAX_BYTES + b'"]')
