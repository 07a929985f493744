"""``hedui node backup``, ``restore``, ``rejoin``: a node's state in one file, put back, taken up again.

``hedui node journal``: a member's journal in a file, for an auditor who has no access to its home.
"""

from __future__ import annotations

from pathlib import Path

import click

from keys.signing import SigningKey
from ledger.entries.times import format_time
from ledger.errors import NoteError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import MAX_NOTE_BYTES, Note
from ledger.storage.database import open_database
from node.audit.reconcile.journal import read_home
from node.audit.reconcile.journal_file import export
from node.cli.output import entries
from node.config import environment_passphrase, passphrase_in, passphrase_path, read_configuration
from node.errors import ConfigurationError, UsageError
from node.home import Home, read_bounded, require_absent, write_file
from node.member_keys import open_keys, open_vault
from node.membership.network import NetworkFile
from node.store.opening import open_store
from node.times import system_clock
from node.tlog.witness import other_log, own_cosigner
from node.upkeep.archive import ArchiveHeader
from node.upkeep.backup import back_up
from node.upkeep.rejoin import load_other_positions, load_position
from node.upkeep.restore import restore as put_back
from node.upkeep.restore import verify

PATH = click.Path(path_type=Path)
EXISTING = click.Path(path_type=Path, exists=True)
SEALS = "Holds the passphrase that seals the backup; the node's own when absent."
OPENS = "Holds the passphrase the backup was sealed under; HEDUI_PASSPHRASE when absent."


@click.command("backup")
@click.argument("home", type=PATH)
@click.argument("file", type=PATH)
@click.option("--passphrase-file", type=EXISTING, help=SEALS)
def backup(home: Path, file: Path, passphrase_file: Path | None) -> None:
    """Write the node of HOME into the new file FILE, sealed; the node may run meanwhile.

    Secrets, database, configuration, published sets, openings. Not the passphrase file: keep that elsewhere.
    """
    configuration = read_configuration(home)
    own = configuration.passphrase if passphrase_file is None else _read_passphrase(passphrase_file)
    made = back_up(home, configuration.member, configuration.roles, file, own, system_clock())
    click.echo(f"{file}: {_described(made.head)}; {file.stat().st_size:,} bytes")
    sealed = "the node's passphrase" if passphrase_file is None else f"the passphrase in {passphrase_file}"
    click.echo(f"It is sealed under {sealed}, and holds neither that nor the node's own: keep both elsewhere")
    if made.missing_sets:
        click.echo(
            f"Sets that are not whole in the home, nor in the backup: {', '.join(made.missing_sets)}: "
            "publish or verify them again, and back up then",
            err=True,
        )
    if made.left_out:
        click.echo(f"Folders of the home that are not in it: {', '.join(made.left_out)}")


@click.command("restore")
@click.argument("file", type=EXISTING)
@click.argument("home", type=PATH, required=False)
@click.option("--passphrase-file", type=EXISTING, help=OPENS)
@click.option("--store", metavar="URL", help="Another, empty database; that of node.toml when absent.")
@click.option("--verify", "only_verify", is_flag=True, help="Read FILE to its end and put nothing down.")
def restore(
    file: Path, home: Path | None, passphrase_file: Path | None, store: str | None, only_verify: bool
) -> None:
    """Put the backup FILE back as HOME, which must not exist or be empty: all of it or nothing."""
    if home is None and not only_verify:
        raise UsageError("name the HOME to put the backup into, or give --verify")
    passphrase = environment_passphrase() if passphrase_file is None else _read_passphrase(passphrase_file)
    if not passphrase:
        raise ConfigurationError("give the passphrase with --passphrase-file or HEDUI_PASSPHRASE")
    if home is None or only_verify:
        found = verify(file, passphrase)
        click.echo(f"{file}: whole, {found.members} files; {_described(found.head)}")
        return
    head = put_back(file, home, passphrase, system_clock(), store)
    click.echo(f"{home}: {_described(head)}")
    for line in _next_steps(home, head):
        click.echo(line)


@click.command("rejoin")
@click.argument("home", type=EXISTING)
@click.argument("checkpoint", type=EXISTING)
def rejoin(home: Path, checkpoint: Path) -> None:
    """Let the witness of the restored HOME go on from the file CHECKPOINT.

    For the network's own log only where so many nodes were restored at once that the ledger stands still: ask
    the auditor for the newest checkpoint of the mirror. For a log of others ([[web.logs]]) after every
    restore: fetch its newest checkpoint; what the lost witness cosigned of it is known to nobody here.
    """
    configuration = read_configuration(home)
    if "sequencer" in configuration.roles:
        raise ConfigurationError(f"{configuration.member} runs the log and is no witness: nothing to rejoin")
    note = read_bounded(checkpoint, MAX_NOTE_BYTES)
    try:
        origin = Checkpoint.parse(Note.parse(note).text).origin
    except NoteError as error:
        raise UsageError(
            f"{checkpoint} is no checkpoint: give the file named checkpoint of a mirror"
        ) from error
    policy = NetworkFile.read(configuration.home.network).policy
    cosigner = own_cosigner(configuration.member, open_keys(configuration).signing("witness"), policy)
    database = open_database(configuration.store_url)
    try:
        open_store(configuration.home, database, system_clock())
        if origin == policy.origin:
            size = load_position(database, policy, note, cosigner).checkpoint.size
        else:
            web = configuration.web
            other = other_log(() if web is None else web.logs, origin)
            size = load_other_positions(database, other, note, cosigner, system_clock()).size
    finally:
        database.dispose()
    click.echo(f"The witness goes on from {entries(size)}: see that the node runs")


def _read_passphrase(path: Path) -> bytes:
    """The passphrase in a file.

    Raises:
        ConfigurationError: it holds none, and whatever were sealed under that could never be opened.
    """
    passphrase = passphrase_in(path)
    if not passphrase:
        raise ConfigurationError(f"{path} holds no passphrase: write one line into it")
    return passphrase


def _described(head: ArchiveHeader) -> str:
    """What a backup is, for people."""
    moment = format_time(head.moment)
    network = head.network or "no network yet"
    roles = ", ".join(head.roles)
    return f"node {head.member} ({roles}) of {network} at {moment}, {entries(head.size)} replayed"


def _next_steps(home: Path, head: ArchiveHeader) -> list[str]:
    """What the operator does now."""
    where = passphrase_path(Home(home.resolve()))
    steps = [
        f"1. Put the node's passphrase into {where}, mode 0600, or set HEDUI_PASSPHRASE: it is in no backup",
        "2. See that the lost node runs nowhere any more: two nodes with one key are not safe",
        f"3. hedui node run {home}; it rejoins by itself: `hedui node status {home}` says when",
    ]
    after = {
        "sequencer": "A log older than its witnesses' stays in quarantine: recover it from a mirror",
        "department": "Publish again what was published after the backup: its log names each lost key",
        "registrar": "Enter the papers since the backup again; questions for totals need a reason this month",
        "trustee": "Rows that may have been opened since the backup open under `hedui share except`",
    }
    steps += [f"   {text}" for role, text in after.items() if role in head.roles]
    if "[[web.logs]]" in Home(home).configuration.read_text("utf-8"):
        steps.append(
            "   Take up the newest checkpoint of each log of others: hedui node rejoin HOME CHECKPOINT"
        )
    return steps


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
