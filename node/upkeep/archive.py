"""Format of a backup file: a tar archive in a sealed file, with a header first and digests last.

    backup.json               format, id, member, roles, network, genesis, moment, ledger size, revision
    database/store.jsonl      the member's database, unless it is a SQLite file of the home
    home/…                    files of the home
    manifest.json             size and SHA-256 of every member before it

Names, order and kinds of members are fixed; anything else is refused. The file is written and read as a
stream in bounded memory. Its contents must not be used before ``read_archive`` has returned, since the end of
the file is verified last. Encryption: ``keys.sealedfile``.
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
NO_BACKUP = "the file is not a backup in the format of this version: look for the right file"


@dataclass(frozen=True)
class ArchiveHeader:
    """Header of a backup.

    Attributes:
        id: random, 32 hex characters.
        member, roles: the member whose node it is, and its roles.
        network, genesis: the network's name and the digest of its first entry; empty before joining.
        moment: seconds since 1970 when the databases were copied, by the node's clock.
        size: number of ledger entries that the node had replayed.
        revision: schema revision of the member's database.
        store: whether the database is in ``database/store.jsonl``.
        program: version of hedui.
        format: version of the archive's format.
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
    """Writes bytes to a sealed file until it is told to drop them."""

    def __init__(self, sealed: SealedWriter) -> None:
        self._sealed = sealed
        self.is_dropping = False

    def write(self, data: bytes) -> int:
        """Write, or drop."""
        return len(data) if self.is_dropping else self._sealed.write(data)


class ArchiveWriter:
    """Writes one backup; ``finish`` adds the manifest and the end, without which it does not open.

    A context manager. When a tar file is closed it writes its buffer, even if the disk is full. So the buffer
    is dropped at the end of the block, unless ``finish`` has written it.
    """

    def __init__(self, sealed: SealedWriter, head: ArchiveHeader) -> None:
        """Write ``backup.json``."""
        self._onward = _Onward(sealed)
        self._tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115  write() is all it calls; __exit__ closes
            mode="w|", fileobj=self._onward, format=tarfile.PAX_FORMAT
        )
        self._moment = head.moment
        self.members: dict[str, dict[str, int | str]] = {}
        self.add_bytes(HEAD, as_json(asdict(head)))

    def __enter__(self) -> ArchiveWriter:
        """Begin a block in which members are added."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close without writing anything more."""
        self._onward.is_dropping = True
        self._tar.close()

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a member with these bytes."""
        self._add(name, io.BytesIO(data), len(data))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file as it is when it is opened; one that is deleted before that is left out."""
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
        """Add a member and record its digest; owner and times are not kept."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, self._moment
        digested = _Digested(file)
        self._tar.addfile(info, digested)
        self.members[name] = {"size": size, "sha256": digested.hexdigest()}


class Readable(Protocol):
    """A stream that a member is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, all for -1; empty at the end."""
        ...


class _Digested:
    """A stream that computes the SHA-256 of what is read from it."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Read and digest."""
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Digest of everything read so far."""
        return self._digest.hexdigest()


OnMember = Callable[[ArchiveHeader, str, Readable], None]
"""Called with the header, a member's name, and a stream that it must read to its end."""


def read_archive(file: BinaryIO, passphrase: bytes, on_member: OnMember) -> tuple[ArchiveHeader, int]:
    """Read a whole backup and pass each of its members on; none may be used before this returns.

    Returns:
        The header, and the number of members including header and manifest.

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
                    on_member(head, checked_name(info.name), digested)
                seen[info.name] = {"size": info.size, "sha256": digested.hexdigest()}
    except tarfile.TarError as error:
        raise BackupError(NO_BACKUP) from error
    while plain.read(COPY_BYTES):
        pass
    _check_manifest(seen, last)
    assert head is not None
    return head, len(seen)


def checked_name(name: str) -> str:
    """Check that a member's name stays inside the folder that it is extracted to.

    Raises:
        BackupError: it does not.
    """
    parts = name.split("/")
    inside = name == STORE or (name.startswith(HOME_PREFIX) and len(parts) > 1)
    if not inside or any(part in {"", ".", ".."} or part.startswith(".") for part in parts):
        raise BackupError(NO_BACKUP)
    return name


def _check_manifest(seen: dict[str, dict[str, int | str]], data: bytes) -> None:
    """Check that the manifest lists exactly the members that were read."""
    if not seen or next(reversed(seen)) != MANIFEST:
        raise BackupError(NO_BACKUP)
    found: Any = json.loads(data)
    if found != {"members": {name: value for name, value in seen.items() if name != MANIFEST}}:
        raise BackupError("the backup's manifest does not match its contents: take another copy")


def as_json(value: object) -> bytes:
    """JSON text of a document in a backup."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
