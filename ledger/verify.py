"""The offline verifier of a public folder: no network, no database, nothing trusted but the policy.

Checks, in this order; the first that fails raises ``VerificationError`` with the check's name and the place:

| check | holds when |
|---|---|
| ``policy`` | the file is the pinned policy; without a pinned one, in canonical form with the rule's quorum |
| ``checkpoint`` | the note is in canonical form and carries signatures of the policy's keys only, each once |
| ``signature`` | the log's signature and every cosignature verify |
| ``quorum`` | enough witnesses cosigned |
| ``files`` | exactly the tiles, bundles and files of a log of the checkpoint's size are there |
| ``bundle`` | every entry bundle is well formed |
| ``tile`` | every tile of every level holds the hashes recomputed from the entries |
| ``root`` | the recomputed root is the checkpoint's |
| ``genesis`` | the contract takes entry 0, and it is the pinned one where a digest is given |
| ``trace`` | every side file is named by an intent that counts, and has the root it names |

Entries that do not parse or that the contract refuses are *void*: named in the result, no failure; so are
side files that are not there. Entries stream through bundle by bundle; memory holds the open tiles and the
contract's state.

A side file ``trace/<64 hex>`` holds the sorted 16-byte tags of one large intent; its name is the RFC 6962
root over them, one leaf a tag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ledger import contract
from ledger.errors import (
    LedgerError,
    NoteError,
    PolicyError,
    QuorumError,
    TileError,
    VerificationError,
)
from ledger.merkle import HASH_BYTES, RootStream, leaf_hash, root_from
from ledger.note import Note
from ledger.policy import Policy, VerifiedCheckpoint, quorum_size
from ledger.public import CHECKPOINT, POLICY, TRACE
from ledger.replay import Apply, Replay, Step
from ledger.state import MemoryState
from ledger.tiles import TILE_WIDTH, Tile, TileSource, TileWriter, decode_bundle, tiles_of

TRACE_BYTES = 16

Progress: TypeAlias = Callable[[int, int], None]
"""Told (entries done, entries in all) after each bundle."""


@dataclass(frozen=True)
class Verification:
    """A verified folder.

    Attributes:
        size: number of entries.
        root: of the tree, 32 bytes.
        voids: (index, code) of every void entry, in order.
        checkpoint: the head with the times of its cosignatures.
        policy: what it was verified under.
        time: the contract's time.
        state: the contract's state, for ``ledger.view``.
        absent: names of side files that intents name and that are not in the folder.
    """

    size: int
    root: bytes
    voids: tuple[tuple[int, str], ...]
    checkpoint: VerifiedCheckpoint
    policy: Policy
    time: str
    state: MemoryState
    absent: tuple[str, ...]


def verify_folder(
    path: Path,
    progress: Progress | None = None,
    *,
    policy: bytes | None = None,
    genesis_digest: bytes | None = None,
    apply: Apply = contract.apply,
) -> Verification:
    """Verify a whole public folder.

    Args:
        path: the folder. progress: told how far the entries are. policy: the pinned policy's bytes; None:
        the folder's own, which proves the folder consistent, not genuine. genesis_digest: SHA-256 of the
        genesis leaf, where the network is known. apply: the contract.

    Raises:
        VerificationError: the first check that fails, and where.
    """
    folder = _Folder(path)
    trusted = _check_policy(folder.read(POLICY, POLICY), policy)
    head = _check_checkpoint(folder.read(CHECKPOINT, CHECKPOINT), trusted)
    size = head.checkpoint.size
    traces = folder.check_files(size)
    replayed = _Replayed(apply, genesis_digest)
    writer = TileWriter(0, _Nothing())
    for bundle in tiles_of(size):
        if bundle.level >= 0:
            break
        leaves = _leaves(folder, bundle)
        _check_tiles(folder, writer, leaves)
        for leaf in leaves:
            replayed.step(leaf)
        if progress is not None:
            progress(writer.size, size)
    _check_open_tiles(folder, writer)
    root = root_from(size, TileSource(writer))
    if root != head.checkpoint.root:
        raise VerificationError("root", CHECKPOINT, "the entries have another root than the checkpoint says")
    absent = _check_traces(folder, traces, replayed.side_files)
    return Verification(
        size, root, tuple(replayed.voids), head, trusted, replayed.time, replayed.state, absent
    )


class _Nothing:
    """Tiles of the empty tree."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Nothing."""
        del level, index, width
        return b""


class _Folder:
    """Reads below one folder; never through a symbolic link."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str, check: str) -> bytes:
        """A file's bytes."""
        file = self._root / name
        try:
            return file.read_bytes()
        except OSError as error:
            raise VerificationError(check, name, f"cannot be read: {error.strerror}") from error

    def check_files(self, size: int) -> list[str]:
        """Compare the names that are there with those there should be; returns the side files."""
        expected = {tile.path for tile in tiles_of(size)} | {POLICY, CHECKPOINT}
        traces: list[str] = []
        for name in self._names():
            if name.startswith(f"{TRACE}/"):
                traces.append(name)
            elif name not in expected:
                raise VerificationError("files", name, "does not belong to a log of this size: remove it")
            expected.discard(name)
        if expected:
            raise VerificationError("files", min(expected), "is missing: copy the folder again")
        return sorted(traces)

    def _names(self) -> Iterator[str]:
        for file in self._root.rglob("*"):
            name = file.relative_to(self._root).as_posix()
            if file.is_symlink():
                raise VerificationError("files", name, "is a symbolic link: copy the file itself")
            if not file.is_dir():
                yield name


class _Replayed:
    """The contract's state after the entries so far, and what is void."""

    def __init__(self, apply: Apply, genesis_digest: bytes | None) -> None:
        self.state = MemoryState()
        self.voids: list[tuple[int, str]] = []
        self.side_files: set[str] = set()
        self._replay = Replay(self.state, apply)
        self._genesis = genesis_digest
        self._size = 0

    @property
    def time(self) -> str:
        """The contract's time."""
        return self._replay.time

    def step(self, leaf: bytes) -> None:
        """Take the next entry."""
        step = self._replay.step(leaf)
        if self._size == 0:
            self._check_genesis(leaf, step)
        if step.void is not None:
            self.voids.append((self._size, step.void))
        elif step.entry is not None and step.entry.type == "query.intent":
            trace = step.entry.body["certificate"]["trace"]
            if len(trace) == 1 and len(trace[0]) == 2 * HASH_BYTES:
                self.side_files.add(f"{TRACE}/{trace[0]}")
        self._size += 1

    def _check_genesis(self, leaf: bytes, step: Step) -> None:
        if self._genesis is not None and hashlib.sha256(leaf).digest() != self._genesis:
            raise VerificationError(
                "genesis", "entry 0", "is not the pinned genesis entry: another network's log"
            )
        if step.void is not None:
            raise VerificationError("genesis", "entry 0", f"is void ({step.void}): no network starts here")


def _check_policy(data: bytes, pinned: bytes | None) -> Policy:
    if pinned is not None and data != pinned:
        raise VerificationError(
            "policy", POLICY, "differs from the pinned policy: get the network's policy again"
        )
    try:
        policy = Policy.parse(data.decode("utf-8"))
    except (PolicyError, UnicodeDecodeError) as error:
        raise VerificationError("policy", POLICY, str(error)) from error
    if pinned is None and (
        policy.format().encode("utf-8") != data or policy.quorum < quorum_size(len(policy.witnesses))
    ):
        raise VerificationError("policy", POLICY, "is not in canonical form with the quorum the rule wants")
    return policy


def _check_checkpoint(data: bytes, policy: Policy) -> VerifiedCheckpoint:
    try:
        note = Note.parse(data)
    except NoteError as error:
        raise VerificationError("checkpoint", CHECKPOINT, str(error)) from error
    keys = (policy.log, *(witness.key for witness in policy.listed))
    strangers = [line for line in note.signatures if not any(line.by(key) for key in keys)]
    if (
        strangers
        or len({line.name for line in note.signatures}) != len(note.signatures)
        or note.format() != data
    ):
        raise VerificationError(
            "checkpoint", CHECKPOINT, "carries signatures other than one each of the policy's keys"
        )
    try:
        return policy.verify_checkpoint(data)
    except QuorumError as error:
        raise VerificationError("quorum", CHECKPOINT, str(error)) from error
    except NoteError as error:
        raise VerificationError("signature", CHECKPOINT, str(error)) from error


def _leaves(folder: _Folder, bundle: Tile) -> list[bytes]:
    try:
        return decode_bundle(folder.read(bundle.path, "bundle"), bundle.width)
    except TileError as error:
        raise VerificationError("bundle", bundle.path, str(error)) from error


def _check_tiles(folder: _Folder, writer: TileWriter, leaves: list[bytes]) -> None:
    """Add a bundle's leaves and compare the tiles that are full now."""
    for leaf in leaves:
        writer.append(leaf_hash(leaf))
    for (level, index), hashes in writer.take_changed().items():
        if len(hashes) == TILE_WIDTH * HASH_BYTES:
            _compare(folder, Tile(level, index, TILE_WIDTH), hashes)


def _check_open_tiles(folder: _Folder, writer: TileWriter) -> None:
    for (level, index), hashes in writer.take_changed().items():
        _compare(folder, Tile(level, index, len(hashes) // HASH_BYTES), hashes)


def _compare(folder: _Folder, tile: Tile, hashes: bytes) -> None:
    if folder.read(tile.path, "tile") != hashes:
        raise VerificationError("tile", tile.path, "does not hold the hashes of the entries below it")


def _check_traces(folder: _Folder, names: list[str], expected: set[str]) -> tuple[str, ...]:
    """Check the side files that are there; returns the names of those that are not."""
    for name in names:
        if name not in expected:
            raise VerificationError("trace", name, "is named by no intent: remove it")
        data = folder.read(name, "trace")
        tags = [data[place : place + TRACE_BYTES] for place in range(0, len(data), TRACE_BYTES)]
        if tags != sorted(tags) or f"{TRACE}/{trace_root(tags).hex()}" != name:
            raise VerificationError("trace", name, "is not the sorted list of tags whose root is its name")
    return tuple(sorted(expected.difference(names)))


def trace_root(tags: Sequence[bytes]) -> bytes:
    """RFC 6962 root over an intent's tags, one leaf a tag: what a large intent and its side file name."""
    tree = RootStream()
    for tag in tags:
        tree.append(leaf_hash(tag))
    return tree.root()


def failure(error: LedgerError) -> tuple[str, str, str]:
    """(check, place, reason) of any error of this package, for reports."""
    if isinstance(error, VerificationError):
        return error.check, error.place, error.reason
    return error.code, "", str(error)
