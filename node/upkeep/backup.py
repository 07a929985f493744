"""Backup of a node: one file (``node.upkeep.archive``), sealed under a passphrase, made while the node runs.

A restore detects a wrong passphrase, a changed byte and a missing end before it uses anything. The backup is
written as a stream; only copies of the databases are stored first, in HOME/.backup, and removed afterwards.

The order is: databases, then secrets, then sets. Everything that a database refers to existed before the
database was copied, so it is found afterwards; what was added later is in the backup, but not referred to.

Not in a backup: the passphrase file (keep it separately, since both together give access to everything),
logs, the public log's folder (written again from the database), sets that are being built, work files and
hidden files. Folders of the home that are not the node's are left out and reported.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from keys.sealedfile import SealedWriter
from ledger.storage.database import REPLICA, open_database
from node.config import is_store_absolute, passphrase_path, store_url
from node.errors import ConfigurationError, StoreError
from node.home import Home, naming_file, require_absent
from node.member_keys import passphrase_cost
from node.membership.network import NetworkFile
from node.store import copying, tables
from node.store.opening import current_revision, require_known
from node.store.setfiles import is_whole
from node.upkeep.archive import HOME_PREFIX, STORE, ArchiveHeader, ArchiveWriter

FOLDERS = ("keys", "openings", "publications")
"""Folders of a home that are backed up; of publications only the sets the database names."""

LEFT_OUT = ("ledger",)
WORK_FILES = (".log", "-journal", "-wal", "-shm")


@dataclass
class BackupSummary:
    """Result of a backup.

    Attributes:
        head: header of the file.
        members: size and digest of each member, by name.
        left_out: folders of the home that are not in it.
        missing_sets: ``<dataset>/<publication>`` of sets that are not complete in the home.
    """

    head: ArchiveHeader
    members: dict[str, dict[str, int | str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    missing_sets: list[str] = field(default_factory=list)


def back_up(
    root: Path, member: str, roles: tuple[str, ...], target: Path, passphrase: bytes, now: int
) -> BackupSummary:
    """Write a backup of the home ``root`` into the new file ``target``.

    Args:
        root: the home; its node may be running.
        member, roles: as configured.
        target: the new file, outside the home.
        passphrase: encrypts the file.
        now: seconds since 1970.

    Raises:
        UsageError: the target exists already.
        ConfigurationError: the target cannot be used, or the home holds a symbolic link.
        StoreError: a database cannot be copied, or another backup of this home is running.
    """
    home = Home(root.resolve()).require()
    _check_target(home, target)
    partial = target.with_name(f".{target.name}.partial")
    with _spool(home) as spool:
        plan = _plan(home)
        databases = _copy_databases(home, plan.databases, spool)
        head = _head(home, member, roles, databases, now)
        made = BackupSummary(head, left_out=plan.left_out, missing_sets=_missing_sets(home, databases.sets))
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with naming_file(target), os.fdopen(descriptor, "wb") as file:
                profile = passphrase_cost(passphrase)
                with (
                    SealedWriter(file, passphrase, profile=profile) as sealed,
                    ArchiveWriter(sealed, made.head) as archive,
                ):
                    _write(archive, home, plan, databases)
                    made.members = archive.members
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    sync_folder(target.resolve().parent)
    return made


@dataclass(frozen=True)
class _Databases:
    """Copies of the databases, in files.

    Attributes:
        files: the copy of each SQLite file, by its path in the home.
        store: dump of the member's database if that is not a file of the home.
        revision, size: the database's revision, and the number of ledger entries it holds.
        sets: (dataset, publication) of the sets that the database refers to.
    """

    files: dict[str, Path]
    store: Path | None
    revision: str
    size: int
    sets: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class _Plan:
    """Contents of a home: paths of plain files and of databases, and the folders that are left out."""

    files: list[str]
    databases: list[str]
    left_out: list[str]


def _check_target(home: Home, target: Path) -> None:
    require_absent(target, "a backup never replaces another; name a new file")
    if not target.resolve().parent.is_dir():
        raise ConfigurationError(f"{target.parent} is not a folder: create it, or choose another")
    if target.resolve().is_relative_to(home.root):
        raise ConfigurationError("a backup cannot be inside the home that it saves: choose another folder")


@contextmanager
def _spool(home: Home) -> Iterator[Path]:
    """Give HOME/.backup, emptied, to one backup at a time; it is emptied again afterwards."""
    folder = home.root / ".backup"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError("another backup of this home is running: wait until it has ended") from error
        _empty(folder)
        try:
            yield folder
        finally:
            _empty(folder)
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _plan(home: Home) -> _Plan:
    """Find every file of the home that belongs in a backup.

    Raises:
        ConfigurationError: there is a symbolic link, which a backup does not follow.
    """
    passphrase = passphrase_path(home).resolve()
    files: list[str] = []
    databases: list[str] = []
    left_out: list[str] = []
    for path in sorted(home.root.iterdir()):
        if path.name.startswith(".") or path.name in LEFT_OUT:
            continue
        if path.is_dir() and not path.is_symlink() and path.name not in FOLDERS:
            left_out.append(path.name)
            continue
        for found in _files_under(path):
            if found.resolve() == passphrase or found == home.keys / "passphrase":
                continue
            name = found.relative_to(home.root).as_posix()
            is_set = name.startswith("publications/")
            (databases if not is_set and copying.is_sqlite(found) else files).append(name)
    return _Plan(files, databases, left_out)


def _files_under(path: Path) -> Iterator[Path]:
    """Regular files at or under a path, except hidden ones and work files; sorted."""
    if path.is_symlink():
        raise ConfigurationError(
            f"{path} is a symbolic link, which a backup does not follow: replace it by the file itself"
        )
    if path.is_dir():
        for each in sorted(path.iterdir()):
            if not each.name.startswith("."):
                yield from _files_under(each)
    elif path.is_file() and not path.name.endswith(WORK_FILES):
        yield path


def _copy_databases(home: Home, names: list[str], spool: Path) -> _Databases:
    """Copy every SQLite file of the home, and the member's database wherever it is stored."""
    files: dict[str, Path] = {}
    for number, name in enumerate(names):
        files[name] = spool / f"{number}.db"
        copying.copy_sqlite(home.root / name, files[name])
    url = store_url(home.root)
    if url.startswith("sqlite") and is_store_absolute(home):
        raise ConfigurationError(
            "node.toml names the database by an absolute path in the home: write sqlite:///NAME, so that the "
            "home can be restored elsewhere"
        )
    inside = next((name for name in names if url == f"sqlite:///{home.root / name}"), None)
    if inside is not None:
        database, dump = open_database(f"sqlite:///{files[inside]}"), None
    elif url.startswith("sqlite"):
        copying.copy_sqlite(Path(url.removeprefix("sqlite:///")), spool / "store.db")
        database, dump = open_database(f"sqlite:///{spool / 'store.db'}"), spool / "store.jsonl"
    else:
        database, dump = open_database(url), spool / "store.jsonl"
    try:
        return _read_store(database, dump, files)
    finally:
        database.dispose()


def _read_store(database: Engine, dump: Path | None, files: dict[str, Path]) -> _Databases:
    """Read the facts of the member's database and write its dump if one is asked for, in one transaction."""
    with database.connect() as connection:
        revision = current_revision(connection)
        require_known(revision)
        if revision is None:
            raise StoreError("the node's database is empty: run the node once before a backup")
        size = connection.execute(select(REPLICA.head.c.size)).scalar()
        sets = _named_sets(connection)
        if dump is not None:
            with naming_file(dump), dump.open("wb") as file:
                file.writelines(copying.dump(connection))
    return _Databases(files, dump, revision, 0 if size is None else int(size), sets)


def _named_sets(connection: Connection) -> frozenset[tuple[str, str]]:
    """Sets that the database refers to: own published ones, and downloaded ones that were verified."""
    own, verified = tables.own_publication, tables.verified_publication
    rows = [
        *connection.execute(select(own.c.dataset, own.c.publication).where(own.c.state == "published")),
        *connection.execute(select(verified.c.dataset, verified.c.publication)),
    ]
    return frozenset((row[0], row[1]) for row in rows)


def _missing_sets(home: Home, sets: frozenset[tuple[str, str]]) -> list[str]:
    """Sets that the database refers to and that are not complete in the home."""
    root = home.root / "publications"
    return sorted(
        f"{dataset}/{publication}"
        for dataset, publication in sets
        if not is_whole(root / dataset / publication)
    )


def _head(home: Home, member: str, roles: tuple[str, ...], databases: _Databases, now: int) -> ArchiveHeader:
    network = NetworkFile.read(home.network) if home.network.exists() else None
    return ArchiveHeader(
        id=secrets.token_hex(16),
        member=member,
        roles=roles,
        network="" if network is None else network.network,
        genesis="" if network is None else network.genesis.hex(),
        moment=now,
        size=databases.size,
        revision=databases.revision,
        store=databases.store is not None,
        program=_program(),
    )


def _program() -> str:
    """Version of hedui; empty where it runs from a source folder without being installed."""
    try:
        return importlib.metadata.version("hedui")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _write(archive: ArchiveWriter, home: Home, plan: _Plan, databases: _Databases) -> None:
    """Write everything after the header."""
    if databases.store is not None:
        archive.add_file(STORE, databases.store)
    for name, copy in databases.files.items():
        archive.add_file(HOME_PREFIX + name, copy)
    for name in plan.files:
        if _wanted(name, databases.sets):
            archive.add_file(HOME_PREFIX + name, home.root / name)
    archive.finish()


def _wanted(name: str, sets: frozenset[tuple[str, str]]) -> bool:
    """Whether a file belongs in the backup; of sets, only finished files of those the database names."""
    parts = name.split("/")
    if parts[0] != "publications":
        return True
    return len(parts) == 4 and (parts[1], parts[2]) in sets and not parts[3].startswith("build.db")


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
