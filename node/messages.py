"""The one catalogue of texts for people, in English and zh-CN.

``messages/*.toml`` hold tables of ids; each id has both languages:

    ["outcome.dibao"]
    en = "minimum living allowance"
    zh = "最低生活保障"

A placeholder is ``{name}``; both languages of an id have the same ones. Reading is strict: a doubled or
unknown id, a missing language, a missing or superfluous value raise at once, so no text is ever half filled.
Values are inserted as they are: whoever writes HTML escapes there. No text takes an identifier.

Progress of long work on a terminal: one line a stage, and a moving count on a real terminal.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console

from node.errors import NodeError

LANGUAGES = ("en", "zh")
"""Keys of the catalogue; ``language_of`` maps a language tag to one."""
_FOLDER = Path(__file__).with_name("messages")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class MessageError(NodeError):
    """The catalogue or its use is wrong: an unknown id, a missing language, values that do not fit."""

    code = "message"


def language_of(tag: str) -> str:
    """Map a tag or locale of Chinese (zh-CN, zh_CN.UTF-8 …) to "zh", any other to "en"."""
    return "zh" if tag.lower().startswith("zh") else "en"


def placeholders(template: str) -> frozenset[str]:
    """Names of a template's placeholders."""
    return frozenset(_PLACEHOLDER.findall(template))


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every id with its text in each language.

    Raises:
        MessageError: an id stands in two files, or lacks a language, or its languages' placeholders differ.
    """
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        for message, texts in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if message in found:
                raise MessageError(f"message {message} is there twice: remove the one in {path.name}")
            if sorted(texts) != sorted(LANGUAGES) or not all(texts.values()):
                raise MessageError(f"message {message} in {path.name}: give en and zh, nothing else")
            if len({placeholders(text) for text in texts.values()}) != 1:
                raise MessageError(
                    f"message {message} in {path.name}: use the same placeholders in en and zh"
                )
            found[message] = MappingProxyType(dict(texts))
    return MappingProxyType(found)


class Messages:
    """Texts in one language.

    Args:
        language: a language tag or locale, see ``language_of``.
    """

    def __init__(self, language: str) -> None:
        self.language = language_of(language)

    def text(self, message: str, /, **values: object) -> str:
        """The text of an id with its placeholders filled.

        Raises:
            MessageError: the id is unknown, or ``values`` are not exactly its placeholders.
        """
        texts = catalogue().get(message)
        if texts is None:
            raise MessageError(f"message {message} is not in the catalogue: add it under node/messages/")
        template = texts[self.language]
        wanted = placeholders(template)
        if wanted != values.keys():
            names = ", ".join(sorted(wanted ^ values.keys()))
            raise MessageError(f"message {message}: give exactly its values; missing or not wanted: {names}")
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)

    def has(self, message: str) -> bool:
        """Whether the catalogue has the id."""
        return message in catalogue()


LEAST = 20_000
"""Totals below this are no long work."""


class Reporter:
    """Shows stages of a job in the user's language; safe for several threads."""

    def __init__(self, console: Console, messages: Messages) -> None:
        """Args: ``console`` to write to; ``messages`` of the user's language."""
        self.console = console
        self.messages = messages
        self._lock = threading.Lock()

    def stage(self, identifier: str, **values: Any) -> None:
        """Show that a stage has begun."""
        text = self.messages.text(identifier, **values)
        with self._lock:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(
        self, stage: str, values: dict[str, Any], done: int, total: int, *, least: int = LEAST
    ) -> None:
        """Show how far a long stage has come; silent for those of fewer than ``least``, and off a terminal.

        The next count takes the place of each; the last one stays.
        """
        if total < least or not self.console.is_terminal:
            return
        name = str(values.get("dataset", stage))
        with self._lock:
            end = "\r" if done < total else "\n"
            self.console.print(f"  {name}: {done:,} / {total:,}", markup=False, highlight=False, end=end)
