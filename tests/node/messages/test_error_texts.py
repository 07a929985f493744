"""Every code of an error has a sentence, so that no user reads English alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import AdapterError
from adapters.report import REASONS
from node.errors import KNOWN_ERRORS, RefusalError, UsageError
from node.messages.catalogue import Messages
from node.messages.words import ERROR_TEXTS, sentence_of
from node.tlog import restore_fence
from node.tlog.client import ID_USED

ROOT = Path(__file__).parents[3]
PACKAGES = ("node", "protocols", "ledger", "keys", "adapters")
CODE_ARGUMENT = {"RefusalError": 0, "EntryRefusedError": 0, "require": 1, "put_new": 2}
"""Calls that raise with a code, and which argument that is."""
ENGLISH, CHINESE = Messages("en"), Messages("zh")


def items() -> Iterator[ast.AST]:
    """Everything in our Python files."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "_pb2" in path.name:
                continue
            yield from ast.walk(ast.parse(path.read_text("utf-8")))


def called_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else str(getattr(call.func, "id", ""))


def raised_codes() -> set[str]:
    """Codes that are written where an entry or a request is refused."""
    found = set()
    for call in (item for item in items() if isinstance(item, ast.Call)):
        place = CODE_ARGUMENT.get(called_name(call))
        if place is not None and len(call.args) > place + 1:
            code = call.args[place]
            if isinstance(code, ast.Constant) and isinstance(code.value, str) and code.value.isidentifier():
                found.add(code.value)
    return found


def class_codes() -> set[str]:
    """Codes that an error's class has."""
    found = set()
    for item in items():
        if isinstance(item, ast.ClassDef) and item.name.endswith("Error"):
            for line in item.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
                    assert isinstance(line.value, ast.Constant)
                    found.add(str(line.value.value))
    return found


def test_every_code_has_a_sentence() -> None:
    codes = raised_codes() | class_codes() | {ID_USED, restore_fence.CODE}
    assert len(codes) > 180
    assert sorted(codes - ERROR_TEXTS.keys() - REASONS.keys()) == []
    for code in codes:
        sentence = sentence_of(code, CHINESE)
        assert sentence is not None
        assert sentence.endswith("。")
        assert any(mark > "\u4dff" for mark in sentence)


def test_a_sentence_is_whole_in_both_languages() -> None:
    for code, text in ERROR_TEXTS.items():
        assert text.endswith("."), code
        assert CHINESE.plain(text) != text, code


def test_in_english_the_detail_is_enough() -> None:
    assert sentence_of("usage", ENGLISH) is None


def test_a_code_that_a_newer_peer_added() -> None:
    assert sentence_of("not_yet_invented", CHINESE) == "操作未能完成。"


def test_sentences_of_a_departments_data_are_the_adapters_own() -> None:
    assert sentence_of("identifier_check", CHINESE) == "证件号码校验码错误，请在源头更正。"
    assert issubclass(AdapterError, KNOWN_ERRORS)


def test_the_code_and_the_detail_stand_beside_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from node.cli.root import error_line  # noqa: PLC0415  brings gRPC

    monkeypatch.setenv("HEDUI_LANGUAGE", "zh_CN")
    line = error_line(RefusalError("no_consent", "a member has not consented"))
    assert line == "家庭中有成员未授权。（a member has not consented） [no_consent]"
    monkeypatch.setenv("HEDUI_LANGUAGE", "en")
    assert error_line(UsageError("give a folder")) == "give a folder [usage]"
