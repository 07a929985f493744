"""``hedui ledger timestamp``: have the checkpoint of a log or mirror stamped by an authority (RFC 3161)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from ledger.policy import Policy
from ledger.source import FolderSource
from ledger.stamped import stamp_folder
from ledger.timestamp_http import post_to
from node.cli.ledger_options import JSON, POLICY, opened, trusted_bytes
from node.errors import UsageError
from node.home import naming
from node.reconcile.ledger_side import read_policy
from node.services import instant_text, system_clock
from node.timestamps import read_authority

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def real_url(context: click.Context, option: click.Parameter, value: str) -> str:
    """Click's callback of ``--url``.

    Raises:
        BadParameter: no http(s) address with a host.
    """
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise click.BadParameter(
            f"{value} is no address: write it as http://tsa.example/tsr", context, option
        )
    return value


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--url", required=True, callback=real_url, help="The authority's address, http or https.")
@click.option(
    "--ca", required=True, type=FILE, help="The authority's certificates, PEM, its root among them."
)
@click.option("--tsa-policy", metavar="OID", help="The authority's policy wanted; any when absent.")
@POLICY
@JSON
def timestamp(
    folder: Path, *, url: str, ca: Path, tsa_policy: str | None, policy: Path | None, as_json: bool
) -> None:
    """Have the checkpoint of the public log or mirror in DIR stamped, and keep note and token beside it."""
    if str(folder).lower().startswith(("http:/", "https:/")):
        raise UsageError("give the folder: a URL cannot be stamped in place; mirror it first")
    source = opened(str(folder))
    if not isinstance(source, FolderSource):
        raise UsageError(
            "a time-stamp is kept beside the log's files: give a folder, such as a mirror of the log"
        )
    pinned = trusted_bytes(policy, source)
    trusted = read_policy(source) if pinned is None else Policy.parse(pinned.decode())
    authority = read_authority(ca, tsa_policy)
    with naming(folder):
        done = stamp_folder(folder, trusted, post_to(url), authority, system_clock())
    time = None if done is None else instant_text(done.token.time)
    if as_json:
        is_new, is_old = done is not None and done.is_new, done is not None and not done.is_new
        click.echo(json.dumps({"stamped": is_new, "already": is_old, "time": time}))
    elif done is None:
        click.echo("The log is empty: there is nothing to stamp")
    else:
        said = "is stamped" if done.is_new else "was stamped already"
        click.echo(f"The checkpoint {said}: {time}, policy {done.token.policy}, number {done.token.serial}")
