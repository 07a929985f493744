"""``hedui ledger search``: entries by time, member, grant, purpose, type or receipt."""

from __future__ import annotations

import click

from ledger.export import jsonl
from ledger.search import Found, Wanted
from node.cli.ledger_filters import filters
from node.cli.ledger_matching import matching
from node.cli.ledger_options import SOURCE, quiet_pipe


@click.command()
@SOURCE
@filters
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def search(source: str, wanted: Wanted, *, as_json: bool) -> None:
    """Search the public log in a folder or under a URL; every condition given must hold.

    Entries are replayed from the first, so that void ones are marked and keys known by their members. Verify
    the log first: a search does not. How many match is said on standard error.
    """
    with quiet_pipe():
        if as_json:
            for line in jsonl(matching(source, wanted)):
                click.echo(line, nl=False)
            return
        for found in matching(source, wanted):
            click.echo(_line(found))


def _line(found: Found) -> str:
    """An entry for people."""
    entry = found.entry
    head = f"{found.index:6} " + (
        "no entry" if entry is None else f"{entry.time} {entry.type:20} {found.by or '?':12} {entry.id}"
    )
    return head if found.void is None else f"{head}  void: {found.void}"
