"""A command group that imports each command only when it is used, so that starting is fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from typing_extensions import override

from node.cli.help import Command, Group
from node.config import preferred_language
from node.messages.catalogue import Messages


@dataclass(frozen=True)
class LazyCommand:
    """The module of a command, and its line in the list of its group.

    Attributes:
        module: it holds the command under the command's own name.
        summary: the first paragraph of the command's help, so that listing it needs no import.
    """

    module: str
    summary: str


class LazyGroup(Group):
    """A group with commands that are imported when they are used, beside those added to it."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        """Args: ``lazy`` holds the commands by name; the rest is ``Group``'s."""
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.lazy})

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(importlib.import_module(lazy.module), cmd_name)
        return found

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(len(name) for name in names)
        with formatter.section(Messages(preferred_language()).translate("Commands")):
            formatter.write_dl([(name, self._listed(ctx, name, limit)) for name in names])

    def _listed(self, ctx: click.Context, name: str, limit: int) -> str:
        """The line of one command in the list of commands."""
        lazy = self.lazy.get(name)
        if lazy is not None:
            return Command(name, help=lazy.summary).get_short_help_str(limit)
        command = self.get_command(ctx, name)
        assert command is not None
        return command.get_short_help_str(limit)
