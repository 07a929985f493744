"""``hedui node``: create a member's home, run its node, show its status."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from node.cli.help import columns
from node.cli.lazy import LazyCommand, LazyGroup
from node.cli.logs import log_to_stderr
from node.cli.output import print_message, translated
from node.config import ROLES, exposed_passphrase, read_configuration
from node.edges.operator_client import OperatorClient
from node.errors import EXIT_INVALID
from node.home import Home
from node.membership.home_setup import init_home
from node.membership.network import read_card
from node.membership.signing_preview import card_digest
from node.messages.catalogue import mark

HOME = click.argument("home", type=click.Path(path_type=Path))
LABEL_COLUMNS = 13
LABELS = {
    "member": mark("member"),
    "roles": mark("roles"),
    "network": mark("network"),
    "replayed": mark("replayed"),
    "ledger": mark("ledger"),
    "final_age": mark("final_age"),
    "healthy": mark("healthy"),
    "cosigned": mark("cosigned"),
    "quorum": mark("quorum"),
    "waiting": mark("waiting"),
    "evidence": mark("evidence"),
    "restored": mark("restored"),
    "spent": mark("spent"),
    "published": mark("published"),
    "missing_sets": mark("missing_sets"),
    "sumkey": mark("sumkey"),
    "datasets": mark("datasets"),
}
"""Label of each field of a node's status; in English they are the names of the JSON form."""
FILES = 8192
"""Open files a node asks the system for; its connections are bounded below that."""


LAZY = {
    "backup": LazyCommand(
        "node.cli.node_backup",
        "Back up the node of HOME to the new file FILE, sealed; the node may be running.",
    ),
    "journal": LazyCommand(
        "node.cli.node_backup",
        "Write the journal of HOME, signed by its node key: no identifier, no key, no case number.",
    ),
    "rejoin": LazyCommand(
        "node.cli.node_backup",
        "Let the witness of the restored HOME continue from the file CHECKPOINT.",
    ),
    "restore": LazyCommand(
        "node.cli.node_backup",
        "Restore the backup FILE as HOME, which must not exist or must be empty: completely or not at all.",
    ),
}
"""Commands that need more than asking a node does."""


@click.group(cls=LazyGroup, lazy=LAZY)
def node() -> None:
    """A member's own node."""


@node.command("init")
@HOME
@click.option("--id", "member", required=True, help="Member id: lower-case letters, digits, dashes.")
@click.option("--name", required=True, help="Name of the member, as people read it.")
@click.option(
    "--role",
    "roles",
    required=True,
    multiple=True,
    type=click.Choice(ROLES),
    help="Role of the member; may be repeated.",
)
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where the node opens its one port.")
@click.option("--endpoint", metavar="HOST:PORT", help="Address that other members use; --listen when absent.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True),
    help="Holds the passphrase of the secrets.",
)
@click.option("--store", metavar="URL", help="postgresql+psycopg://…; SQLite in the home when absent.")
@click.option("--ledger", metavar="URI", help="fabric:PROFILE.toml; the embedded log when absent.")
def init(  # noqa: PLR0913  one argument per option
    home: Path,
    member: str,
    name: str,
    roles: tuple[str, ...],
    listen: str,
    endpoint: str | None,
    passphrase_file: Path | None,
    *,
    store: str | None,
    ledger: str | None,
) -> None:
    """Create HOME with its keys, its configuration and its public card."""
    made = init_home(home, member, name, roles, listen, endpoint, passphrase_file, store, ledger=ledger)
    print_message(
        "{home}: give {card} to the members who found or extend the network",
        home=home,
        card=home / "card.json",
    )
    digest = card_digest(read_card(made.home.card))
    print_message("Tell them its digest by telephone: {digest}", digest=digest)
    if passphrase_file is None:
        place = home / "keys" / "passphrase"
        print_message("The passphrase is in {file}: keep a copy elsewhere", file=place)


@node.command("run")
@HOME
@click.option("--with-parent", is_flag=True, help="Stop when standard input is closed.")
def run(home: Path, with_parent: bool) -> None:
    """Run the node of HOME until it is stopped."""
    from node.app import Node  # noqa: PLC0415  only this command needs a whole node

    log_to_stderr()
    _raise_file_limit()
    configuration = read_configuration(home)
    configuration.home.keep_private()
    _warn(configuration.home)
    member = Node(configuration)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if with_parent:
        threading.Thread(target=_end_with_parent, args=(ended,), daemon=True).start()
    try:
        member.start()
        ended.wait()
    finally:
        member.stop()


def _raise_file_limit() -> None:
    """Let the node open as many files as the system allows it: connections are files too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@node.command("status")
@HOME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(home: Path, as_json: bool) -> None:
    """Show the state of the running node of HOME, how far it has replayed the ledger, and the ledger's state.

    Exit status 1: the log is in quarantine, there is evidence of two histories, or files of a published set
    are missing: restore the set from a backup, or retire it and publish again. The exit status is 0 while the
    ledger is only out of reach for a time.
    """
    client = OperatorClient(home)
    found = client.status()
    client.close()
    _warn(Home(home.resolve()))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        for name, value in found.items():
            label = translated(LABELS[name]) if name in LABELS else name
            click.echo(f"{label}{' ' * max(1, LABEL_COLUMNS - columns(label))}{_shown(value)}")
    if not found.get("healthy", True):
        sys.exit(EXIT_INVALID)


def _warn(home: Home) -> None:
    """Warn on standard error that other users may read the passphrase."""
    exposed = exposed_passphrase(home)
    if exposed is not None:
        warning = translated(
            "{file} can be read by other users of this machine: chmod 600 {file}", file=exposed
        )
        click.echo(f"hedui: {warning}", err=True)


def _shown(value: Any) -> str:
    """One value of a status for people; ``-`` where there is nothing."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _end_with_parent(ended: threading.Event) -> None:
    """Wait for the end of standard input."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    ended.set()
