"""A group whose commands are imported when they are used, so that none costs what only another needs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from node.cli.help import Group


class LazyGroup(Group):
    """Commands by name, each from a module that holds it under its own name."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        """Args: ``modules`` says where each command is; the rest is ``Group``'s."""
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's interface
        """Every command's name."""
        return sorted(self._modules)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's interface
        cmd_name: str,
    ) -> click.Command | None:
        """One command, imported now."""
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(importlib.import_module(module), cmd_name)
        return found
