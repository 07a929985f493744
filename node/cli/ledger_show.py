"""``hedui ledger show``: the entries as they stand, without replay."""

from __future__ import annotations

import click

from ledger.export import json_line
from ledger.reading import read_entries
from node.cli.ledger_options import SOURCE, opened


@click.command()
@SOURCE
@click.option("--type", "kind", help="Entries of one type only.")
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def show(source: str, kind: str | None, *, as_json: bool) -> None:
    """List the entries of the public log in a folder or under a URL."""
    for index, entry in read_entries(opened(source)):
        if kind is not None and entry.type != kind:
            continue
        if as_json:
            whole = {
                "index": index,
                "type": entry.type,
                "id": entry.id,
                "time": entry.time,
                "body": entry.body,
            }
            click.echo(json_line(whole))
        else:
            click.echo(f"{index:6} {entry.time} {entry.type:20} {entry.id}")
