"""``hedui ledger verify``: every check of the public log, from the first entry on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from ledger.stamped import Stamp
from ledger.verify import verify_source
from node.cli.ledger_options import JSON, POLICY, SOURCE, opened, progress_of, reporter
from node.services import instant_text
from node.timestamps import read_authority
from node.workers import worker_pool

TSA_HELP = "Certificates of the time-stamp authority, PEM: its tokens are verified to the root."


@click.command()
@SOURCE
@POLICY
@click.option("--tsa-ca", type=click.Path(path_type=Path, exists=True, dir_okay=False), help=TSA_HELP)
@JSON
def verify(source: str, policy: Path | None, *, tsa_ca: Path | None, as_json: bool) -> None:
    """Verify the public log in a folder or under a URL.

    Roots, tiles, signatures, cosignatures, and every entry replayed from the first.
    """
    pinned = None if policy is None else policy.read_bytes()
    authority = None if tsa_ca is None else read_authority(tsa_ca)
    shown = progress_of(reporter(), "ledger.verifying")
    with worker_pool(os.cpu_count() or 1) as workers:
        found = verify_source(opened(source), shown, policy=pinned, authority=authority, workers=workers)
    voids = [{"index": index, "code": code} for index, code in found.voids]
    if as_json:
        whole = {"valid": True, "size": found.size, "root": found.root.hex(), "voids": voids}
        click.echo(json.dumps({**whole, "timestamps": [_stamp(stamp) for stamp in found.stamps]}))
        return
    click.echo(f"{found.size} entries, root {found.root.hex()}: valid")
    for item in voids:
        click.echo(f"entry {item['index']} is void: {item['code']}")
    for name in found.absent:
        click.echo(f"{name} is not there: the tags of one large question")
    for stamp in found.stamps:
        item = _stamp(stamp)
        told = "verified" if item["verified"] else "its authority not verified: give --tsa-ca"
        click.echo(f"{item['size']} entries stamped {item['time'] or 'not yet'} ({told})")


def _stamp(stamp: Stamp) -> dict[str, Any]:
    """A time-stamped checkpoint as JSON."""
    time = None if stamp.time is None else instant_text(stamp.time)
    return {"size": stamp.size, "root": stamp.root.hex(), "time": time, "verified": stamp.is_verified}
