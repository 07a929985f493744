"""The message catalogue: every text for people, in English and in Chinese.

The English text stands in the code and is the message id of a gettext catalogue:

    Messages(language).translate("Case {case}: {outcome}", case=case.case, outcome=outcome)
    Messages(language).counted("{count} entry", "{count} entries", size)

A text that is shown elsewhere than it is written, such as one of a table by code, is marked with ``mark``.
``make messages`` finds these calls, updates ``node/locale/hedui.pot`` and
``node/locale/zh_CN/LC_MESSAGES/hedui.po``, and compiles the latter to the ``hedui.mo`` beside it, which is
read here. ``make check`` fails where a text has no translation.

A placeholder is ``{name}``. The values given must be exactly those of the text, so that no text is ever half
filled. Values are inserted as they are: the caller escapes what goes into HTML. No text takes an identifier.
"""

from __future__ import annotations

import gettext
import re
from functools import cache
from pathlib import Path

from node.errors import NodeError

DOMAIN = "hedui"
FOLDER = Path(__file__).parents[1] / "locale"
"""Where the catalogues are: ``<locale>/LC_MESSAGES/hedui.mo`` below it."""
LANGUAGES = ("en", "zh")
"""The languages there are; ``language_of`` maps a language tag to one."""
LOCALES = {"zh": "zh_CN"}
"""Locale of each language that has a catalogue; English is the text in the code."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class MessageError(NodeError):
    """The values given to a text are not those of its placeholders."""

    code = "message"


def language_of(tag: str) -> str:
    """Map a tag or locale of Chinese (zh-CN, zh_CN.UTF-8 …) to "zh", any other to "en"."""
    return "zh" if tag.lower().startswith("zh") else "en"


def mark(message: str) -> str:
    """Mark a text for the catalogue and return it unchanged: it is translated where it is shown."""
    return message


def placeholders(message: str) -> frozenset[str]:
    """Names of a text's placeholders."""
    return frozenset(_PLACEHOLDER.findall(message))


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The catalogue of a language; for English, or where there is none, one that returns the text itself.

    Args:
        language: one of ``LANGUAGES``.
    """
    locale = LOCALES.get(language)
    if locale is None:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, FOLDER, [locale])


class Messages:
    """Texts in one language.

    Args:
        language: a language tag or locale, see ``language_of``.
    """

    def __init__(self, language: str) -> None:
        self.language = language_of(language)
        self._translations = translations(self.language)

    def translate(self, message: str, /, **values: object) -> str:
        """A text in the language, its placeholders filled.

        Raises:
            MessageError: ``values`` are not exactly the placeholders.
        """
        return _filled(self.plain(message), values)

    def counted(self, one: str, many: str, count: int, /, **values: object) -> str:
        """A text for a number of things, in the form that the language has for it.

        Args:
            one: the English text for exactly one.
            many: the English text for any other number, with the same placeholders.
            count: the number; it fills ``{count}``.
            values: the other placeholders.

        Raises:
            MessageError: ``values`` and ``count`` are not exactly the placeholders.
        """
        template = self._translations.ngettext(one, many, count)
        return _filled(template, {"count": count, **values})

    def plain(self, message: str) -> str:
        """A text in the language as it stands, its placeholders left as they are."""
        return self._translations.gettext(message) if message else ""


def _filled(template: str, values: dict[str, object]) -> str:
    """A text with its values.

    Raises:
        MessageError: a value is missing, or is not one of the text's.
    """
    wanted = placeholders(template)
    if wanted != values.keys():
        names = ", ".join(sorted(wanted ^ values.keys()))
        raise MessageError(f"text {template!r}: give exactly its values; missing or not wanted: {names}")
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)
