"""The verifier's checks of files: policy, checkpoint, which tiles are there, and what they hold.

A log under verification may be growing. What changes then is the checkpoint and the partial tiles. So the
files are listed first, the checkpoint is read next, again for half a second where the tiles were ahead of
it, and the partial tiles of its size at once after it; where those had gone already, all of this is done
again, a bounded number of times. Full tiles never change. A superseded partial tile may be there or not; the
content of one that is there is compared.

A side file ``trace/<64 hex>`` holds the sorted 16-byte tags of one large intent; its name is the RFC 6962
root over them, one leaf a tag.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from ledger.audit.reading import ATTEMPTS, read_bundle, read_tile
from ledger.audit.source import MAX_POLICY_BYTES, MAX_TRACE_BYTES, NOTE_LIMIT, LogSource, tile_limit
from ledger.audit.stamps import Stamps
from ledger.errors import NoteError, PolicyError, QuorumError, TileError, TileMissingError, VerificationError
from ledger.formats.layout import CHECKPOINT, POLICY, TIMESTAMPS, TRACE
from ledger.formats.note import Note
from ledger.formats.policy import Policy, VerifiedCheckpoint, quorum_size
from ledger.formats.tiles import TILE_WIDTH, Tile, TileWriter, encode_bundle, partial_tiles
from ledger.merkle import HASH_BYTES, RootStream, leaf_hash

MISSING = "is missing: copy the log again"
STRANGER = "does not belong to a log of this size: remove it"
TRACE_BYTES = 16
PAUSE, PAUSES = 0.02, 25
"""Seconds between two looks at a checkpoint that lags behind the tiles, and how many looks."""


class _TilesAheadError(VerificationError):
    """The folder has tiles beyond its checkpoint: a log is at work there, or was killed at it."""


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
            source: where they are. policy: verified under. note: the checkpoint. names: every file that was
            there before the checkpoint was read, none where they cannot be listed.

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
        """Leaves of a bundle of the checkpoint's tree; superseded ones of its place are compared.

        Raises:
            VerificationError: ``files`` or ``bundle``.
        """
        kept = self._partial.get(bundle)
        leaves = self._bundle(bundle) if kept is None else kept
        for tile in self._superseded.pop((-1, bundle.index), ()):
            self._compare(tile, encode_bundle(leaves[: tile.width]), "bundle")
        return leaves

    def compare(self, writer: TileWriter, *, is_last: bool) -> None:
        """Compare the tiles that have become full, and at the end the others.

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
        """Check the side files that are there; returns the names of those that are not.

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
        """Take down side files and smaller partial tiles; refuse what is no file of a log of this size."""
        if name.startswith(f"{TRACE}/"):
            self._traces.append(name)
        elif name.startswith(f"{TIMESTAMPS}/"):
            self.stamps.take(name)
        elif name not in (POLICY, CHECKPOINT):
            try:
                tile = Tile.parse(name)
            except TileError:
                raise VerificationError("files", name, STRANGER) from None
            after = tile.after(size)
            if after < 0:
                raise _TilesAheadError("files", name, STRANGER)
            if after and tile.width < TILE_WIDTH:
                self._superseded[tile.level, tile.index].append(tile)

    def _read(self, tile: Tile) -> list[bytes]:
        """A partial tile or bundle of the checkpoint's size: its hashes in one piece, or its leaves."""
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


AGAIN = "get the folder again from the member that publishes it, or from another mirror"
"""What to do about a copy that was changed."""


def settled(source: LogSource, pinned: bytes | None) -> LogFiles:
    """The files of a log at its checkpoint, or at a newer one where the log has gone on meanwhile.

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
            return _awaited(source, policy, note, names)
        except VerificationError:
            attempts -= 1
            if not attempts or _fetch(source, CHECKPOINT, NOTE_LIMIT) == note:
                raise


def _awaited(source: LogSource, policy: Policy, note: bytes, names: Sequence[str]) -> LogFiles:
    """The files under the checkpoint that is to come where the tiles listed are ahead of the one there."""
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
        raise VerificationError("policy", POLICY, f"is none: {error}") from error
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
        raise VerificationError("policy", POLICY, "is not in canonical form with the quorum the rule wants")
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
            "checkpoint", CHECKPOINT, "carries signatures other than one each of the policy's keys"
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
    """RFC 6962 root over an intent's tags, one leaf a tag: what a large intent and its side file name."""
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
    """What differs between a file and what the entries give, by the entries where a tile names them."""
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
