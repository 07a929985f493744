"""What a command says when it is done: one line of the catalogue, in the user's language."""

from __future__ import annotations

import click

from node.config import preferred_language
from node.messages import Messages

POLICY_FORMS = "Trust policy, a home's network.json, or a folder of them"
"""What ``--policy`` takes, whatever the command."""


def entries(count: int) -> str:
    """A number of entries, for a line in English."""
    return "1 entry" if count == 1 else f"{count} entries"


def print_message(message: str, /, **values: object) -> None:
    """Print a text of ``node/messages`` with its values."""
    click.echo(Messages(preferred_language()).text(message, **values))
