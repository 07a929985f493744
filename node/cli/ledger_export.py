"""``hedui ledger export``: entries as CSV or JSON Lines."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.export import FORMATS
from ledger.search import Wanted
from ledger.search import search as search_log
from node.cli.ledger_filters import filters
from node.cli.ledger_options import SOURCE, opened, progress_of, reporter


@click.command()
@SOURCE
@click.option("--format", "form", required=True, type=click.Choice(sorted(FORMATS)), help="What to write.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else standard output.")
@filters
def export(source: str, form: str, output: Path | None, wanted: Wanted) -> None:
    """Write the entries of the public log in a folder or under a URL as rows.

    The conditions are those of `hedui ledger search`. The columns are listed in ledger/export.py. CSV is
    UTF-8; a cell that a spreadsheet would compute gets an apostrophe before it.
    """
    entries = search_log(opened(source), wanted, progress_of(reporter(), "ledger.reading"))
    lines = FORMATS[form](entries)
    if output is None:
        for line in lines:
            sys.stdout.buffer.write(line.encode())
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            for line in lines:
                file.write(line.encode())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
