"""A member's home folder: where each thing lies, and the one way files are written.

    HOME/node.toml                               configuration
    HOME/network.json                            genesis digest, trust policy, first address
    HOME/card.json                               the member's public card
    HOME/keys/                                   secrets, encrypted at rest
    HOME/node.db                                 the member's database (embedded default)
    HOME/store.json                              that there has been a database (``node.store.opening``)
    HOME/publications/<dataset>/<publication>/   own and downloaded published sets
    HOME/ledger/                                 sequencer: the public log
    HOME/openings/<case>.json                    office: what opens a report, for the person and a court
    HOME/evidence/                               two histories under the log's key, as far as any was shown
    HOME/node.log                                what the node says while it runs

Files are replaced atomically: written beside, synced, renamed.
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
        """node.toml."""
        return self.root / "node.toml"

    @property
    def network(self) -> Path:
        """network.json."""
        return self.root / "network.json"

    @property
    def card(self) -> Path:
        """The public card other members see before the ledger knows the member."""
        return self.root / "card.json"

    @property
    def store(self) -> Path:
        """Says that this node has had a database."""
        return self.root / "store.json"

    @property
    def keys(self) -> Path:
        """Secrets, encrypted at rest."""
        return self.root / "keys"

    @property
    def public_log(self) -> Path:
        """The public log's files, at the sequencer."""
        return self.root / "ledger"

    @property
    def openings(self) -> Path:
        """Openings of reports, at the office."""
        return self.root / "openings"

    @property
    def evidence(self) -> Path:
        """Notes that show two histories under the log's key."""
        return self.root / "evidence"

    def publication(self, dataset: str, publication: str) -> Path:
        """Folder of one published set."""
        return self.root / "publications" / dataset / publication

    def keep_private(self) -> None:
        """Let nobody else read what this process writes here, nor what earlier ones have written.

        The registrar's database names people in clear. The public log's files say for themselves who may read
        them (``ledger.sequencer.public_folder``), and the home itself can be passed through on the way to
        them.
        """
        os.umask(PRIVATE)
        for path in (*self.root.glob("*.db*"), *(self.root / name for name in PRIVATE_FOLDERS)):
            if path.exists():
                path.chmod(S_IMODE(path.stat().st_mode) & ~PRIVATE)

    def require(self) -> Home:
        """The home itself.

        Raises:
            ConfigurationError: the folder holds no node.
        """
        if not self.configuration.is_file():
            raise ConfigurationError(
                f"{self.root} holds no node: create one with `hedui node init {self.root}`"
            )
        return self


def read_document(path: Path, needed: str, otherwise: str) -> dict[str, Any]:
    """A JSON object that people hand around: a card, a ceremony's file.

    Args:
        path: the file.
        needed: a field it must have.
        otherwise: what to say, with the remedy, where it is something else.

    Raises:
        ConfigurationError: missing, no JSON, no object, or without the field.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} {otherwise}") from error
    if not isinstance(value, dict) or needed not in value:
        raise ConfigurationError(f"{path} {otherwise}")
    return value


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file that may be anything, at most one more than ``limit``.

    Whoever reads them refuses what is longer than ``limit`` like anything else that is not as it should be; a
    device that never ends fills no memory.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def require_absent(path: Path, remedy: str = "give another name, or move it away first") -> None:
    """What a command is to write is not there yet: asked before any work, so that nothing is replaced.

    Args:
        path: the file to write. remedy: what to do where it is there.

    Raises:
        UsageError: it is there already, be it a file, a folder or a link.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already: {remedy}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the block that name no file, as those of a full disk, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` atomically and durably.

    Args:
        path: target; its folder is created.
        data: the whole content.
        mode: permission bits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as file:
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
