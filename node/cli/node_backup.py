"""``hedui node backup``, ``restore``, ``rejoin``: back a node up into one file and restore it.

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
from node.audit.reconcile.journal import export, read_home
from node.cli.help import Command
from node.cli.output import entries, print_message, translated
from node.config import environment_passphrase, passphrase_in, passphrase_path, read_configuration
from node.errors import ConfigurationError, UsageError
from node.home import Home, read_bounded, require_absent, write_file
from node.member_keys import open_keys, open_vault
from node.membership.network import NetworkFile
from node.messages.catalogue import mark
from node.store.opening import open_store
from node.times import system_clock
from node.tlog.witness import other_log, own_cosigner
from node.upkeep.archive import ArchiveHeader
from node.upkeep.backup import back_up
from node.upkeep.rejoin import load_other_positions, load_position
from node.upkeep.restore import restore as restore_home
from node.upkeep.restore import verify

PATH = click.Path(path_type=Path)
EXISTING = click.Path(path_type=Path, exists=True)
SEALS = "Holds the passphrase that seals the backup; the node's own when absent."
OPENS = "Holds the passphrase under which the backup was sealed; HEDUI_PASSPHRASE when absent."


@click.command("backup", cls=Command)
@click.argument("home", type=PATH)
@click.argument("file", type=PATH)
@click.option("--passphrase-file", type=EXISTING, help=SEALS)
def backup(home: Path, file: Path, passphrase_file: Path | None) -> None:
    """Back up the node of HOME to the new file FILE, sealed; the node may be running.

    The backup has the secrets, the database, the configuration, the published sets and the openings. It does
    not have the passphrase file: keep that elsewhere.
    """
    configuration = read_configuration(home)
    own = configuration.passphrase if passphrase_file is None else _read_passphrase(passphrase_file)
    made = back_up(home, configuration.member, configuration.roles, file, own, system_clock())
    size = f"{file.stat().st_size:,}"
    print_message("{file}: {backup}; {size} bytes", file=file, backup=_described(made.head), size=size)
    if passphrase_file is None:
        print_message(
            "It is sealed under the node's passphrase, which it does not contain: keep that elsewhere"
        )
    else:
        print_message(
            "It is sealed under the passphrase in {file}, and contains neither that nor the node's own: "
            "keep both "
            "elsewhere",
            file=passphrase_file,
        )
    if made.missing_sets:
        warning = translated(
            "Sets that are incomplete in the home, and in the backup: {sets}: publish or verify them "
            "again, then "
            "back up again",
            sets=", ".join(made.missing_sets),
        )
        click.echo(warning, err=True)
    if made.left_out:
        print_message("Folders of the home that are not in it: {folders}", folders=", ".join(made.left_out))


@click.command("restore", cls=Command)
@click.argument("file", type=EXISTING)
@click.argument("home", type=PATH, required=False)
@click.option("--passphrase-file", type=EXISTING, help=OPENS)
@click.option("--store", metavar="URL", help="An empty database to use; the one in node.toml when absent.")
@click.option("--verify", "only_verify", is_flag=True, help="Only read FILE to its end, and write nothing.")
def restore(
    file: Path, home: Path | None, passphrase_file: Path | None, store: str | None, only_verify: bool
) -> None:
    """Restore the backup FILE as HOME, which must not exist or must be empty: completely or not at all."""
    if home is None and not only_verify:
        raise UsageError("name the HOME to restore the backup into, or give --verify")
    passphrase = environment_passphrase() if passphrase_file is None else _read_passphrase(passphrase_file)
    if not passphrase:
        raise ConfigurationError("give the passphrase with --passphrase-file or HEDUI_PASSPHRASE")
    if home is None or only_verify:
        found = verify(file, passphrase)
        print_message(
            "{file}: complete, {count} files; {backup}",
            file=file,
            count=found.members,
            backup=_described(found.head),
        )
        return
    head = restore_home(file, home, passphrase, system_clock(), store)
    click.echo(f"{home}: {_described(head)}")
    for line in _next_steps(home, head):
        click.echo(line)


@click.command("rejoin", cls=Command)
@click.argument("home", type=EXISTING)
@click.argument("checkpoint", type=EXISTING)
def rejoin(home: Path, checkpoint: Path) -> None:
    """Let the witness of the restored HOME continue from the file CHECKPOINT.

    For the network's own log this is needed only where so many nodes were restored at once that the ledger is
    blocked: ask the auditor for the newest checkpoint of the mirror. For another log ([[web.logs]]) it is
    needed after every restore: fetch that log's newest checkpoint, because this node no longer knows what its
    witness cosigned before.
    """
    configuration = read_configuration(home)
    if "sequencer" in configuration.roles:
        raise ConfigurationError(
            f"{configuration.member} runs the log and is not a witness: nothing to rejoin"
        )
    note = read_bounded(checkpoint, MAX_NOTE_BYTES)
    try:
        origin = Checkpoint.parse(Note.parse(note).text).origin
    except NoteError as error:
        raise UsageError(
            f"{checkpoint} is not a checkpoint: give the file named checkpoint of a mirror"
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
    print_message("The witness continues from {entries}: make sure that the node runs", entries=entries(size))


def _read_passphrase(path: Path) -> bytes:
    """The passphrase in a file.

    Raises:
        ConfigurationError: it holds none: what is sealed under an empty passphrase could not be opened.
    """
    passphrase = passphrase_in(path)
    if not passphrase:
        raise ConfigurationError(f"{path} contains no passphrase: write one line into it")
    return passphrase


def _described(head: ArchiveHeader) -> str:
    """What a backup is, for people."""
    moment = format_time(head.moment)
    return translated(
        "node {member} ({roles}) of {network} at {time}, {entries} replayed",
        member=head.member,
        roles=", ".join(head.roles),
        network=head.network or translated("no network yet"),
        time=moment,
        entries=entries(head.size),
    )


def _next_steps(home: Path, head: ArchiveHeader) -> list[str]:
    """What the operator does now."""
    where = passphrase_path(Home(home.resolve()))
    steps = [
        translated(
            "1. Write the node's passphrase to {file}, mode 0600, or set HEDUI_PASSPHRASE: no backup "
            "contains it",
            file=where,
        ),
        translated(
            "2. Make sure that the lost node runs nowhere any more: two nodes with one key are not safe"
        ),
        translated(
            "3. hedui node run {home}; it rejoins by itself: `hedui node status {home}` shows when", home=home
        ),
    ]
    after = {
        "sequencer": mark(
            "A log older than that of its witnesses stays in quarantine: recover it from a mirror"
        ),
        "department": mark(
            "Publish again what was published after the backup: the node's log names each lost key"
        ),
        "registrar": mark(
            "Enter the consents on paper since the backup again; questions for totals need a reason this "
            "month"
        ),
        "trustee": mark(
            "Rows that may have been opened since the backup are opened only under `hedui share except`"
        ),
    }
    steps += [f"   {translated(text)}" for role, text in after.items() if role in head.roles]
    if "[[web.logs]]" in Home(home).configuration.read_text("utf-8"):
        load = translated("Load the newest checkpoint of each other log: hedui node rejoin HOME CHECKPOINT")
        steps.append(f"   {load}")
    return steps


@click.command("journal", cls=Command)
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option(
    "--closings",
    is_flag=True,
    help="Include the salts that open query.close, for an auditor who has the reports.",
)
def journal(home: Path, output: Path, *, closings: bool) -> None:
    """Write the journal of HOME, signed by its node key: no identifier, no key, no case number."""
    require_absent(output)
    configuration = read_configuration(home)
    found = read_home(configuration)
    key = SigningKey.from_seed(open_vault(configuration.home, configuration.passphrase).get("node"))
    write_file(output, export(found, key, system_clock(), opened=closings), 0o600)
    print_message(
        "{file}: {lines} lines, {questions} questions",
        file=output,
        lines=len(found.lines),
        questions=len(found.questions),
    )
