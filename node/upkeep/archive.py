"""A backup file: a tar archive inside ``keys.sealedfile``; what it says of itself first, digests last.

    backup.json               format, id, member, roles, network, genesis, moment, ledger size, revision
    database/store.jsonl      the member's database, unless it is a SQLite file of the home
    home/…                    files of the home
    manifest.json             size and SHA-256 of every member before it

Names, order and kinds are exact: anything else is refused. Written and read as a stream in bounded memory.
What was read counts only after ``read_archive`` has returned: the end of the file is verified last.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from keys.sealedfile import SealedReader, SealedWriter
from node.errors import BackupError, StoreError

FORMAT = 1
HEAD, MANIFEST, STORE = "backup.json", "manifest.json", "database/store.jsonl"
HOME_PREFIX = "home/"
COPY_BYTES = 1 << 20
NO_BACKUP = "the file is no backup as this version writes it: look for the right file"


@dataclass(frozen=True)
class ArchiveHeader:
    """What a backup says of itself.

    Attributes:
        id: random, 32 hex characters.
        member, roles: whose node.
        network, genesis: the network's name and the digest of its first entry; empty before joining.
        moment: seconds since 1970 when the databases were copied, by the node's clock.
        size: entries of the ledger the node had replayed.
        revision: of the member's database.
        store: whether the database is in ``database/store.jsonl``.
        program: version of hedui.
        format: of the archive.
    """

    id: str
    member: str
    roles: tuple[str, ...]
    network: str
    genesis: str
    moment: int
    size: int
    revision: str
    store: bool
    program: str
    format: int = FORMAT

    @classmethod
    def parse(cls, data: bytes) -> ArchiveHeader:
        """Read ``backup.json``.

        Raises:
            BackupError: malformed.
            StoreError: of a newer format.
        """
        try:
            value = json.loads(data)
            if int(value["format"]) > FORMAT:
                raise StoreError(
                    f"the backup is of format {value['format']}, made by hedui {value['program']}: "
                    "restore it with that version or a newer one"
                )
            return cls(**{**value, "roles": tuple(value["roles"])})
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(NO_BACKUP) from error


class _Onward:
    """Hands bytes on to a sealed file until it is told to drop them."""

    def __init__(self, sealed: SealedWriter) -> None:
        self._sealed = sealed
        self.is_dropping = False

    def write(self, data: bytes) -> int:
        """Hand on, or drop."""
        return len(data) if self.is_dropping else self._sealed.write(data)


class ArchiveWriter:
    """Writes one backup; ``finish`` adds the manifest and the end, without which it does not open.

    A context manager: tar writes what it still holds when it is closed, even into a file that is full. So at
    the end of the block that is dropped, unless ``finish`` has written it.
    """

    def __init__(self, sealed: SealedWriter, head: ArchiveHeader) -> None:
        """Begin with ``backup.json``."""
        self._onward = _Onward(sealed)
        self._tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115  write() is all it calls; __exit__ closes
            mode="w|", fileobj=self._onward, format=tarfile.PAX_FORMAT
        )
        self._moment = head.moment
        self.members: dict[str, dict[str, int | str]] = {}
        self.add_bytes(HEAD, as_json(asdict(head)))

    def __enter__(self) -> ArchiveWriter:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; nothing is written any more."""
        self._onward.is_dropping = True
        self._tar.close()

    def add_bytes(self, name: str, data: bytes) -> None:
        """A member from memory."""
        self._add(name, io.BytesIO(data), len(data))

    def add_file(self, name: str, path: Path) -> None:
        """A file as it is when opened; one that is gone by then was of no use any more."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with closing(file):
            self._add(name, file, os.fstat(file.fileno()).st_size)

    def finish(self) -> None:
        """Write the manifest and the archive's end."""
        members = dict(self.members)
        self.add_bytes(MANIFEST, as_json({"members": members}))
        self.members = members
        self._tar.close()

    def _add(self, name: str, file: BinaryIO, size: int) -> None:
        """A member with its digest; owner and times stay behind."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, self._moment
        digested = _Digested(file)
        self._tar.addfile(info, digested)
        self.members[name] = {"size": size, "sha256": digested.hexdigest()}


class Readable(Protocol):
    """What is read from a member."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, all for -1; empty at the end."""
        ...


class _Digested:
    """A file being read, with the SHA-256 of what was read."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Read and digest."""
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Digest of all that was read so far."""
        return self._digest.hexdigest()


OnMember = Callable[[ArchiveHeader, str, Readable], None]
"""Given the head, a member's name and its bytes to be read to their end."""


def read_archive(file: BinaryIO, passphrase: bytes, take: OnMember) -> tuple[ArchiveHeader, int]:
    """Read a whole backup and hand each of its members on; nothing of it counts before this returns.

    Returns:
        The head, and the number of members with head and manifest.

    Raises:
        SealedFileDamagedError, WrongPassphraseError: the file is not whole, or sealed under another
            passphrase.
        BackupError: the file is not a backup.
        StoreError: the backup is of a newer format.
    """
    plain = io.BufferedReader(SealedReader(file, passphrase), COPY_BYTES)
    seen: dict[str, dict[str, int | str]] = {}
    head: ArchiveHeader | None = None
    last = b""
    try:
        with tarfile.open(mode="r|", fileobj=plain) as archive:
            for info in archive:
                member = archive.extractfile(info) if info.isreg() else None
                if member is None or info.name in seen or MANIFEST in seen:
                    raise BackupError(NO_BACKUP)
                digested = _Digested(member)
                if info.name in {HEAD, MANIFEST}:
                    last = digested.read()
                    head = ArchiveHeader.parse(last) if head is None and not seen else head
                if head is None:
                    raise BackupError(NO_BACKUP)
                if info.name not in {HEAD, MANIFEST}:
                    take(head, checked_name(info.name), digested)
                seen[info.name] = {"size": info.size, "sha256": digested.hexdigest()}
    except tarfile.TarError as error:
        raise BackupError(NO_BACKUP) from error
    while plain.read(COPY_BYTES):
        pass
    _check_manifest(seen, last)
    assert head is not None
    return head, len(seen)


def checked_name(name: str) -> str:
    """A member's name that stays inside the folder it is put into.

    Raises:
        BackupError: any other.
    """
    parts = name.split("/")
    inside = name == STORE or (name.startswith(HOME_PREFIX) and len(parts) > 1)
    if not inside or any(part in {"", ".", ".."} or part.startswith(".") for part in parts):
        raise BackupError(NO_BACKUP)
    return name


def _check_manifest(seen: dict[str, dict[str, int | str]], data: bytes) -> None:
    """The manifest names exactly what was read."""
    if not seen or next(reversed(seen)) != MANIFEST:
        raise BackupError(NO_BACKUP)
    found: Any = json.loads(data)
    if found != {"members": {name: value for name, value in seen.items() if name != MANIFEST}}:
        raise BackupError("the backup's manifest does not fit what is in it: take another copy")


def as_json(value: object) -> bytes:
    """A document of a backup."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
