from __future__ import annotations

import string

import pytest

from node import messages
from node.case import CONSENTS
from node.demo.scenario.model import ROLES
from node.messages import LANGUAGES, MessageError, Messages, catalogue, placeholders
from node.rules.ruleset import RESERVED_OUTCOMES
from node.rules.verdict import LineAnswer

REASONS = (
    "no_consent",
    "invalid_identifier",
    "not_covered",
    "no_counted_member",
    "excluded",
    "veto",
    "at_most",
    "below",
    "otherwise",
)


@pytest.mark.parametrize("message", sorted(catalogue()))
def test_both_languages_have_the_same_placeholders(message: str) -> None:
    texts = catalogue()[message]
    assert sorted(texts) == sorted(LANGUAGES)
    names = [
        {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        for text in texts.values()
    ]
    assert names[0] == names[1] == placeholders(texts["en"])
    assert any(mark > "\u2fff" for mark in texts["zh"])
    assert not any("\u4e00" <= mark <= "\u9fff" for mark in texts["en"])


def test_every_outcome_answer_reason_and_role_has_a_text() -> None:
    wanted = [f"outcome.{code}" for code in (*RESERVED_OUTCOMES, "dibao", "edge", "none")]
    wanted += [f"answer.{answer}" for answer in (*LineAnswer, "summed")]
    wanted += [f"reason.{reason}" for reason in REASONS]
    wanted += [f"consent.{consent}" for consent in CONSENTS] + [f"role.{role}" for role in ROLES]
    assert [message for message in wanted if message not in catalogue()] == []


def test_text_fills_values_in_the_language() -> None:
    assert Messages("zh_CN.UTF-8").text("demo.publish", dataset="tax.income") == "正在发布 tax.income"
    assert Messages("fr-FR").text("demo.publish", dataset="{dataset}") == "Publishing {dataset}"


@pytest.mark.parametrize("values", [{}, {"dataset": "a", "more": 1}, {"data": "a"}])
def test_values_that_do_not_fit_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(MessageError, match="give exactly its values"):
        Messages("en").text("demo.publish", **values)


def test_an_unknown_id_is_refused() -> None:
    assert not Messages("en").has("demo.nothing")
    with pytest.raises(MessageError, match="not in the catalogue"):
        Messages("en").text("demo.nothing")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ('["x"]\nen = "a"', "give en and zh"),
        ('["x"]\nen = "a {b}"\nzh = "甲"', "same placeholders"),
        ('["x"]\nen = ""\nzh = "甲"', "give en and zh"),
    ],
)
def test_a_wrong_catalogue_is_refused(tmp_path, monkeypatch, texts: str, reason: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.toml").write_text(texts, encoding="utf-8")
    monkeypatch.setattr(messages, "_FOLDER", tmp_path)
    with pytest.raises(MessageError, match=reason):
        messages.catalogue.__wrapped__()
