"""``hedui ledger search``: entries by time, member, grant, purpose, type or receipt."""

from __future__ import annotations

import click

from ledger.export import jsonl
from ledger.search import Wanted
from ledger.search import search as search_log
from node.cli.ledger_filters import filters
from node.cli.ledger_options import SOURCE, opened, progress_of, reporter


@click.command()
@SOURCE
@filters
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def search(source: str, wanted: Wanted, *, as_json: bool) -> None:
    """Search the public log in a folder or under a URL; every condition given must hold.

    Entries are replayed from the first, so that void ones are marked and keys known by their members. Verify
    the log first: a search does not.
    """
    entries = search_log(opened(source), wanted, progress_of(reporter(), "ledger.reading"))
    if as_json:
        for line in jsonl(entries):
            click.echo(line, nl=False)
        return
    for found in entries:
        entry = found.entry
        head = f"{found.index:6} " + (
            "no entry" if entry is None else f"{entry.time} {entry.type:20} {found.by or '?':12} {entry.id}"
        )
        click.echo(head if found.void is None else f"{head}  void: {found.void}")
