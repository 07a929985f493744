"""``hedui ledger mirror``: an auditor's own verified copy of the public log."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ledger.mirror import update_mirror
from node.cli.ledger_options import (
    JSON,
    POLICY,
    SOURCE,
    opened,
    progress_of,
    reporter,
    say_fingerprint,
    trusted_bytes,
)
from node.cli.said import entries


@click.command()
@SOURCE
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@POLICY
@JSON
def mirror(source: str, folder: Path, policy: Path | None, *, as_json: bool) -> None:
    """Bring the mirror in DIR up to the log in a folder or under a URL; make it the first time.

    Only what is new is read, and checked before it is kept. A rollback or fork is refused; both signed
    checkpoints are kept in DIR.mirror/evidence. The same command goes on where an earlier one was stopped.
    A node's home stands for its replica. Time-stamps come along from a folder, not from a URL.
    """
    log, shown = opened(source), reporter()
    pinned = None if policy is None and (folder / "policy").exists() else trusted_bytes(policy, log)
    found = update_mirror(log, folder, policy=pinned, progress=progress_of(shown, "ledger.mirroring"))
    if not found.is_pinned:
        say_fingerprint(shown, found.policy, str(folder / "policy"))
    head = found.head.checkpoint
    if as_json:
        value = {
            "size": head.size,
            "root": head.root.hex(),
            "before": found.before,
            "policy": found.policy.fingerprint,
            "pinned": found.is_pinned,
            "absent": list(found.absent),
        }
        click.echo(json.dumps(value))
        return
    click.echo(f"{folder}: {entries(head.size)}, {head.size - found.before} new, root {head.root.hex()}")
    for name in found.absent:
        click.echo(f"{name} is not at the source, or not whole")
