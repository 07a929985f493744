"""``hedui ledger mirror``: keep an auditor's own verified copy of the public log.

``hedui ledger recover``: a sequencer's log from a copy, when it is in quarantine or lost.

``hedui ledger timestamp``: have the checkpoint of a log or mirror stamped by an authority (RFC 3161).
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from ledger.audit.mirror import update_mirror
from ledger.audit.source import FolderSource
from ledger.audit.stamps import stamp_folder
from ledger.audit.timestamp_client import post_to
from ledger.entries.times import format_time
from ledger.formats.policy import Policy
from node.audit.reconcile.sides import read_policy
from node.cli.help import Command
from node.cli.ledger_options import (
    JSON,
    POLICY,
    SOURCE,
    opened,
    print_unpinned,
    progress_of,
    reporter,
    trusted_bytes,
)
from node.cli.output import entries, print_message, translated
from node.config import read_configuration
from node.errors import UsageError
from node.home import naming_file
from node.messages.catalogue import mark
from node.times import system_clock
from node.tlog.timestamps import read_authority
from node.upkeep.recover_log import recover as recover_home

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=Command)
@SOURCE
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@POLICY
@JSON
def mirror(source: str, folder: Path, policy: Path | None, *, as_json: bool) -> None:
    """Update the mirror in DIR from the log in a folder or at a URL; create it the first time.

    Only new entries are read, and they are verified before they are kept. A rollback or fork is refused; both
    signed checkpoints are kept in DIR.mirror/evidence. The command resumes where an interrupted one stopped.
    A node's home stands for its replica. Time-stamps are copied from a folder, not from a URL.
    """
    log, shown = opened(source), reporter()
    pinned = None if policy is None and (folder / "policy").exists() else trusted_bytes(policy, log)
    found = update_mirror(log, folder, policy=pinned, progress=progress_of(shown, mark("mirrored")))
    if not found.is_pinned:
        print_unpinned(shown, found.policy, str(folder / "policy"))
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
    print_message(
        "{folder}: {entries}, {new} new, root {root}",
        folder=folder,
        entries=entries(head.size),
        new=head.size - found.before,
        root=head.root.hex(),
    )
    for name in found.absent:
        print_message("{name} is not at the source, or is incomplete there", name=name)


@click.command(cls=Command)
@click.argument("home", type=click.Path(path_type=Path))
@SOURCE
def recover(home: Path, source: str) -> None:
    """Restore the log of HOME, a sequencer, from a mirror, from its public folder or from a URL.

    The node must be stopped. The copy is verified from the first entry under the policy that HOME pins, and
    must contain everything that was signed here. Entries that were never signed are listed and kept in
    HOME/evidence/dropped. Start the node afterwards: it asks the witnesses before it signs.
    """
    progress = progress_of(reporter(), mark("rebuilt"))
    done = recover_home(read_configuration(home), opened(source), progress)
    print_message(
        "The log holds {size} entries again; it had {before} under a signed head. Start the node: it asks "
        "the "
        "witnesses before it signs",
        size=done.log.size,
        before=done.log.before,
    )
    for entry, file in zip(done.log.dropped, done.dropped, strict=True):
        print_message(
            "Lost, because it was never signed: {type} {id}, kept in {file}. Tell its submitter, who may "
            "submit it "
            "again",
            type=entry.type or "?",
            id=entry.id or "?",
            file=file,
        )
    if done.log.fork is not None:
        print_message(
            "The replica of this node belonged to another tree and has been emptied. Both signed "
            "checkpoints are "
            "in {place}: show them to the other members",
            place=done.log.fork,
        )
    if done.set_aside is not None:
        print_message(
            "The public folder was damaged; it has been moved to {place} and rebuilt", place=done.set_aside
        )


def real_url(context: click.Context, option: click.Parameter, value: str) -> str:
    """Click's callback of ``--url``.

    Raises:
        click.BadParameter: no http(s) address with a host.
    """
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise click.BadParameter(
            translated("{value} is not an address: write it as http://tsa.example/tsr", value=value),
            context,
            option,
        )
    return value


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--url", required=True, callback=real_url, help="The authority's address, http or https.")
@click.option("--ca", required=True, type=FILE, help="The authority's certificates, PEM, including its root.")
@click.option(
    "--tsa-policy", metavar="OID", help="The policy of the authority that is required; any when absent."
)
@POLICY
@JSON
def timestamp(
    folder: Path, *, url: str, ca: Path, tsa_policy: str | None, policy: Path | None, as_json: bool
) -> None:
    """Have an authority time-stamp the checkpoint of the log or mirror in DIR; keep the token beside it."""
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
    with naming_file(folder):
        done = stamp_folder(folder, trusted, post_to(url), authority, system_clock())
    time = None if done is None else format_time(done.token.time)
    if as_json:
        is_new, is_old = done is not None and done.is_new, done is not None and not done.is_new
        click.echo(json.dumps({"stamped": is_new, "already": is_old, "time": time}))
    elif done is None:
        print_message("The log is empty: there is nothing to stamp")
    else:
        text = mark("The checkpoint was stamped already: {time}, policy {policy}, number {number}")
        if done.is_new:
            text = mark("The checkpoint is stamped: {time}, policy {policy}, number {number}")
        print_message(text, time=time, policy=done.token.policy, number=done.token.serial)
