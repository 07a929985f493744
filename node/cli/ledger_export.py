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
from node.errors import ConfigurationError, UsageError
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
    if output is not None:
        _check(output, replace=force)
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


def _check(output: Path, *, replace: bool) -> None:
    """Refuse a name that a file cannot take: a device or a link would be replaced by one.

    Raises:
        UsageError: something is there already, and is not to be replaced or is no file.
        ConfigurationError: there is no such folder.
    """
    if output.is_symlink() or (output.exists() and not output.is_file()):
        raise UsageError(
            f"{output} is no plain file: give another name, or leave --output away and redirect the output"
        )
    if not output.absolute().parent.is_dir():
        raise ConfigurationError(f"{output.parent} is no folder: create it, or choose another")
    if not replace:
        require_absent(output, "give another name, or --force to replace it")
