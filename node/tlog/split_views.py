"""Evidence of split views in a node's home: kept as files, reported to the operator, and a stop for answers.

    HOME/evidence/split-<digest>.json   two signed checkpoints (``ledger.formats.split_view``)

The checkpoints have the same size and different roots, or this node's own entries show that they do not
belong to one history. Nobody but the holder of the log's key can make such a pair, so nobody else can fill
the folder; it holds ``MOST_FILES`` files all the same. While there is a file, this node answers no
question. An auditor decides, and the operator then moves the files away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ledger.entries.times import format_time
from ledger.errors import ForkError, NoteError, SplitViewError
from ledger.formats.policy import Policy
from ledger.formats.split_view import SplitView, holds_evidence
from node.home import write_file

log = logging.getLogger("hedui.gossip")
MOST_FILES = 64


class SplitViewEvidence:
    """The files of evidence in one node's home."""

    def __init__(self, folder: Path, policy: Policy, clock: Callable[[], int]) -> None:
        """Args: ``folder`` is created with the first file; ``policy`` names the log's key."""
        self._folder = folder
        self._policy = policy
        self._clock = clock

    def keep(self, first: bytes, second: bytes) -> Path | None:
        """Keep two notes; a pair that is seen again is kept once.

        Returns:
            Their file; None where a note is not signed by the log, both have one checkpoint, or the folder
            is full.
        """
        try:
            view = SplitView.of(self._policy, (first, second), format_time(self._clock()))
        except (NoteError, SplitViewError):
            return None
        path = self._folder / view.file_name
        if holds_evidence(path, self._policy):
            return path
        if len(self.files()) >= MOST_FILES:
            log.error("the log has shown two histories again, and %s is full", self._folder)
            return None
        write_file(path, view.to_json())
        log.error(
            "the log has signed two histories, of %d and of %d entries: nothing is answered. Both notes are "
            "in %s: show them to the auditor",
            view.checkpoints[0].size,
            view.checkpoints[1].size,
            path,
        )
        return path

    def take(self, error: ForkError) -> None:
        """Keep the notes that an error carries, if it has two."""
        if len(error.notes) == 2:
            self.keep(*error.notes)

    def files(self) -> list[str]:
        """Names of the files, oldest name first; empty where there is no evidence."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.name.startswith("split-"))
        except FileNotFoundError:
            return []

    def require_none(self) -> None:
        """Refuse to answer while there is evidence.

        Raises:
            ForkError: there is some.
        """
        files = self.files()
        if files:
            raise ForkError(
                f"the log has signed two histories: {len(files)} pair(s) of notes in the folder evidence of "
                "this node's home. Call the auditor; move the files away once it is settled"
            )
