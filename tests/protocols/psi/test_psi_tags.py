"""Identifiers and tags: one formula, the same for a blinded question and for the department's rows."""

from __future__ import annotations

import hashlib

import pytest

from protocols.encoding import fields
from protocols.errors import EncodingError, GroupError
from protocols.psi import group, tags, voprf

PERSON = "110101199003071234"


def test_canonical_identifier() -> None:
    assert tags.identifier(PERSON) == b"CN-RID:110101199003071234"
    assert tags.identifier(PERSON[:17] + "X") == b"CN-RID:11010119900307123X"


@pytest.mark.parametrize(
    "text",
    [
        "",
        PERSON[:17],
        PERSON + "1",
        PERSON[:17] + "x",
        PERSON + "\n",
        " " + PERSON[1:],
        "\uff11" + PERSON[1:],
    ],
)
def test_other_forms_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(EncodingError) as caught:
        tags.identifier(text)
    assert PERSON[:16] not in str(caught.value)


def test_tag_is_the_stated_formula() -> None:
    element = group.multiply(9, voprf.hash_inputs([tags.identifier(PERSON)]))[0]
    parts = fields(b"hedui/tag/v1", b"tax.income", b"2026-11.1", element)
    expected = int.from_bytes(hashlib.sha512(parts).digest()[:8], "big")
    assert tags.tag("tax.income", "2026-11.1", element) == expected


def test_rows_and_blinded_questions_agree() -> None:
    key, people = group.random_scalar(), [tags.identifier(f"11010119900307{n:04d}") for n in range(5)]
    own = tags.tag_rows(key, "tax.income", "2026-11.1", people)
    blinds = [group.random_scalar() for _ in people]
    elements = voprf.unblind(blinds, voprf.evaluate(key, voprf.blind(people, blinds)))
    assert tags.tags("tax.income", "2026-11.1", elements) == own
    assert len(set(own)) == 5


def test_tags_of_other_keys_datasets_and_publications_are_unrelated() -> None:
    people = [tags.identifier(PERSON)]
    seen = {
        tags.tag_rows(key, dataset, publication, people)[0]
        for key in (3, 4)
        for dataset in ("tax.income", "tax.incom")
        for publication in ("2026-11.1", "e2026-11.1", "2026-11.2")
    }
    assert len(seen) == 12


@pytest.mark.parametrize("element", [bytes(32), b"\x01" * 31, b"\xff" * 32])
def test_bad_elements_have_no_tag(element: bytes) -> None:
    with pytest.raises(GroupError):
        tags.tag("a.b", "2026-11.1", element)


def test_a_zero_key_is_refused() -> None:
    with pytest.raises(GroupError):
        tags.tag_rows(0, "a.b", "2026-11.1", [b"x"])
