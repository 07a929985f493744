"""Evidence of a split view: two checkpoints that one log signed and that do not fit one another.

    split-<digest>.json        two checkpoints that cannot belong to one history
    rollback-<digest>.json     a checkpoint that is older than one seen before

    {"v": 1, "seen": time, "notes": [note, note], "kind": …, "sources": [text, text], "policy": text}

``notes`` are the whole signed notes. ``sources`` (where each note came from), ``policy`` (the trust policy
under which both were verified) and ``kind`` (``split`` if it is absent) are optional. The digest is over
the two checkpoint texts, whatever their order and cosignatures, so each pair has one file.

Only the holder of the log's key can make such a pair, so a file is proof against that key. Two checkpoints
of one size with different roots contradict one another by themselves. That checkpoints of different sizes
do not belong to one history is shown by the log's entries, which the writer of the file had compared.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError, SplitViewError
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.policy import Policy

VERSION = 1
SPLIT, ROLLBACK = "split", "rollback"


@dataclass(frozen=True)
class SplitView:
    """Two different checkpoints, both signed by the log.

    Attributes:
        notes: the signed notes; the one seen first stands first.
        checkpoints: those in the notes.
        seen: when they were found to differ, a ledger time.
        kind: ``SPLIT`` or ``ROLLBACK``.
        sources: where each note came from, in words for a person; None where that is not recorded.
        policy: bytes of the trust policy; None where it is not recorded.
    """

    notes: tuple[bytes, bytes]
    checkpoints: tuple[Checkpoint, Checkpoint]
    seen: str
    kind: str = SPLIT
    sources: tuple[str, str] | None = None
    policy: bytes | None = None

    @classmethod
    def of(
        cls,
        trusted: Policy,
        notes: tuple[bytes, bytes],
        seen: str,
        *,
        kind: str = SPLIT,
        sources: tuple[str, str] | None = None,
        policy: bytes | None = None,
    ) -> SplitView:
        """Verify two notes; the attributes are those of the class.

        Args:
            trusted: names the log's key.

        Raises:
            NoteError: a note is malformed, of another log, or not signed by it.
            SplitViewError: both hold the same checkpoint, or they are no rollback: the second is not smaller.
        """
        first, second = (trusted.verify_log(note)[1] for note in notes)
        if first == second or (kind == ROLLBACK and second.size >= first.size):
            raise SplitViewError("the two checkpoints do not contradict one another: they show nothing")
        return cls(notes, (first, second), seen, kind, sources, policy)

    @classmethod
    def parse(cls, data: bytes, trusted: Policy) -> SplitView:
        """Read a file and verify it.

        Raises:
            SplitViewError: malformed, or the checkpoints show nothing.
            NoteError: a note is malformed, of another log, or not signed by it.
        """
        try:
            document: dict[str, Any] = json.loads(data)
            version = document["v"]
            first, second = (note.encode() for note in document["notes"])
            sources = document.get("sources")
            policy = document.get("policy")
            kind, seen = document.get("kind", SPLIT), document["seen"]
            pair = None if sources is None else (str(sources[0]), str(sources[1]))
            raw = None if policy is None else policy.encode()
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise SplitViewError(f"the file is not evidence of a split view: {error}") from error
        if version != VERSION or kind not in (SPLIT, ROLLBACK):
            raise SplitViewError(f"evidence of version {version!r} and kind {kind!r} is not known here")
        return cls.of(trusted, (first, second), seen, kind=kind, sources=pair, policy=raw)

    @property
    def file_name(self) -> str:
        """Name of its file, the same for each pair of checkpoints."""
        texts = sorted(checkpoint.text().encode() for checkpoint in self.checkpoints)
        digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:32]
        return f"{self.kind}-{digest}.json"

    def to_json(self) -> bytes:
        """The file's bytes."""
        document: dict[str, Any] = {
            "v": VERSION,
            "seen": self.seen,
            "notes": [note.decode() for note in self.notes],
        }
        if self.kind != SPLIT:
            document["kind"] = self.kind
        if self.sources is not None:
            document["sources"] = list(self.sources)
        if self.policy is not None:
            document["policy"] = self.policy.decode()
        return json.dumps(document, indent=1, ensure_ascii=False).encode()


def holds_evidence(path: Path, trusted: Policy) -> bool:
    """Whether a file exists and is whole evidence; else it has to be written (again)."""
    try:
        SplitView.parse(path.read_bytes(), trusted)
    except (OSError, LedgerError):
        return False
    return True
