"""``hedui ledger``: verify the public log offline, show what it says."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ledger.reading import read_entries
from ledger.verify import verify_folder
from node.cli.ledger_chaincode import chaincode
from node.cli.ledger_package import package

EXISTING = click.Path(path_type=Path, exists=True)


@click.group()
def ledger() -> None:
    """The public log."""


ledger.add_command(package)
ledger.add_command(chaincode)


@ledger.command("verify")
@click.argument("folder", metavar="DIR", type=EXISTING)
@click.option("--policy", type=EXISTING, help="Pinned trust policy; the folder's own is compared with it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(folder: Path, policy: Path | None, as_json: bool) -> None:
    """Verify the public log in DIR: roots, tiles, signatures, every entry replayed from the first."""
    pinned = None if policy is None else policy.read_bytes()
    found = verify_folder(folder, policy=pinned)
    voids = [{"index": index, "code": code} for index, code in found.voids]
    if as_json:
        click.echo(json.dumps({"valid": True, "size": found.size, "root": found.root.hex(), "voids": voids}))
        return
    click.echo(f"{found.size} entries, root {found.root.hex()}: valid")
    for item in voids:
        click.echo(f"entry {item['index']} is void: {item['code']}")


@ledger.command("show")
@click.argument("folder", metavar="DIR", type=EXISTING)
@click.option("--type", "kind", help="Entries of one type only.")
@click.option("--json", "as_json", is_flag=True, help="Print whole entries, a line each.")
def show(folder: Path, kind: str | None, as_json: bool) -> None:
    """List the entries of the public log in DIR."""
    for index, entry in read_entries(folder):
        if kind is not None and entry.type != kind:
            continue
        if as_json:
            whole = {
                "index": index,
                "type": entry.type,
                "id": entry.id,
                "time": entry.time,
                "body": entry.body,
            }
            click.echo(json.dumps(whole, ensure_ascii=False))
        else:
            click.echo(f"{index:6} {entry.time} {entry.type:20} {entry.id}")
