"""``hedui ledger recover``: a sequencer's log from a copy, when it is in quarantine or lost."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.ledger_options import SOURCE, opened, progress_of, reporter
from node.cli.said import say
from node.config import read_configuration
from node.recover import recover as recover_home


@click.command()
@click.argument("home", type=click.Path(path_type=Path))
@SOURCE
def recover(home: Path, source: str) -> None:
    """Put the log of HOME, a sequencer's, back from a mirror, its public folder or a URL.

    The node must be stopped. The copy is verified from the first entry under the policy that HOME pins, and
    must hold everything that was signed here. Entries that were never signed are listed and kept in
    HOME/evidence/dropped. Start the node afterwards: its start gate asks the witnesses.
    """
    progress = progress_of(reporter(), "ledger.recovering")
    done = recover_home(read_configuration(home), opened(source), progress)
    say("ledger.recovered", size=done.log.size, before=done.log.before)
    for entry, file in zip(done.log.dropped, done.dropped, strict=True):
        say("ledger.dropped", type=entry.type or "?", id=entry.id or "?", file=file)
    if done.log.fork is not None:
        say("ledger.replica_fork", place=done.log.fork)
    if done.set_aside is not None:
        say("ledger.set_aside", place=done.set_aside)
