"""Recovery of a sequencer's home from a copy of the public log: when its log is in quarantine, or lost.

    node stopped? → copy verified under the home's pinned policy and genesis → nothing signed here is lost
                  → log's tables rebuilt → public folder brought up to the copy → start the node again

    HOME/evidence/recovery/split-<digest>.json   two signed checkpoints that do not fit one another
    HOME/evidence/dropped/                       staged entries that were never signed and that the copy lacks

``ledger.sequencer.recovery`` has the rules. The start gate of the next start judges the result.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.mirror import update_mirror
from ledger.audit.source import NOTE_LIMIT, FolderSource, LogSource
from ledger.audit.verify import OnEntries
from ledger.entries.times import format_time
from ledger.errors import LogError, NoteError, TileError
from ledger.formats.policy import Policy
from ledger.formats.split_view import SplitView, holds_evidence
from ledger.formats.tiles import CHECKPOINT
from ledger.sequencer.recovery import Recovered, recover_log
from ledger.storage.database import open_database
from node.config import Configuration
from node.errors import ConfigurationError
from node.home import write_file
from node.membership.network import NetworkFile
from node.store.database import check_database
from node.store.opening import open_store
from node.times import system_clock

PROBE_SECONDS = 2.0
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  looked up, not bound


@dataclass(frozen=True)
class Recovery:
    """What a recovery has done.

    Attributes:
        log: what became of the log's tables.
        dropped: files that hold the entries that are lost.
        set_aside: where a damaged public folder is now; None where it was sound.
    """

    log: Recovered
    dropped: tuple[Path, ...]
    set_aside: Path | None


def recover(configuration: Configuration, source: LogSource, progress: OnEntries | None = None) -> Recovery:
    """Restore the log of a stopped sequencer's home from a copy.

    Args:
        configuration: of the home.
        source: a mirror, or the public folder of this home itself.
        progress: told how far it is.

    Raises:
        ConfigurationError: the node runs, or has not the role of sequencer.
        StoreError: its database is damaged in its structure: restore that first.
        VerificationError, ForkError, LogError, TileError: see ``ledger.sequencer.recovery.recover_log``.
    """
    home = configuration.home
    if "sequencer" not in configuration.roles:
        raise ConfigurationError(
            f"{configuration.member} does not run the log: its replica catches up by itself once it runs"
        )
    refuse_running(configuration)
    network = NetworkFile.read(home.network)
    evidence = home.root / "evidence"
    database = open_database(configuration.store_url)
    try:
        check_database(database)
        open_store(home, database, system_clock())
        done = recover_log(
            database,
            source,
            network.policy,
            lambda what, kept, offered: _keep(evidence / "recovery", network.policy, what, (kept, offered)),
            genesis_digest=network.genesis,
            published=_published(home.public_log, network.policy),
            progress=progress,
        )
    finally:
        database.dispose()
    dropped: list[Path] = []
    for entry in done.dropped:
        name = f"{entry.position}-{hashlib.sha256(entry.leaf).hexdigest()[:16]}.json"
        dropped.append(evidence / "dropped" / name)
        write_file(dropped[-1], entry.leaf)
    set_aside = _restore_public(home.public_log, source, network.policy, evidence)
    return Recovery(done, tuple(dropped), set_aside)


def refuse_running(configuration: Configuration) -> None:
    """Refuse while something listens on the node's address.

    Raises:
        ConfigurationError: something does.
    """
    host, _, port = configuration.listen.rpartition(":")
    host = host.strip("[]")
    with contextlib.suppress(OSError):
        socket.create_connection((_EVERYWHERE.get(host, host), int(port)), PROBE_SECONDS).close()
        raise ConfigurationError(f"the node of {configuration.home.root} runs: stop it first")


def _published(public: Path, policy: Policy) -> bytes | None:
    """The checkpoint in the public folder; None where there is none, or none of this log's."""
    with contextlib.suppress(TileError, NoteError):
        note = FolderSource(public).fetch(CHECKPOINT, NOTE_LIMIT)
        policy.verify_log(note)
        return note
    return None


def _restore_public(public: Path, source: LogSource, policy: Policy, evidence: Path) -> Path | None:
    """Update the public folder to the copy; a damaged one is moved away and created again."""
    if isinstance(source, FolderSource) and Path(source.place).resolve() == public.resolve():
        return None
    pinned = policy.format().encode()
    try:
        update_mirror(source, public, policy=pinned)
    except (TileError, NoteError, LogError):
        number = 1
        while (aside := evidence / f"ledger-{number}").exists():
            number += 1
        evidence.mkdir(exist_ok=True)
        public.replace(aside)
        update_mirror(source, public, policy=pinned)
        return aside
    return None


def _keep(folder: Path, policy: Policy, what: str, notes: tuple[bytes, bytes]) -> str:
    """Keep two notes as evidence, each pair once; returns their file."""
    sources = (what, "the copy's checkpoint")
    view = SplitView.of(policy, notes, format_time(system_clock()), sources=sources)
    path = folder / view.file_name
    if not holds_evidence(path, policy):
        write_file(path, view.to_json())
    return str(path)
