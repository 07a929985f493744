"""``hedui node journal``: a member's journal in a file, for an auditor who has no access to its home."""

from __future__ import annotations

from pathlib import Path

import click

from keys.signing import SigningKey
from node.config import read_configuration
from node.home import require_absent, write_file
from node.identity import open_vault
from node.reconcile.journal import read_home
from node.reconcile.journal_file import export
from node.services import system_clock


@click.command("journal")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option(
    "--closings", is_flag=True, help="With the salts that open query.close, for who has the reports."
)
def command(home: Path, output: Path, *, closings: bool) -> None:
    """Write the journal of HOME, signed by its node key: no identifier, no key, no case number."""
    require_absent(output)
    configuration = read_configuration(home)
    journal = read_home(configuration)
    key = SigningKey.from_seed(open_vault(configuration.home, configuration.passphrase).get("node"))
    write_file(output, export(journal, key, system_clock(), opened=closings), 0o600)
    click.echo(f"{output}: {len(journal.lines)} lines, {len(journal.questions)} questions")
