"""Gaps of lines as text and back."""

from __future__ import annotations

import pytest

from node.errors import ReportError
from node.rules.verdict import NO_GRANT, REGION, SILENT, TOO_OLD, UNPUBLISHED, Gap, GapKind

TEXTS = {
    UNPUBLISHED: "unpublished",
    NO_GRANT: "no_grant",
    SILENT: "silent",
    TOO_OLD: "too_old",
    REGION: "region",
    Gap.refused("grant"): "refused_grant",
    Gap.refused("not_yet_valid"): "refused_not_yet_valid",
}


@pytest.mark.parametrize("gap", TEXTS, ids=str)
def test_a_gap_is_read_as_it_was_written(gap: Gap) -> None:
    assert str(gap) == TEXTS[gap]
    assert Gap.parse(TEXTS[gap]) == gap


def test_every_kind_has_a_text() -> None:
    assert {gap.kind for gap in TEXTS} == set(GapKind)


@pytest.mark.parametrize("text", ["", "refused", "veto", "Silent", " silent"])
def test_other_texts_are_no_gaps(text: str) -> None:
    with pytest.raises(ReportError):
        Gap.parse(text)
