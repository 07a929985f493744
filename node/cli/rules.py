"""``hedui rules``: publish a rule set, approve one."""

from __future__ import annotations

from pathlib import Path

import click

from node.operator import OperatorClient

EXISTING = click.Path(path_type=Path, exists=True)


@click.group()
def rules() -> None:
    """Rule sets: published by the office, approved by the auditor and the owners of amount datasets."""


@rules.command("publish")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def publish(home: Path, file: Path) -> None:
    """At the office: put the rule set FILE on the ledger."""
    _act(home, file, "publish")


@rules.command("approve")
@click.argument("home", type=EXISTING)
@click.argument("file", type=EXISTING)
def approve(home: Path, file: Path) -> None:
    """At an approver: compare FILE with the ledger and approve it."""
    _act(home, file, "approve")


def _act(home: Path, file: Path, action: str) -> None:
    client = OperatorClient(home)
    result = client.rules(file.read_bytes(), action)
    client.close()
    click.echo(f"{result['rules']} {result['digest']}")
