"""``hedui ledger export``: entries as CSV or JSON Lines."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.export import FORMATS
from ledger.search import Wanted
from node.cli.ledger_filters import filters
from node.cli.ledger_matching import matching
from node.cli.ledger_options import SOURCE, quiet_pipe
from node.home import require_absent


@click.command()
@SOURCE
@click.option("--format", "form", required=True, type=click.Choice(sorted(FORMATS)), help="What to write.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else standard output.")
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@filters
def export(source: str, form: str, output: Path | None, wanted: Wanted, *, force: bool) -> None:
    """Write the entries of the public log in a folder or under a URL as rows.

    The conditions are those of `hedui ledger search`. The columns are listed in ledger/export.py. CSV is
    UTF-8; a cell that a spreadsheet would compute gets an apostrophe before it. How many rows were written is
    said on standard error.
    """
    if output is not None and not force:
        require_absent(output, "give another name, or --force to replace it")
    lines = FORMATS[form](matching(source, wanted))
    if output is None:
        with quiet_pipe():
            for line in lines:
                sys.stdout.buffer.write(line.encode())
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            for line in lines:
                file.write(line.encode())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
