"""Evidence of two histories under one log key: kept as files, shown to the operator, and a stop for answers.

    HOME/evidence/split-<digest>.json   {"v": 1, "seen": RFC 3339, "notes": [note, note]}

Both notes carry the log's own signature and cannot belong to one history: the same size with another root,
or roots that this node's own entries show not to extend one another. Nobody but the holder of the log key
can make such a pair, so a file is proof against it, and nobody else can fill the folder; it holds 64 files
all the same. While there is one, this node answers no question: an auditor decides, and the files are moved
away.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

from ledger.entries.times import format_time
from ledger.errors import ForkError, NoteError
from ledger.formats.policy import Policy
from node.home import write_file

log = logging.getLogger("hedui.gossip")
MOST_FILES = 64


class SplitViewEvidence:
    """The evidence in one node's home."""

    def __init__(self, folder: Path, policy: Policy, clock: Callable[[], int]) -> None:
        """Args: ``folder`` is made with the first file; ``policy`` names the log's key."""
        self._folder = folder
        self._policy = policy
        self._clock = clock

    def keep(self, first: bytes, second: bytes) -> Path | None:
        """Keep two notes, once however often they are seen.

        Returns:
            Their file; None where a note is not signed by the log, both say the same, or the folder is full.
        """
        try:
            heads = [self._policy.verify_log(note)[1] for note in (first, second)]
        except NoteError:
            return None
        if heads[0] == heads[1]:
            return None
        name = hashlib.sha256(b"\0".join(sorted(head.text().encode() for head in heads))).hexdigest()[:32]
        path = self._folder / f"split-{name}.json"
        if path.exists():
            return path
        if len(self.files()) >= MOST_FILES:
            log.error("the log has shown two histories once more: %s is full", self._folder)
            return None
        notes = [note.decode("utf-8") for note in (first, second)]
        seen = format_time(self._clock())
        document = {"v": 1, "seen": seen, "notes": notes}
        write_file(path, json.dumps(document, indent=1, ensure_ascii=False).encode())
        log.error(
            "the log has signed two histories, of %d and of %d entries: nothing is answered. Both notes are "
            "in %s: show them to the auditor",
            heads[0].size,
            heads[1].size,
            path,
        )
        return path

    def take(self, error: ForkError) -> None:
        """Keep what an error shows."""
        if len(error.notes) == 2:
            self.keep(*error.notes)

    def files(self) -> list[str]:
        """Names of the files, oldest name first; empty where there is no evidence."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.name.startswith("split-"))
        except FileNotFoundError:
            return []

    def require_none(self) -> None:
        """Nothing is answered while there is evidence.

        Raises:
            ForkError: there is.
        """
        files = self.files()
        if files:
            raise ForkError(
                f"the log has signed two histories: {len(files)} pair(s) of notes in the folder evidence of "
                "this node's home. Call the auditor; move the files away once it is settled"
            )
