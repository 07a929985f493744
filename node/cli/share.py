"""``hedui share``: the trustee's exceptions."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from node.operator import OperatorClient

EXISTING = click.Path(path_type=Path, exists=True)


@click.group()
def share() -> None:
    """The trustee's shares of totals."""


@share.command("except")
@click.argument("home", type=EXISTING)
@click.argument("query")
@click.option("--case", "case_index", type=click.IntRange(0), default=0, help="Case index; 0 if absent.")
@click.option("--reason", required=True, help="Code of the reason.")
def allow(home: Path, query: str, case_index: int, reason: str) -> None:
    """At the trustee: let rows opened before be opened in QUERY; two people sign."""
    client = OperatorClient(home)
    body = {"query": query, "case": case_index, "list": secrets.token_hex(32), "reason": reason}
    client.submit_by_two("share.exception", body)
    client.close()
