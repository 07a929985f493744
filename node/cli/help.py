"""Commands and groups that show their help in the user's language.

The English help stands in the docstrings and options. In another language each paragraph is looked up in the
message catalogue where it is shown; ``make messages`` collects the paragraphs by walking the commands.
Click's own words ("Usage", "Options", "no such option") come from the same catalogue, which
``node.config.prepare_language`` names to gettext.
"""

from __future__ import annotations

import copy
import inspect
import re
import unicodedata
from collections.abc import Iterable

import click
from typing_extensions import override

from node.config import preferred_language
from node.messages.catalogue import Messages

_PIECE = re.compile(
    r"\s+|[\u2e80-\u9fff\uff00-\uffef，。：；（）、]|[^\s\u2e80-\u9fff\uff00-\uffef，。：；（）、]+"
)
"""Spaces, one wide character, or a word: lines are broken between two of these."""
_CLOSING = "，。：；、！？）》”’"
"""Never first in a line."""
_OPENING = "（《“‘"
"""Never last in a line."""


def paragraphs(help_text: str) -> list[str]:
    """The paragraphs of a help text, each on one line: what the catalogue translates."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(help_text).partition("\f")[0])
    return [" ".join(part.split()) for part in parts if part.strip()]


def columns(text: str) -> int:
    """Columns a text takes on a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text that has wide characters, each at most ``width`` columns where words allow it."""
    pieces: list[str] = []
    for piece in _PIECE.findall(text):
        joins = piece in _CLOSING or (pieces and pieces[-1][-1] in _OPENING)
        if joins and pieces and not pieces[-1].isspace():
            pieces[-1] += piece
        else:
            pieces.append(piece)
    lines = [""]
    for piece in pieces:
        if lines[-1] and columns(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        if lines[-1] or not piece.isspace():
            lines[-1] += " " if piece.isspace() else piece
    return [line.rstrip() for line in lines]


def _has_wide(text: str) -> bool:
    return columns(text) > len(text)


class HelpFormatter(click.HelpFormatter):
    """Writes help whose lines end where the terminal's do, also in Chinese."""

    @override
    def write_heading(self, heading: str) -> None:
        if _has_wide(heading):
            self.write(f"{'':>{self.current_indent}}{heading}：\n")
        else:
            super().write_heading(heading)

    @override
    def write_text(self, text: str) -> None:
        if not _has_wide(text):
            super().write_text(text)
            return
        indent = " " * self.current_indent
        parts = [wrapped(part, self.width - len(indent)) for part in text.split("\n\n")]
        self.write("\n\n".join("\n".join(f"{indent}{line}" for line in part) for part in parts))
        self.write("\n")

    @override
    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        listed = list(rows)
        if not any(_has_wide(second) for _, second in listed):
            super().write_dl(listed, col_max, col_spacing)
            return
        first_width = min(max(columns(first) for first, _ in listed), col_max) + col_spacing
        start = " " * (self.current_indent + first_width)
        for first, second in listed:
            head = f"{'':>{self.current_indent}}{first}"
            if columns(first) > first_width - col_spacing:
                self.write(f"{head}\n")
                head = ""
            for line in wrapped(second, max(self.width - first_width - 2, 10)):
                gap = " " * (len(start) - columns(head))
                self.write(f"{head}{gap}{line}".rstrip() + "\n")
                head = ""


class HelpContext(click.Context):
    """A command's context, with this module's formatter."""

    formatter_class = HelpFormatter


class Command(click.Command):
    """A command whose help is shown in the user's language."""

    context_class = HelpContext

    @override
    def get_short_help_str(self, limit: int = 45) -> str:
        messages = Messages(preferred_language())
        if messages.language == "en" or not self.help:
            return super().get_short_help_str(limit)
        first = messages.plain(paragraphs(self.help)[0])
        return first.partition("。")[0]

    @override
    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        messages = Messages(preferred_language())
        if messages.language == "en" or not self.help:
            super().format_help_text(ctx, formatter)
            return
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(messages.plain(part) for part in paragraphs(self.help)))

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        messages = Messages(preferred_language())
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = [_translated(option, messages).get_help_record(ctx) for option in options]
        shown = [record for record in records if record is not None]
        if shown:
            with formatter.section(messages.translate("Options")):
                formatter.write_dl(shown)


def _translated(option: click.Option, messages: Messages) -> click.Option:
    """An option with its help in the user's language."""
    shown = copy.copy(option)
    shown.help = messages.plain(option.help or "") or None
    return shown


class Group(Command, click.Group):
    """A group of such commands, its own help in the user's language too."""

    command_class = Command
    group_class = type

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
