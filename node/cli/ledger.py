"""``hedui ledger``: read, verify, mirror, search and export the public log; recover a log from a copy.

Each command is a module of its own, imported when it is used: ``COMMANDS`` says which. A module holds the
command under the command's own name.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "chaincode": "node.cli.ledger_chaincode",
    "export": "node.cli.ledger_export",
    "mirror": "node.cli.ledger_mirror",
    "package": "node.cli.ledger_package",
    "reconcile": "node.cli.ledger_reconcile",
    "recover": "node.cli.ledger_recover",
    "search": "node.cli.ledger_search",
    "show": "node.cli.ledger_show",
    "timestamp": "node.cli.ledger_timestamp",
    "verify": "node.cli.ledger_verify",
}
"""Module by command."""


class LedgerCommands(click.Group):
    """The commands of ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's interface
        """Every command's name."""
        return sorted(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's interface
        cmd_name: str,
    ) -> click.Command | None:
        """One command, imported now."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(importlib.import_module(module), cmd_name)
        return found


@click.group(cls=LedgerCommands)
def ledger() -> None:
    """The public log."""
