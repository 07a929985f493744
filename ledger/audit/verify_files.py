"""The verifier's checks of files: policy, checkpoint, which tiles exist, and what they hold.

A log may grow while it is verified. Then the checkpoint and the partial tiles change, never the full tiles.
So the files are listed first and the checkpoint is read next; if the tiles were ahead of it, it is read
again for half a second. The partial tiles of its size are read directly after it. If those are gone
already, all of this is repeated, a bounded number of times. A superseded partial tile may exist or not; if
it exists, its content is compared.

A side file ``trace/<64 hex>`` holds the sorted 16-byte tags of one large intent; its name is the RFC 6962
root over them, one leaf for each tag.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from ledger.audit.source import (
    ATTEMPTS,
    MAX_POLICY_BYTES,
    MAX_TRACE_BYTES,
    NOTE_LIMIT,
    LogSource,
    read_bundle,
    read_tile,
    tile_limit,
)
from ledger.audit.stamps import Stamps
from ledger.errors import NoteError, PolicyError, QuorumError, TileError, TileMissingError, VerificationError
from ledger.formats.note import Note
from ledger.formats.policy import Policy, VerifiedCheckpoint, quorum_size
from ledger.formats.tiles import (
    CHECKPOINT,
    POLICY,
    TILE_WIDTH,
    TIMESTAMPS,
    TRACE,
    Tile,
    TileWriter,
    encode_bundle,
    partial_tiles,
)
from ledger.merkle import HASH_BYTES, RootStream, leaf_hash

MISSING = "is missing: copy the log again"
FOREIGN = "does not belong to a log of this size: remove it"
TRACE_BYTES = 16
PAUSE, PAUSES = 0.02, 25
"""Seconds between two reads of a checkpoint that lags behind the tiles, and how many reads."""
AGAIN = "get the folder again from the member that publishes it, or from another mirror"
"""The remedy for a copy that was changed."""


class _TilesAheadError(VerificationError):
    """The folder has tiles beyond its checkpoint: a log is writing there, or was killed while it did."""


class LogFiles:
    """The files of one log at one checkpoint.

    Attributes:
        policy: what the log is verified under.
        head: the checkpoint with the times of its cosignatures.
        stamps: time-stamped checkpoints that lie beside the tiles.
    """

    def __init__(self, source: LogSource, policy: Policy, note: bytes, names: Sequence[str]) -> None:
        """Check checkpoint and files.

        Args:
            source: where they are read from.
            policy: what the log is verified under.
            note: the checkpoint.
            names: every file that existed before the checkpoint was read; none if files cannot be listed.

        Raises:
            VerificationError: ``checkpoint``, ``signature``, ``quorum`` or ``files``.
        """
        self._source = source
        self.stamps = Stamps(source)
        self._traces: list[str] = []
        self._superseded: defaultdict[tuple[int, int], list[Tile]] = defaultdict(list)
        self.policy = policy
        self.head = check_checkpoint(note, policy)
        for name in names:
            self._check_name(name, self.head.checkpoint.size)
        self._partial = {tile: self._read(tile) for tile in partial_tiles(self.head.checkpoint.size)}

    def leaves(self, bundle: Tile) -> list[bytes]:
        """Leaves of a bundle of the checkpoint's tree; superseded bundles of its place are compared.

        Raises:
            VerificationError: ``files`` or ``bundle``.
        """
        kept = self._partial.get(bundle)
        leaves = self._bundle(bundle) if kept is None else kept
        for tile in self._superseded.pop((-1, bundle.index), ()):
            self._compare(tile, encode_bundle(leaves[: tile.width]), "bundle")
        return leaves

    def compare(self, writer: TileWriter, *, is_last: bool) -> None:
        """Compare the tiles that have become full, and at the end the partial ones.

        Raises:
            VerificationError: ``files`` or ``tile``.
        """
        for (level, index), hashes in writer.take_changed().items():
            tile = Tile(level, index, len(hashes) // HASH_BYTES)
            if tile.width < TILE_WIDTH and not is_last:
                continue
            kept = self._partial.get(tile)
            if kept is not None and b"".join(kept) != hashes:
                raise _differs(tile, "tile", b"".join(kept), hashes)
            if kept is None:
                self._compare(tile, hashes, "tile", needed=True)
            for older in self._superseded.pop((level, index), ()):
                self._compare(older, hashes[: older.width * HASH_BYTES], "tile")

    def check_traces(self, expected: Set[str]) -> tuple[str, ...]:
        """Check the side files that exist; returns the names of those that do not.

        Raises:
            VerificationError: ``trace``.
        """
        for name in self._traces:
            if name not in expected:
                raise VerificationError("trace", name, "is named by no intent: remove it")
        absent: list[str] = []
        for name in sorted(expected):
            try:
                data = self._source.fetch(name, MAX_TRACE_BYTES)
            except TileMissingError:
                absent.append(name)
                continue
            except TileError as error:
                raise VerificationError("trace", name, str(error)) from error
            check_trace(name, data)
        return tuple(absent)

    def _check_name(self, name: str, size: int) -> None:
        """Record side files and superseded partial tiles; refuse files that no log of this size has."""
        if name.startswith(f"{TRACE}/"):
            self._traces.append(name)
        elif name.startswith(f"{TIMESTAMPS}/"):
            self.stamps.take(name)
        elif name not in (POLICY, CHECKPOINT):
            try:
                tile = Tile.parse(name)
            except TileError:
                raise VerificationError("files", name, FOREIGN) from None
            after = tile.after(size)
            if after < 0:
                raise _TilesAheadError("files", name, FOREIGN)
            if after and tile.width < TILE_WIDTH:
                self._superseded[tile.level, tile.index].append(tile)

    def _read(self, tile: Tile) -> list[bytes]:
        """A partial tile of the checkpoint's size as a list of one piece, or the leaves of a bundle."""
        if tile.level < 0:
            return self._bundle(tile)
        try:
            return [read_tile(self._source, tile)]
        except TileMissingError as error:
            raise VerificationError("files", tile.path, MISSING) from error
        except TileError as error:
            raise VerificationError("tile", tile.path, str(error)) from error

    def _bundle(self, bundle: Tile) -> list[bytes]:
        try:
            return read_bundle(self._source, bundle)
        except TileMissingError as error:
            raise VerificationError("files", bundle.path, MISSING) from error
        except TileError as error:
            raise VerificationError("bundle", bundle.path, str(error)) from error

    def _compare(self, tile: Tile, wanted: bytes, check: str, *, needed: bool = False) -> None:
        try:
            found = self._source.fetch(tile.path, tile_limit(tile))
        except TileMissingError as error:
            if needed:
                raise VerificationError("files", tile.path, MISSING) from error
            return
        except TileError as error:
            raise VerificationError(check, tile.path, str(error)) from error
        if found != wanted:
            raise _differs(tile, check, found, wanted)


def read_files(source: LogSource, pinned: bytes | None) -> LogFiles:
    """The files of a log at its checkpoint, or at a newer one if the log has grown meanwhile.

    Raises:
        VerificationError: ``policy``, ``checkpoint``, ``signature``, ``quorum`` or ``files``.
        LogUnavailableError: the source is out of reach.
    """
    policy = check_policy(_fetch(source, POLICY, MAX_POLICY_BYTES), pinned)
    attempts = ATTEMPTS
    while True:
        names = list(source.names() or ())
        note = _fetch(source, CHECKPOINT, NOTE_LIMIT)
        try:
            return _read_settled(source, policy, note, names)
        except VerificationError:
            attempts -= 1
            if not attempts or _fetch(source, CHECKPOINT, NOTE_LIMIT) == note:
                raise


def _read_settled(source: LogSource, policy: Policy, note: bytes, names: Sequence[str]) -> LogFiles:
    """The files under a checkpoint that covers the tiles listed; waits a little for it if it lags behind."""
    for _ in range(PAUSES):
        try:
            return LogFiles(source, policy, note, names)
        except _TilesAheadError:
            time.sleep(PAUSE)
            note = _fetch(source, CHECKPOINT, NOTE_LIMIT)
    return LogFiles(source, policy, note, names)


def check_policy(data: bytes, pinned: bytes | None) -> Policy:
    """The policy to verify under: the pinned one, which the file must equal, or the file's own.

    Raises:
        VerificationError: ``policy``.
    """
    try:
        policy = Policy.parse(data.decode("utf-8"))
    except (PolicyError, UnicodeDecodeError) as error:
        raise VerificationError("policy", POLICY, f"is not a trust policy: {error}") from error
    if pinned is not None and data != pinned:
        own, wanted = (hashlib.sha256(text).hexdigest() for text in (data, pinned))
        raise VerificationError(
            "policy",
            POLICY,
            f"differs from the pinned policy: its fingerprint is {own}, the pinned one's {wanted}: compare "
            "both with the network's on paper",
        )
    if pinned is None and (
        policy.format().encode("utf-8") != data or policy.quorum < quorum_size(len(policy.witnesses))
    ):
        raise VerificationError(
            "policy", POLICY, "is not in canonical form with the quorum that the rule requires"
        )
    return policy


def check_checkpoint(data: bytes, policy: Policy) -> VerifiedCheckpoint:
    """The verified checkpoint in a published note.

    Raises:
        VerificationError: ``checkpoint``, ``signature`` or ``quorum``.
    """
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
            "checkpoint", CHECKPOINT, "carries signatures other than one of each of the policy's keys"
        )
    try:
        return policy.verify_checkpoint(data)
    except QuorumError as error:
        raise VerificationError("quorum", CHECKPOINT, str(error)) from error
    except NoteError as error:
        raise VerificationError("signature", CHECKPOINT, str(error)) from error


def check_trace(name: str, data: bytes) -> None:
    """Check a side file's content against its name.

    Raises:
        VerificationError: ``trace``.
    """
    tags = list(_tags(data))
    if tags != sorted(tags) or f"{TRACE}/{trace_root(tags).hex()}" != name:
        raise VerificationError("trace", name, "is not the sorted list of tags whose root is its name")


def trace_root(tags: Sequence[bytes]) -> bytes:
    """RFC 6962 root over an intent's tags, one leaf for each: a large intent and its side file name it."""
    tree = RootStream()
    for tag in tags:
        tree.append(leaf_hash(tag))
    return tree.root()


def _tags(data: bytes) -> Iterator[bytes]:
    for place in range(0, len(data), TRACE_BYTES):
        yield data[place : place + TRACE_BYTES]


def _fetch(source: LogSource, name: str, limit: int) -> bytes:
    try:
        return source.fetch(name, limit)
    except TileError as error:
        raise VerificationError(name, name, str(error)) from error


def _differs(tile: Tile, check: str, found: bytes, wanted: bytes) -> VerificationError:
    """The error for a file that differs from what the entries give; names entries if a tile shows them."""
    changed = [
        tile.index * TILE_WIDTH + place // HASH_BYTES
        for place in range(0, min(len(found), len(wanted)), HASH_BYTES)
        if found[place : place + HASH_BYTES] != wanted[place : place + HASH_BYTES]
    ]
    if tile.level == 0 and changed:
        more = "" if len(changed) == 1 else f" and {len(changed) - 1} more"
        bundle = Tile(-1, tile.index, tile.width).path
        reason = f"entry {changed[0]}{more} in {bundle} does not have the hash that stands here"
    elif tile.level < 0:
        reason = "does not hold the entries of the newer bundle of its place"
    else:
        reason = "does not hold the hashes of the entries below it"
    return VerificationError(check, tile.path, f"{reason}: {AGAIN}")
