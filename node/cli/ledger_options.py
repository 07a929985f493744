"""Options of the commands that read a public log: its location, the trust policy, progress on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ledger.audit.source import MAX_POLICY_BYTES, FolderSource, LogSource, is_url
from ledger.audit.verify import OnEntries
from ledger.errors import PolicyError, TileError, VerificationError
from ledger.formats import tiles
from ledger.formats.policy import Policy
from node.cli.output import POLICY_FORMS, user_messages
from node.config import read_configuration, user_folder
from node.errors import UsageError
from node.membership.network import NetworkFile
from node.messages.progress import Reporter
from node.report.policies import PINNED, pinned_policies, trusted_policy

SOURCE = click.argument("source", metavar="DIR-or-URL")
POLICY = click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True),
    help=f"{POLICY_FORMS}; else the one you pinned, else the log's own.",
)
OF_A_LOG = (tiles.CHECKPOINT, tiles.POLICY, "tile")
"""A folder without any of these holds no log, rather than a damaged one."""
FEW = 2048
"""Logs of fewer entries are read without a count on the terminal."""
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def opened(place: str) -> LogSource:
    """The log at a folder or URL; for a node's home, its replica.

    Raises:
        UsageError: no such folder, or one that holds nothing of a log.
    """
    if not is_url(place) and not Path(place).is_dir():
        raise UsageError(f"{place} is not a folder: give the folder or the http(s) URL of a public log")
    if (Path(place) / "node.toml").is_file():
        source = _replica(Path(place))
    elif is_url(place):
        source = _http_source(place)
    elif any((Path(place) / name).exists() for name in OF_A_LOG):
        source = FolderSource(Path(place))
    else:
        raise UsageError(f"{place} contains no public log: give the folder or the http(s) URL of one")
    click.get_current_context().call_on_close(source.close)
    return source


def _http_source(url: str) -> LogSource:
    """The public log under a URL."""
    from ledger.audit.http_source import HttpSource  # noqa: PLC0415  only a URL needs the HTTP client

    return HttpSource(url)


def _replica(home: Path) -> LogSource:
    """The replica of a node's home."""
    from ledger.replica.replica_source import ReplicaSource  # noqa: PLC0415
    from ledger.storage.database import open_database  # noqa: PLC0415  only a home has a database
    from node.store.opening import open_store  # noqa: PLC0415
    from node.times import system_clock  # noqa: PLC0415

    configuration = read_configuration(home)
    database = open_database(configuration.store_url)
    open_store(configuration.home, database, system_clock())
    return ReplicaSource(database, NetworkFile.read(configuration.home.network).policy, str(home))


def reporter() -> Reporter:
    """Messages in the user's language, on standard error."""
    return Reporter(sys.stderr, user_messages())


def progress_of(shown: Reporter, stage: str) -> OnEntries:
    """Progress of long work on a terminal; ``stage`` is the text that names it."""
    name = shown.messages.translate(stage)
    return lambda done, total: shown.progress(name, {}, done, total, at_least=FEW)


def trusted_bytes(given: Path | None, source: LogSource) -> bytes | None:
    """The pinned policy's bytes: the file given, or of the folder given, or else of the user's, that named.

    The source's own policy only chooses among those the reader has put there. None where the user has pinned
    none at all: a user who has pinned some must not rely on another log's own policy.

    Raises:
        UsageError: the file given is no policy, the folder given holds none, or a pinned one cannot be used.
        VerificationError: the folder given, or the user's, holds none that the source names.
    """
    if given is not None and given.is_file():
        found = trusted_policy(given, user_folder(), "")
        return None if found is None else found.format().encode()
    try:
        named = Policy.parse(source.fetch("policy", MAX_POLICY_BYTES).decode()).fingerprint
    except (TileError, PolicyError, UnicodeDecodeError):
        named = ""
    if given is None and not pinned_policies(user_folder()):
        return None
    found = trusted_policy(given, user_folder(), named)
    if found is None:
        place = user_folder() / PINNED if given is None else given
        raise VerificationError(
            "policy",
            "policy",
            f"has the fingerprint {named or 'of none'}, and no policy in {place} has it: put the network's "
            "there when you have compared it on paper, or give it with --policy",
        )
    return found.format().encode()


def policy_place(source: str) -> str:
    """The file that holds the policy of the log at a folder or URL, or of a node's home, to pin it from."""
    place = source.rstrip("/")
    return f"{place}/network.json" if (Path(place) / "node.toml").is_file() else f"{place}/policy"


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """End a command with exit status 0 when the reader of its output closes the pipe, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.get_current_context().exit()


def print_unpinned(shown: Reporter, policy: Policy, copy: str) -> None:
    """Print whose policy a run relied on that had none pinned, and how to pin one."""
    folder = user_folder() / PINNED
    shown.stage(
        "No trust policy is pinned, so the log's own was used: fingerprint {fingerprint}. Compare it with "
        "the one "
        "that the network published on paper; then pin it: copy {copy} into {folder}, or give it with "
        "--policy",
        fingerprint=policy.fingerprint,
        copy=copy,
        folder=folder,
    )
