"""``hedui ledger verify``: every check of the public log, from the first entry on."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ledger.verify import verify_source
from node.cli.ledger_options import JSON, POLICY, SOURCE, opened, progress_of, reporter


@click.command()
@SOURCE
@POLICY
@JSON
def verify(source: str, policy: Path | None, *, as_json: bool) -> None:
    """Verify the public log in a folder or under a URL.

    Roots, tiles, signatures, cosignatures, and every entry replayed from the first.
    """
    pinned = None if policy is None else policy.read_bytes()
    found = verify_source(opened(source), progress_of(reporter(), "ledger.verifying"), policy=pinned)
    voids = [{"index": index, "code": code} for index, code in found.voids]
    if as_json:
        click.echo(json.dumps({"valid": True, "size": found.size, "root": found.root.hex(), "voids": voids}))
        return
    click.echo(f"{found.size} entries, root {found.root.hex()}: valid")
    for item in voids:
        click.echo(f"entry {item['index']} is void: {item['code']}")
    for name in found.absent:
        click.echo(f"{name} is not there: the tags of one large question")
