"""``hedui ledger``: read, verify, mirror, search and export the public log; recover a log from a copy.

Each command is a module of its own, imported when it is used: ``COMMANDS`` says which. A module holds the
command under the command's own name.
"""

from __future__ import annotations

import click

from node.cli.lazy import LazyGroup

COMMANDS = {
    "chaincode": "node.cli.ledger_fabric",
    "export": "node.cli.ledger_search",
    "mirror": "node.cli.ledger_mirror",
    "package": "node.cli.ledger_fabric",
    "reconcile": "node.cli.ledger_reconcile",
    "recover": "node.cli.ledger_mirror",
    "search": "node.cli.ledger_search",
    "show": "node.cli.ledger_search",
    "timestamp": "node.cli.ledger_mirror",
    "verify": "node.cli.ledger_verify",
}
"""Module by command."""


@click.group(cls=LazyGroup, modules=COMMANDS)
def ledger() -> None:
    """The public log."""
