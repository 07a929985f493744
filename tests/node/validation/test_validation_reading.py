"""What a person is told about a document's faults, and that no value and no strange key is among it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from node.errors import RefusalError
from node.validation.documents import InvalidDocumentError, Problem, decode_json, decode_toml, shown_key
from node.validation.model import Date, Listed, NotedModel, StrictModel, Text, fault, missing, unique
from node.validation.reading import read, read_request


class Part(NotedModel):
    kind: Literal["member", "amount"]
    column: Text | None = Field(default=None, validate_default=True, description="the amount's column")
    since: Date | None = None

    @field_validator("column")
    @classmethod
    def _of_kind(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "amount" and value is None:
            raise missing()
        if info.data.get("kind") == "member" and value is not None:
            raise fault('belongs to kind "amount": remove it')
        return value


class Whole(StrictModel):
    count: int = Field(ge=1, description="an integer, 1 or more")
    flag: bool = False
    names: Annotated[Listed[Text], AfterValidator(unique)] = ()
    parts: Listed[Part] = Field(alias="part", min_length=1, description="tables [[part]]")


GOOD = {"count": 1, "part": [{"kind": "member"}]}


def problems(value: object, at: str = "") -> list[str]:
    found: list[Problem] = []
    document = read(Whole, value, "f.toml", found, at=at)
    assert (document is None) == bool(found)
    return [str(one).removeprefix("f.toml: ") for one in found]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"count": "1"}, ["count: must be an integer, 1 or more"]),
        ({"count": True}, ["count: must be an integer, 1 or more"]),
        ({"count": 1.0}, ["count: must be an integer, 1 or more"]),
        ({"count": 0}, ["count: must be an integer, 1 or more"]),
        ({"count": None}, ["count: is missing: give an integer, 1 or more"]),
        ({"flag": 1}, ["flag: must be true or false"]),
        ({"names": "ab"}, ["names: must be a list, each item a text"]),
        ({"names": ["a", " "]}, ["names[2]: must be a text"]),
        ({"names": ["a", "b", "a", "b"]}, [f"names[{at}]: is there twice: remove one" for at in (3, 4)]),
        ({"part": []}, ["part: is empty: give tables [[part]]"]),
        ({"part": 1}, ["part: must be tables [[part]]"]),
        ({"part": [1]}, ["part[1]: must be a table"]),
        ({"parts": []}, ["parts: is not known here: remove it or use one of count, flag, names, part"]),
        ({"part": [{"kind": "x"}]}, ["part[1].kind: must be one of member, amount"]),
        ({"part": [{"kind": "amount"}]}, ["part[1].column: is missing: give the amount's column"]),
        (
            {"part": [{"kind": "member", "column": "a"}]},
            ['part[1].column: belongs to kind "amount": remove it'],
        ),
        ({"part": [{"kind": "member", "note": [{"x": 1}]}]}, []),
        (
            {"part": [{"kind": "member", "since": "2026-02-30"}, {"kind": "member", "since": 3}]},
            [f"part[{at}].since: must be a date, YYYY-MM-DD" for at in (1, 2)],
        ),
        (
            {"part": [{"kind": "member", "since": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}]},
            ["part[1].since: must be a date, YYYY-MM-DD"],
        ),
    ],
)
def test_every_fault_is_named_with_its_path_and_remedy(
    change: dict[str, object], expected: list[str]
) -> None:
    assert problems(GOOD | change) == expected


def test_all_faults_are_named_at_once_in_reading_order() -> None:
    value = {"count": 0, "names": [1], "part": [{"kind": 1, "other": 2}, {}], "more": 1}
    assert [line.partition(": ")[0] for line in problems(value, "top[1]")] == [
        "top[1].count",
        "top[1].names[1]",
        "top[1].part[1].kind",
        "top[1].part[1].other",
        "top[1].part[2].kind",
        "top[1].more",
    ]


def test_what_is_no_table() -> None:
    assert problems([], "x") == ["x: must be a table"]


def test_a_document_is_frozen_and_shows_no_note() -> None:
    found: list[Problem] = []
    document = read(Part, {"kind": "member", "since": "2026-11-02", "note": "secret"}, "f", found)
    assert document is not None
    assert (document.since, document.note) == (dt.date(2026, 11, 2), None)
    assert "secret" not in repr(document)
    with pytest.raises(ValueError, match="frozen"):
        document.kind = "amount"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "is_shown"),
    [
        ("regio", True),
        ("deduct2", True),
        ("password_file", True),
        ("331098196001010013", False),
        ("id331098196001010013", False),
        ("331098600101001", False),
        ("王小明", False),
        ("Wang Xiaoming", False),
        ("a" * 33, False),
        ("a\nb", False),
        ("", False),
    ],
)
def test_a_key_is_shown_only_where_it_looks_like_a_fields_name(key: str, is_shown: bool) -> None:
    assert (shown_key(key) == key) is is_shown
    assert (key in problems(GOOD | {key: 1})[0]) is (is_shown or key == "")


def test_a_request_is_refused_with_every_fault_and_without_a_cause() -> None:
    assert read_request(Whole, GOOD, "dataset").count == 1
    with pytest.raises(RefusalError, match=r"count: must be .*; dataset: part: is missing") as caught:
        read_request(Whole, {"count": 0}, "dataset")
    assert caught.value.code == "malformed"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


SECRET = "331098196001010013"


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (b"a = ", "is not TOML, correct it at end of document"),
        (b"a = [1]]", "is not TOML, correct it at line 1, column 8"),
        (f"[a]\n[b.{SECRET}]\n[b.{SECRET}]\n".encode(), "is not TOML, correct it at line 3, column 22"),
        (f'x = {{"{SECRET}" = 1, "{SECRET}" = 2}}'.encode(), "is not TOML, correct it at line 1, column 56"),
        (b"a = " + b"[" * 9999, "is not TOML, correct it"),
        (f'{SECRET} = "\xff"'.encode("latin-1"), "save it as UTF-8: byte 22 is not"),
    ],
)
def test_a_file_that_is_not_toml(data: bytes, remedy: str) -> None:
    found: list[Problem] = []
    assert decode_toml(data, "f", found) is None
    assert found[0].remedy.startswith(remedy)
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (f'{{"{SECRET}": }}'.encode(), "is not JSON, correct it at line 1 column 24"),
        (f'{{"{SECRET}": 1, "{SECRET}": 2}}'.encode(), "has a name twice in one object: remove one"),
        (f'["{SECRET}"]'.encode(), "must be one object"),
        (b"9" * 5000, "is not JSON that can be read"),
        (b"[" * 99_999, "is not JSON that can be read"),
        (f'{{"{SECRET}": "\xff"}}'.encode("latin-1"), "save it as UTF-8: byte 24 is not"),
    ],
)
def test_a_file_that_is_not_json(data: bytes, remedy: str) -> None:
    found: list[Problem] = []
    assert decode_json(data, "f", found) is None
    assert found[0].remedy.startswith(remedy)
    assert SECRET not in str(found)


def test_files_may_begin_with_a_byte_order_mark() -> None:
    found: list[Problem] = []
    assert decode_json(b'\xef\xbb\xbf{"a": 1}', "f", found) == {"a": 1}
    assert decode_toml(b"\xef\xbb\xbfa = 1", "f", found) == {"a": 1}
    assert not found


def test_an_error_lists_its_problems() -> None:
    error = InvalidDocumentError([Problem("f", "a.b", "must be a text"), Problem("g", "", "is missing")])
    assert str(error) == "f: a.b: must be a text\ng: is missing"
    assert [problem.file for problem in error.problems] == ["f", "g"]
