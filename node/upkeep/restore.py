"""Restoring a backup: creates a complete home, or leaves nothing behind.

    extract the file into .HOME.restoring, beside HOME, and verify it to its end
    → load the database, if it is not a file of the home → migrate it → mark it → sync → rename to HOME

HOME must be absent or an empty folder. After a kill, HOME is unchanged; the next restore into the same HOME
starts again, and uses a database that was already loaded from the same backup for it. For another HOME that
database counts as not empty, since two nodes with the same keys are not safe. The mark is a row in
``restored``, which the roles read until the node has rejoined (``node.upkeep.rejoin``); its id ends with 8
bytes of the SHA-256 of HOME's path. A SQLite file is created readable only by its owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ledger.storage.database import open_database, writing
from node.config import store_url
from node.errors import ConfigurationError, StoreError
from node.home import Home, naming_file, write_file
from node.membership.home_setup import check_store
from node.store import copying, tables
from node.store.opening import require_known, upgrade
from node.upkeep.archive import COPY_BYTES, HOME_PREFIX, STORE, ArchiveHeader, Readable, read_archive
from node.upkeep.backup import sync_folder

SPOOLED = ".database"
SQLITE = "sqlite:///"
_URL_LINE = re.compile(r"(?m)^url\s*=.*$")
_STORE_SECTION = re.compile(r"(?ms)^\[store\][^\n]*\n(?P<lines>.*?)(?=^\[|\Z)")


@dataclass(frozen=True)
class VerifiedBackup:
    """A backup that was read and verified to its end.

    Attributes:
        head: its header.
        members: number of its members.
    """

    head: ArchiveHeader
    members: int


def verify(file: Path, passphrase: bytes) -> VerifiedBackup:
    """Read and verify a backup to its end without writing anything.

    Raises:
        ConfigurationError: the file cannot be read.
        SealedFileDamagedError, WrongPassphraseError, StoreError: the backup cannot be restored.
    """

    def skip(head: ArchiveHeader, _name: str, data: Readable) -> None:
        require_known(head.revision)
        while data.read(COPY_BYTES):
            pass

    with _open(file) as source:
        return VerifiedBackup(*read_archive(source, passphrase, skip))


def restore(file: Path, root: Path, passphrase: bytes, now: int, store: str | None = None) -> ArchiveHeader:
    """Restore a backup as the home ``root``.

    Args:
        file: the backup.
        root: the home, which is absent or an empty folder.
        passphrase: the passphrase of the backup.
        now: seconds since 1970.
        store: URL of another, empty database; by default that of node.toml.

    Raises:
        ConfigurationError: the home is not empty, ``store`` cannot be used, or node.toml cannot be given it.
        SealedFileDamagedError, WrongPassphraseError: the file is damaged, or the passphrase is wrong.
        StoreError: the backup or the database cannot be used. Nothing is left behind in any of these cases.
    """
    root = root.resolve()
    _require_free(root)
    if store is not None:
        check_store(store)
    with _staging(root) as staging:
        head = _extract(file, staging, passphrase)
        home = Home(staging).require()
        former = store_url(staging)
        if store is not None:
            write_file(home.configuration, _with_store(home.configuration.read_text("utf-8"), store))
        _restore_store(staging, former, head, now, _ending(root))
        _sync_tree(staging)
        staging.rename(root)
        sync_folder(root.parent)
    return head


def _require_free(root: Path) -> None:
    if root.is_dir() and any(root.iterdir()):
        raise ConfigurationError(f"{root} is not empty: a restore never replaces a home; name another folder")
    if root.exists() and not root.is_dir():
        raise ConfigurationError(f"{root} is a file: name a folder")
    if os.path.ismount(root):
        raise ConfigurationError(
            f"{root} is a mount point, which a folder cannot be renamed to: name a folder inside it"
        )
    if not root.parent.is_dir():
        raise ConfigurationError(f"{root.parent} is not a folder: create it, or choose another")


@contextmanager
def _open(file: Path) -> Iterator[BinaryIO]:
    try:
        source = file.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: name a backup file") from error
    with source:
        yield source


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Give the folder beside HOME, emptied, to one restore at a time; it becomes HOME, or is removed."""
    staging = root.with_name(f".{root.name}.restoring")
    staging.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"another restore into {root} is running: wait until it has ended") from error
        _empty(staging)
        try:
            with naming_file(root):
                yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    """Remove what a killed restore left behind."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _extract(file: Path, staging: Path, passphrase: bytes) -> ArchiveHeader:
    """Extract every file of the backup into the staging folder; they are verified when this returns."""

    def put(head: ArchiveHeader, name: str, data: Readable) -> None:
        require_known(head.revision)
        inside = SPOOLED if name == STORE else name.removeprefix(HOME_PREFIX)
        path = staging / inside
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            while part := data.read(COPY_BYTES):
                target.write(part)

    with _open(file) as source:
        return read_archive(source, passphrase, put)[0]


def _with_store(text: str, url: str) -> bytes:
    """Text of node.toml with another database URL and otherwise unchanged.

    Raises:
        ConfigurationError: the text has a form in which the URL cannot be replaced.
    """
    line = f'url = "{url}"'
    section = _STORE_SECTION.search(text)
    if section is None:
        changed = f"{text.rstrip()}\n\n[store]\n{line}\n"
    else:
        lines = section["lines"]
        lines = (
            _URL_LINE.sub(lambda _: line, lines, count=1) if _URL_LINE.search(lines) else f"{line}\n{lines}"
        )
        changed = text[: section.start("lines")] + lines + text[section.end("lines") :]
    try:
        expected = tomllib.loads(text)
        expected["store"] = {**expected.get("store", {}), "url": url}
        if tomllib.loads(changed) == expected:
            return changed.encode()
    except tomllib.TOMLDecodeError:
        pass
    raise ConfigurationError(
        "node.toml cannot be given another database: restore without --store, then change [store] by hand"
    )


def _ending(root: Path) -> str:
    """The end of the id of this home's row in ``restored``."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _restore_store(staging: Path, former: str, head: ArchiveHeader, now: int, ending: str) -> None:
    """Load the member's database as node.toml says, migrate it and mark it, in one transaction."""
    url, spooled = store_url(staging), staging / SPOOLED
    _make_private(url)
    database = open_database(url)
    try:
        with writing(database) as connection:
            if not _is_loaded(connection, head, ending):
                if head.store:
                    with spooled.open("rb") as lines:
                        copying.load(connection, lines)
                elif url != former:
                    _move(former, connection)
                upgrade(connection)
                _mark(connection, head, now, ending)
    except SQLAlchemyError as error:
        raise StoreError(
            f"the database cannot be used: {copying.reason(error)}: create it, or name another with --store"
        ) from error
    finally:
        database.dispose()
    spooled.unlink(missing_ok=True)
    if url != former and not head.store:
        Path(former.removeprefix(SQLITE)).unlink()


def _move(former: str, connection: Connection) -> None:
    """Copy the backup's SQLite file into another database."""
    old = open_database(former)
    try:
        with old.connect() as source:
            copying.load(connection, copying.dump(source))
    finally:
        old.dispose()


def _make_private(url: str) -> None:
    """Create an empty SQLite file that only its owner can read; SQLite would let every user read it."""
    if url.startswith(SQLITE):
        path = make_url(url).database or ""
        with contextlib.suppress(
            FileExistsError, FileNotFoundError
        ):  # SQLite reports what is wrong with the folder
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _is_loaded(connection: Connection, head: ArchiveHeader, ending: str) -> bool:
    """Whether a killed restore has loaded this backup for this home, which has not been started since."""
    if not connection.dialect.has_table(connection, tables.restored.name):
        return False
    newest = connection.execute(select(tables.restored).order_by(tables.restored.c.at.desc())).first()
    if newest is None or newest.backup != head.id or not newest.id.endswith(ending):
        return False
    return newest.fence is None


def _mark(connection: Connection, head: ArchiveHeader, now: int, ending: str) -> None:
    """Write the row that ``node.tlog.restore_fence`` reads."""
    row = {"backup": head.id, "moment": head.moment, "size": head.size, "at": now, "witness": 0}
    connection.execute(insert(tables.restored).values(id=secrets.token_hex(8) + ending, **row))


def _sync_tree(folder: Path) -> None:
    """Make every file and folder durable."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)
