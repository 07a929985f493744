"""``hedui consent``: the registrar's consents."""

from __future__ import annotations

from pathlib import Path

import click

from node.operator import OperatorClient

EXISTING = click.Path(path_type=Path, exists=True)


@click.group()
def consent() -> None:
    """Consents in the registrar's own store."""


@consent.command("load")
@click.argument("home", type=EXISTING)
@click.argument("folder", type=EXISTING)
def load(home: Path, folder: Path) -> None:
    """At the registrar: take the consents of the application files in FOLDER."""
    client = OperatorClient(home)
    result = client.load_consents(folder)
    client.close()
    click.echo(f"{result['committed']} consents committed")
