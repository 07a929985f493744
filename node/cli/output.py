"""Texts of the commands in the user's language, from the message catalogue."""

from __future__ import annotations

import click

from adapters.identifiers import hide_lone_identifiers
from node.config import preferred_language
from node.messages.catalogue import Messages

POLICY_FORMS = "Trust policy, a home's network.json, or a folder of them"
"""What ``--policy`` takes, whatever the command."""


def user_messages(language: str | None = None) -> Messages:
    """Texts in the language given with ``--language``, else in the user's."""
    return Messages(preferred_language() if language is None else language)


def translated(message: str, /, **values: object) -> str:
    """A text in the user's language: see ``Messages.translate``."""
    return user_messages().translate(message, **values)


def counted(one: str, many: str, count: int, /, **values: object) -> str:
    """A text for a number of things in the user's language: see ``Messages.counted``."""
    return user_messages().counted(one, many, count, **values)


def entries(count: int) -> str:
    """A number of entries of the ledger."""
    return counted("{count} entry", "{count} entries", count)


def print_message(message: str, /, **values: object) -> None:
    """Print a text in the user's language."""
    click.echo(translated(message, **values))


def plain(text: str) -> str:
    """A message in which nothing controls the terminal, neither a file's name nor a server's words.

    What looks like an identifier is replaced by stars: messages are pasted into tickets.
    """
    hidden = hide_lone_identifiers(text)
    shown = (one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in hidden)
    return "".join(shown)


def plain_line(text: str) -> str:
    """A message on one line, in which nothing controls the terminal or looks like a line of ours."""
    return plain(text).replace("\n", "\\n")
