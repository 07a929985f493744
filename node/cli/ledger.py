"""``hedui ledger``: read, verify, mirror, search and export the public log; recover a log from a copy.

Each command is a module of its own, imported when it is used: ``COMMANDS`` says which. A module holds the
command under the command's own name.
"""

from __future__ import annotations

import click

from node.cli.lazy import LazyCommand, LazyGroup

COMMANDS = {
    "chaincode": LazyCommand(
        "node.cli.ledger_fabric",
        "Run the ledger's contract as a Fabric chaincode service.",
    ),
    "export": LazyCommand(
        "node.cli.ledger_search",
        "Write the entries of the public log in a folder or at a URL as rows.",
    ),
    "mirror": LazyCommand(
        "node.cli.ledger_mirror",
        "Update the mirror in DIR from the log in a folder or at a URL; create it the first time.",
    ),
    "package": LazyCommand(
        "node.cli.ledger_fabric",
        "Write a Fabric chaincode package into FOLDER, with the server's TLS files; print the package id.",
    ),
    "reconcile": LazyCommand(
        "node.cli.ledger_reconcile",
        "Compare the public log in a folder or at a URL with journals and case files; name every difference.",
    ),
    "recover": LazyCommand(
        "node.cli.ledger_mirror",
        "Restore the log of HOME, a sequencer, from a mirror, from its public folder or from a URL.",
    ),
    "search": LazyCommand(
        "node.cli.ledger_search",
        "Search the public log in a folder or at a URL; every condition given must hold.",
    ),
    "show": LazyCommand(
        "node.cli.ledger_search",
        "List the entries of the public log in a folder or at a URL.",
    ),
    "timestamp": LazyCommand(
        "node.cli.ledger_mirror",
        "Have an authority time-stamp the checkpoint of the log or mirror in DIR; keep the token beside it.",
    ),
    "verify": LazyCommand("node.cli.ledger_verify", "Verify the public log in a folder or at a URL."),
}
"""Module and summary of each command."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def ledger() -> None:
    """The public log."""
