"""``hedui ledger show``: the entries as they stand, without replay."""

from __future__ import annotations

import click

from ledger.entry import Entry
from ledger.export import json_line
from ledger.reading import read_entries
from node.cli.ledger_filters import known_type
from node.cli.ledger_options import SOURCE, opened, quiet_pipe


@click.command()
@SOURCE
@click.option("--type", "kind", callback=known_type, help="Of this type; query means every query.… type.")
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def show(source: str, kind: str | None, *, as_json: bool) -> None:
    """List the entries of the public log in a folder or under a URL."""
    with quiet_pipe():
        for index, entry in read_entries(opened(source)):
            if kind in (None, entry.type, entry.type.partition(".")[0]):
                click.echo(_whole(index, entry) if as_json else _line(index, entry))


def _whole(index: int, entry: Entry) -> str:
    """An entry as JSON."""
    whole = {"index": index, "type": entry.type, "id": entry.id, "time": entry.time, "body": entry.body}
    return json_line(whole)


def _line(index: int, entry: Entry) -> str:
    """An entry for people; of a grant's entries the grant's own id too, which commands ask for."""
    grant = entry.body.get("grant")
    told = f"  grant {grant}" if isinstance(grant, str) and grant.isascii() and grant.isprintable() else ""
    return f"{index:6} {entry.time} {entry.type:20} {entry.id}{told}"
