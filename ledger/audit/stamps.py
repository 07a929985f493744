"""Time-stamped checkpoints beside the public files: where they lie, how they are requested and checked.

    timestamps/<size>-<root in hex>.note     the checkpoint's note as it was stamped
    timestamps/<size>-<root in hex>.tsr      the authority's answer (RFC 3161, DER)

A checkpoint is stamped once; a second request checks the stamp that exists. The note is kept beside its
token, since the log's own checkpoint moves on and gets other cosignatures. The note is written before the
token, each by a rename from a folder beside the public one: a note without a token is a stamp that was not
finished, and harmless.

The verifier requires that each note is signed by the log and that its root is the one recomputed at its size.
A stamped checkpoint that this log no longer extends is therefore reported: it is a fork, with its proof in
time. Cosignatures were verified when the note was stamped. They are not counted again, since a network's
witnesses change.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.source import NOTE_LIMIT, FolderSource, LogSource
from ledger.errors import LedgerError, TileError, TimestampError, VerificationError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.policy import Policy
from ledger.formats.tiles import CHECKPOINT, FILE_MODE, TIMESTAMPS, make_public_folder
from ledger.formats.timestamp import (
    MAX_TOKEN_BYTES,
    Post,
    TimestampAuthority,
    Token,
    parse_token,
    read_token,
    stamp,
)

NOTE, TOKEN = ".note", ".tsr"
_NAME = re.compile(rf"{TIMESTAMPS}/(0|[1-9][0-9]{{0,18}})-([0-9a-f]{{64}})(\.note|\.tsr)")


@dataclass(frozen=True)
class Stamp:
    """One time-stamped checkpoint.

    Attributes:
        size: of the stamped tree.
        root: its root, 32 bytes.
        time: second since 1970 of the authority's clock; None without a token.
        policy: OID of the authority's policy; empty without a token.
        is_verified: whether the token was verified to a root that the reader trusts.
    """

    size: int
    root: bytes
    time: int | None
    policy: str
    is_verified: bool


@dataclass(frozen=True)
class Stamped:
    """The result of ``stamp_folder``.

    Attributes:
        token: of the folder's checkpoint.
        is_new: whether it was requested now; else it existed already.
    """

    token: Token
    is_new: bool


class Stamps:
    """The stamps of one folder while it is verified.

    Attributes:
        sizes: sizes at which the recomputed root is wanted, see ``reached``.
    """

    def __init__(self, source: LogSource) -> None:
        """Args: ``source`` holds the files."""
        self._source = source
        self._names: set[str] = set()
        self._roots: dict[int, bytes] = {}
        self.sizes: set[int] = set()

    def take(self, name: str) -> None:
        """Record a file below ``timestamps/``.

        Raises:
            VerificationError: ``files``: it has no stamp's name.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise VerificationError("files", name, "is no time-stamp's name: remove it")
        self._names.add(name)
        self.sizes.add(int(found[1]))

    def reached(self, size: int, root: bytes) -> None:
        """Take the recomputed root at a size."""
        self._roots[size] = root

    def check(self, policy: Policy, authority: TimestampAuthority | None) -> tuple[Stamp, ...]:
        """Check every stamp, by size.

        Raises:
            VerificationError: ``timestamp``.
        """
        stems = {name.rpartition(".")[0] for name in self._names}
        return tuple(
            sorted((self._check_one(stem, policy, authority) for stem in stems), key=lambda one: one.size)
        )

    def _check_one(self, stem: str, policy: Policy, authority: TimestampAuthority | None) -> Stamp:
        note = self._read(stem + NOTE, NOTE_LIMIT)
        try:
            head = stamped_head(note, stem, policy)
        except LedgerError as error:
            raise VerificationError("timestamp", stem + NOTE, str(error)) from error
        if self._roots.get(head.size) != head.root:
            raise VerificationError(
                "timestamp",
                stem + NOTE,
                "was signed and stamped, and this log is not its continuation",
            )
        if stem + TOKEN not in self._names:
            return Stamp(head.size, head.root, None, "", is_verified=False)
        data = self._read(stem + TOKEN, MAX_TOKEN_BYTES)
        try:
            token = read_token(data, note, authority)
        except TimestampError as error:
            raise VerificationError("timestamp", stem + TOKEN, str(error)) from error
        return Stamp(head.size, head.root, token.time, token.policy, is_verified=authority is not None)

    def _read(self, name: str, limit: int) -> bytes:
        try:
            return self._source.fetch(name, limit)
        except TileError as error:
            raise VerificationError("timestamp", name, str(error)) from error


def stem_of(size: int, root: bytes) -> str:
    """Name of a stamp below the public folder, without its suffix."""
    return f"{TIMESTAMPS}/{size}-{root.hex()}"


def stamped_head(note: bytes, stem: str, policy: Policy) -> Checkpoint:
    """The checkpoint of a stamp's note.

    Raises:
        NoteError: the policy's log has not signed it.
        TimestampError: it is another one than the stamp is named after.
    """
    _, head = policy.verify_log(note)
    if stem_of(head.size, head.root) != stem:
        raise TimestampError("is not the checkpoint its name says")
    return head


def stamp_folder(
    root: Path, policy: Policy, post: Post, authority: TimestampAuthority | None, now: int
) -> Stamped | None:
    """Stamp the current checkpoint of a public folder.

    Args:
        root: the folder.
        policy: names the log's key and its witnesses.
        post: sends the request to the authority.
        authority: under whose certificates the answer is verified; None: only its structure and nonce are.
        now: second since 1970.

    Returns:
        The token, new or from before; None where the log is empty.

    Raises:
        NoteError, QuorumError: the checkpoint does not hold.
        TimestampError: the answer does not hold, or the stamp that this head has already does not.
        LogUnavailableError: the authority is out of reach.
        TileError: there is no checkpoint.
    """
    try:
        note = (root / CHECKPOINT).read_bytes()
    except OSError as error:
        raise TileError(f"{root} has no checkpoint to stamp: {error.strerror}") from error
    head = policy.verify_checkpoint(note).checkpoint
    stem = stem_of(head.size, head.root)
    if head.size == 0:
        return None
    if (root / f"{stem}{TOKEN}").exists():
        return Stamped(_kept(root, stem, policy, authority), is_new=False)
    token = stamp(note, post, authority, now)
    _put(root, stem + NOTE, note)
    _put(root, stem + TOKEN, token.data)
    return Stamped(token, is_new=True)


def _kept(root: Path, stem: str, policy: Policy, authority: TimestampAuthority | None) -> Token:
    """The token that exists already, verified for this checkpoint under the authority's certificates."""
    source = FolderSource(root)
    try:
        note, data = source.fetch(stem + NOTE, NOTE_LIMIT), source.fetch(stem + TOKEN, MAX_TOKEN_BYTES)
        stamped_head(note, stem, policy)
        return read_token(data, note, authority)
    except LedgerError as error:
        raise TimestampError(
            f"{stem}{TOKEN} exists already and does not hold: {error}. Move {stem}.* away to stamp this "
            "checkpoint again"
        ) from error


def _put(root: Path, name: str, data: bytes) -> None:
    """Write a file to the disk, then rename it into place."""
    beside = root.with_name(f".{root.name}.stamps")
    beside.mkdir(exist_ok=True)
    part = beside / secrets.token_hex(8)
    with part.open("wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    target = root / name
    make_public_folder(target.parent)
    part.replace(target)
    with contextlib.suppress(OSError):
        beside.rmdir()


@dataclass(frozen=True)
class SourceStamp:
    """A stamp that a source has and the mirror lacks.

    Attributes:
        stem: name without suffix.
        size, root: of the stamped tree.
        note: the stamped checkpoint.
        token: the authority's answer.
    """

    stem: str
    size: int
    root: bytes
    note: bytes
    token: bytes

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of note and token, in the order in which they are kept."""
        yield self.stem + NOTE, self.note
        yield self.stem + TOKEN, self.token


def new_stamps(source: LogSource, has: Callable[[str], bool]) -> list[str]:
    """Stems of the finished stamps that a source lists and ``has`` does not know, sorted.

    Raises:
        VerificationError: the source is a folder with a symbolic link.
    """
    return sorted(
        name.removesuffix(TOKEN)
        for name in source.names() or ()
        if name.startswith(f"{TIMESTAMPS}/") and name.endswith(TOKEN) and not has(name)
    )


def read_stamp(source: LogSource, policy: Policy, stem: str) -> SourceStamp | None:
    """A stamp of a source; None if it is incomplete.

    Raises:
        LogUnavailableError: the source is out of reach.
    """
    try:
        note, token = source.fetch(stem + NOTE, NOTE_LIMIT), source.fetch(stem + TOKEN, MAX_TOKEN_BYTES)
    except TileError:
        return None
    try:
        head = stamped_head(note, stem, policy)
        parse_token(token, note)
    except LedgerError:
        return None
    return SourceStamp(stem, head.size, head.root, note, token)
