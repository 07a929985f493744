"""A member's home folder: the paths of its files, and how files are read and written.

    HOME/node.toml                               configuration
    HOME/network.json                            genesis digest, trust policy, first address
    HOME/card.json                               the member's public card
    HOME/keys/                                   secrets, encrypted at rest
    HOME/node.db                                 the member's database (embedded default)
    HOME/store.json                              records that a database existed (``node.store.opening``)
    HOME/publications/<dataset>/<publication>/   published sets, own and downloaded
    HOME/ledger/                                 sequencer: the public log
    HOME/openings/<case>.json                    office: openings of a report, for the person and a court
    HOME/evidence/                               checkpoints that prove two histories under the log's key
    HOME/node.log                                log messages of the node, where a program starts it

Files are replaced atomically: a temporary file is written beside the old one, synced and renamed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from node.errors import ConfigurationError, UsageError

PRIVATE = 0o077
PRIVATE_FOLDERS = ("evidence", "keys", "openings", "publications")


@dataclass(frozen=True)
class Home:
    """Paths of one member's home."""

    root: Path

    @property
    def configuration(self) -> Path:
        """The configuration, node.toml."""
        return self.root / "node.toml"

    @property
    def network(self) -> Path:
        """The network file, network.json."""
        return self.root / "network.json"

    @property
    def card(self) -> Path:
        """The public card, which other members get before the member is on the ledger."""
        return self.root / "card.json"

    @property
    def store(self) -> Path:
        """The file that records that this node has had a database."""
        return self.root / "store.json"

    @property
    def keys(self) -> Path:
        """Secrets, encrypted at rest."""
        return self.root / "keys"

    @property
    def public_log(self) -> Path:
        """The public log's folder, at the sequencer."""
        return self.root / "ledger"

    @property
    def openings(self) -> Path:
        """Openings of reports, at the office."""
        return self.root / "openings"

    @property
    def evidence(self) -> Path:
        """Checkpoints that prove two histories under the log's key."""
        return self.root / "evidence"

    def publication(self, dataset: str, publication: str) -> Path:
        """Folder of one published set."""
        return self.root / "publications" / dataset / publication

    def keep_private(self) -> None:
        """Restrict the files that this process writes, and those of earlier ones, to their owner.

        The registrar's database contains people's names in plain text. Files of the public log have their own
        permissions (``ledger.sequencer.public_folder``), and the home itself stays accessible as the way to
        them.
        """
        os.umask(PRIVATE)
        for path in (*self.root.glob("*.db*"), *(self.root / name for name in PRIVATE_FOLDERS)):
            if path.exists():
                path.chmod(S_IMODE(path.stat().st_mode) & ~PRIVATE)

    def require(self) -> Home:
        """Check that the folder is a node's home, and return this object.

        Raises:
            ConfigurationError: the folder holds no node.
        """
        if not self.configuration.is_file():
            raise ConfigurationError(
                f"{self.root} holds no node: create one with `hedui node init {self.root}`"
            )
        return self


def read_document(path: Path, needed: str, otherwise: str) -> dict[str, Any]:
    """Read a JSON object that people pass to each other, such as a card or a ceremony's file.

    Args:
        path: the file.
        needed: a field that it must have.
        otherwise: message with the remedy if the file is something else.

    Raises:
        ConfigurationError: the file is missing, not a JSON object, or lacks the field.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} {otherwise}") from error
    if not isinstance(value, dict) or needed not in value:
        raise ConfigurationError(f"{path} {otherwise}")
    return value


def read_bounded(path: Path, limit: int) -> bytes:
    """Read an untrusted file up to one byte more than ``limit``.

    The caller refuses data that is longer than ``limit``. An endless device, such as ``/dev/zero``, does not
    fill the memory.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def require_absent(path: Path, remedy: str = "give another name, or move it away first") -> None:
    """Check that a command's output does not exist yet, before any work, so that nothing is replaced.

    Args:
        path: the file to write.
        remedy: what to do if it exists.

    Raises:
        UsageError: it exists already, as a file, a folder or a link.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already: {remedy}")


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Add ``path`` to errors of the block that name no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` atomically and durably, replacing an existing file.

    Args:
        path: the file; its folder is created if it is missing.
        data: the whole content.
        mode: permission bits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with naming_file(path), os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
