"""The message catalogue: every text in both languages, values, numbers, and a text for every code."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import get_args

import pytest

from node.case import Consent
from node.demo.scenario.load import ROLES
from node.messages.catalogue import (
    LANGUAGES,
    MessageError,
    Messages,
    language_of,
    placeholders,
    translations,
)
from node.messages.words import WORDS, word_text
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
CHINESE: dict[str, str] = {
    key if isinstance(key, str) else key[0]: text
    for key, text in translations("zh")._catalog.items()  # type: ignore[attr-defined]
    if key
}
"""Chinese by English text; of texts for numbers, by the one for one thing."""


def test_both_languages_have_the_same_placeholders() -> None:
    """``make check`` compares those of click's texts too, which click fills."""
    assert len(CHINESE) > 600
    for english, chinese in CHINESE.items():
        if "!r}" not in english and "possibilit" not in english:
            assert placeholders(english) <= placeholders(chinese), english
        assert any(mark > "\u2fff" for mark in chinese), english
        assert not any("\u4e00" <= mark <= "\u9fff" for mark in english), english


def test_every_text_of_the_report_page_has_chinese() -> None:
    """Those that take values too."""
    page = files("node.report").joinpath("page.html.j2").read_text("utf-8")
    texts = re.findall(r"\bt\(\"([^\"]+)\"", page)
    assert len(texts) > 30
    assert [text for text in texts if text not in CHINESE] == []


def test_chinese_is_written_with_its_own_punctuation() -> None:
    wrong = [
        text
        for text in CHINESE.values()
        if re.search(r"[\u4e00-\u9fff][,;:?!]|[\u4e00-\u9fff]\.(\s|$)", text)
    ]
    assert wrong == []


def test_every_outcome_answer_reason_and_role_has_a_text() -> None:
    wanted = [("outcome", code) for code in (*RESERVED_OUTCOMES, "dibao", "edge", "none")]
    wanted += [("answer", str(answer)) for answer in (*LineAnswer, "summed")]
    wanted += [("reason", reason) for reason in REASONS]
    wanted += [("consent", consent) for consent in get_args(Consent)] + [("role", role) for role in ROLES]
    assert [each for each in wanted if word_text(*each) is None] == []
    texts = [text for kind in WORDS.values() for text in kind.values()]
    assert [text for text in texts if Messages("zh").plain(text) == text] == []


def test_a_text_is_filled_in_the_language() -> None:
    publishing = "Publishing {dataset}"
    assert Messages("zh_CN.UTF-8").translate(publishing, dataset="tax.income") == "正在发布 tax.income"
    assert Messages("fr-FR").translate(publishing, dataset="{dataset}") == "Publishing {dataset}"


def test_a_number_takes_the_form_of_the_language() -> None:
    forms = ("{count} entry", "{count} entries")
    assert [Messages("en").counted(*forms, count) for count in (0, 1, 2)] == [
        "0 entries",
        "1 entry",
        "2 entries",
    ]
    assert [Messages("zh").counted(*forms, count) for count in (0, 1, 2)] == [
        "0 条记录",
        "1 条记录",
        "2 条记录",
    ]


@pytest.mark.parametrize("values", [{}, {"dataset": "a", "more": 1}, {"data": "a"}])
def test_values_that_do_not_fit_are_refused(values: dict[str, object]) -> None:
    for language in LANGUAGES:
        with pytest.raises(MessageError, match="give exactly its values"):
            Messages(language).translate("Publishing {dataset}", **values)


def test_a_text_without_a_translation_is_shown_in_english() -> None:
    assert (
        Messages("zh").translate("nothing of this program, {name}", name="x") == "nothing of this program, x"
    )


@pytest.mark.parametrize("tag", ["", "C", "de_DE.UTF-8", "en-GB", "xx", "ZZ"])
def test_an_unknown_locale_is_english(tag: str) -> None:
    assert language_of(tag) == "en"
    assert Messages(tag).translate("valid") == "valid"


@pytest.mark.parametrize("tag", ["zh", "zh-CN", "ZH_cn.UTF-8", "zh_Hans"])
def test_any_chinese_locale_is_chinese(tag: str) -> None:
    assert Messages(tag).translate("valid") == "有效"
