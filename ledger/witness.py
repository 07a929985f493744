r"""A witness cosigns checkpoints of the logs it knows, as c2sp.org/tlog-witness says (add-checkpoint).

Request body: ``old <size>``, up to 63 base64 lines of a consistency proof, an empty line, a checkpoint note.

    400  malformed, or the old size is above the checkpoint's
    404  a log this witness does not know
    403  no signature by the log's key, or a false one
    409  the old size is not that of the last cosigned checkpoint, or the checkpoint has that size and another
         root; body ``<size>\n``, type text/x.tlog.size
    422  the proof does not fit the last cosigned checkpoint
    200  one cosignature line

The checks are made in that order. The record of the last checkpoint is replaced by compare-and-swap before
the answer, so two requests at once cannot both pass and nothing is answered that is not kept. A request whose
very answer is kept already, the same head in the same second, is answered without a write, so that repeating
a head cannot keep the disk busy. The time of a cosignature never goes back, even where the clock does. A
witness judges consistency alone: it needs no entry.

A record is looked at before it is built upon: it holds this witness's own cosignature, so one that the disk
has changed is known, and the witness cosigns nothing until it is restored. One made under another key of the
log or of the witness is refused as well, and the refusal says so: an origin stands for one key.

The state machine does no I/O but through its store, and is given the time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from ledger.errors import MerkleError, NoteError, WitnessError
from ledger.fault_points import Observe, Point, unobserved
from ledger.formats.checkpoint import Checkpoint, Cosigner, cosigned_at, verify_signed
from ledger.formats.note import MAX_NOTE_BYTES, Note, VerifierKey, base64_text, decimal, unbase64
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_PATH, verify_consistency

TEXT = "text/plain; charset=utf-8"
SIZE_TYPE = "text/x.tlog.size"
DAMAGED = (
    "the witness's record of this log has changed on the disk: it cosigns nothing until this node's database "
    "is restored from its newest backup"
)
"""What a witness says of a record that is not the one it stored."""
REKEYED = (
    "the witness's record of this log carries no signature by the {} known now: it cosigns nothing. Where "
    "that key was changed, put the old one back, or give the log another origin; where not, the record has "
    "changed on the disk: restore this node's database from its newest backup"
)
"""What it says of a record made under another key, which no restore helps; names whose key."""


@dataclass(frozen=True)
class WitnessRecord:
    """The record that a witness keeps of one log.

    Attributes:
        size: leaves of the last cosigned checkpoint.
        root: its root, 32 bytes.
        time: of the last cosignature, POSIX seconds.
        note: the checkpoint with the log's signature and this witness's cosignature.
    """

    size: int
    root: bytes
    time: int
    note: bytes


class WitnessStore(Protocol):
    """The store of a witness's records, one per origin. Safe for threads and processes."""

    def read(self, origin: str) -> WitnessRecord | None:
        """The record of a log, None before its first cosignature."""
        ...

    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        """Replace ``old`` by ``new`` in one durable step; False and no change when ``old`` is not current."""
        ...


class MemoryWitnessStore(WitnessStore):
    """Records in memory, lost when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards `_records`
        self._records: dict[str, WitnessRecord] = {}

    @override
    def read(self, origin: str) -> WitnessRecord | None:
        with self._lock:
            return self._records.get(origin)

    @override
    def swap(self, origin: str, old: WitnessRecord | None, new: WitnessRecord) -> bool:
        with self._lock:
            if self._records.get(origin) != old:
                return False
            self._records[origin] = new
            return True


@dataclass(frozen=True)
class AddCheckpoint:
    """A request to cosign.

    Attributes:
        old: size of the checkpoint the witness cosigned last.
        path: consistency proof from it, hashes of 32 bytes.
        note: the new checkpoint, signed by the log.
    """

    old: int
    path: tuple[bytes, ...]
    note: bytes

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request body.

        Raises:
            WitnessError: malformed.
        """
        if len(body) > 2 * MAX_NOTE_BYTES:
            raise WitnessError("the request is too long")
        head, gap, note = body.partition(b"\n\n")
        try:
            lines = head.decode("utf-8").split("\n")
            if not gap or not lines[0].startswith("old "):
                raise WitnessError(
                    "a request starts with `old <size>` and has an empty line before the checkpoint"
                )
            old = decimal(lines[0].removeprefix("old "))
            if len(lines) > MAX_PATH + 1:
                raise WitnessError("a proof holds up to 63 hashes of 32 bytes")
            path = tuple(unbase64(line) for line in lines[1:])
        except (NoteError, UnicodeDecodeError) as error:
            raise WitnessError(f"the request is malformed: {error}") from error
        if any(len(node) != HASH_BYTES for node in path):
            raise WitnessError("a proof holds up to 63 hashes of 32 bytes")
        return cls(old, path, note)

    def format(self) -> bytes:
        """The request body."""
        lines = [f"old {self.old}\n", *(f"{base64_text(node)}\n" for node in self.path), "\n"]
        return "".join(lines).encode() + self.note


class Witness:
    """One witness over its store; safe for threads as far as the store is."""

    def __init__(
        self,
        cosigner: Cosigner,
        logs: Iterable[VerifierKey],
        store: WitnessStore,
        observe: Observe = unobserved,
    ) -> None:
        """A witness of the given logs (vkeys of type 0x01, whose names are the origins)."""
        self._observe = observe
        self._cosigner = cosigner
        self._logs = {log.name: log for log in logs}
        self._store = store
        # The record that was checked last, so that it is checked once: replaced by any thread, and compared
        # by identity, so that a thread that misses the newest only checks once more.
        self._whole: WitnessRecord | None = None

    @property
    def verifier(self) -> VerifierKey:
        """The key under which this witness cosigns, type 0x04."""
        return self._cosigner.verifier

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of the logs this witness cosigns."""
        return tuple(self._logs)

    def latest(self, origin: str) -> bytes | None:
        """The last checkpoint of a log this witness cosigned, with its cosignature; None before the first.

        Raises:
            WitnessError: its record has changed on the disk.
        """
        record = self._record(origin)
        return None if record is None else record.note

    def bare(self, note: Note) -> bytes:
        """A checkpoint of a log that is known here with the log's own line alone."""
        return note.only(self._logs[Checkpoint.parse(note.text).origin]).format()

    def add_checkpoint(self, body: bytes, now: int) -> tuple[int, bytes, str]:
        """Answer one request: (HTTP status, body, content type).

        Args:
            body: the request.
            now: POSIX seconds.

        Raises:
            WitnessError: the record of this log has changed on the disk.
        """
        try:
            request = AddCheckpoint.parse(body)
            note = Note.parse(request.note)
            checkpoint = Checkpoint.parse(note.text)
        except (WitnessError, NoteError) as error:
            return _answer(400, str(error))
        log = self._logs.get(checkpoint.origin)
        if log is None:
            return _answer(404, "this log is not known here")
        try:
            verify_signed(note, log)
        except NoteError as error:
            return _answer(403, str(error))
        if request.old > checkpoint.size:
            return _answer(400, "the old size is above the checkpoint's")
        return self._advance(request, note, checkpoint, now)

    def _advance(
        self, request: AddCheckpoint, note: Note, checkpoint: Checkpoint, now: int
    ) -> tuple[int, bytes, str]:
        record = self._record(checkpoint.origin)
        size, root, last = (0, EMPTY_ROOT, 0) if record is None else (record.size, record.root, record.time)
        if request.old != size or (checkpoint.size == size and checkpoint.root != root):
            return _conflict(size)
        try:
            verify_consistency(size, checkpoint.size, root, checkpoint.root, request.path)
        except MerkleError as error:
            return _answer(422, str(error))
        time = max(now, last)
        line = self._cosigner.cosign(note.text, time)
        kept = Note(note.text, (*note.only(self._logs[checkpoint.origin]).signatures, line)).format()
        new = WitnessRecord(checkpoint.size, checkpoint.root, time, kept)
        self._observe(Point.WITNESS_CHECKED)
        if new != record and not self._store.swap(checkpoint.origin, record, new):
            current = self._record(checkpoint.origin)
            return _conflict(0 if current is None else current.size)
        self._observe(Point.WITNESS_STORED)
        return 200, line.line().encode(), TEXT

    def _record(self, origin: str) -> WitnessRecord | None:
        """The stored record, whose note carries the cosignature made when it was stored."""
        record = self._store.read(origin)
        if record is None or record is self._whole or origin not in self._logs:
            return record
        try:
            note = Note.parse(record.note)
            for key, whose in ((self._logs[origin], "log's key"), (self.verifier, "key of this witness")):
                if not note.signed_by(key):
                    raise WitnessError(REKEYED.format(whose))
            kept = verify_signed(note, self._logs[origin])
            at = cosigned_at(note, self.verifier)
        except NoteError as error:
            raise WitnessError(DAMAGED) from error
        if (kept.size, kept.root, at) != (record.size, record.root, record.time):
            raise WitnessError(DAMAGED)
        self._whole = record
        return record


def _answer(status: int, text: str) -> tuple[int, bytes, str]:
    return status, f"{text}\n".encode(), TEXT


def _conflict(size: int) -> tuple[int, bytes, str]:
    return 409, f"{size}\n".encode(), SIZE_TYPE
