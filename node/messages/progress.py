"""Progress of long work for people: one line per stage, and on a terminal a count that moves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TextIO

from node.messages.catalogue import Messages

LONG_WORK = 20_000
"""Totals below this are not counted on the terminal."""


class Reporter:
    """Shows the stages of a job in the user's language; safe for several threads.

    Args:
        stream: where lines are written; a count is shown only where it is a terminal.
        messages: texts in the user's language.
    """

    def __init__(self, stream: TextIO, messages: Messages) -> None:
        self.stream = stream
        self.messages = messages
        self._lock = threading.Lock()  # one line at a time on the stream

    def stage(self, message: str, /, **values: object) -> None:
        """Show that a stage has begun: a text of the catalogue with its values."""
        self._write(f"{self.messages.translate(message, **values)}\n")

    def stage_counted(self, one: str, many: str, count: int, /, **values: object) -> None:
        """Show a stage of a number of things: see ``Messages.counted``."""
        self._write(f"{self.messages.counted(one, many, count, **values)}\n")

    def progress(
        self, stage: str, values: Mapping[str, Any], done: int, total: int, *, at_least: int = LONG_WORK
    ) -> None:
        """Show how far a long stage is; nothing for a total below ``at_least``, or off a terminal.

        Each count replaces the one before; the last one stays.

        Args:
            stage: name of the stage, shown where ``values`` name no dataset.
            values: what the stage is about.
            done, total: how much of it is done.
            at_least: smallest total that is shown.
        """
        if total < at_least or not self.stream.isatty():
            return
        end = "\r" if done < total else "\n"
        self._write(f"  {values.get('dataset', stage)}: {done:,} / {total:,}{end}")

    def _write(self, text: str) -> None:
        with self._lock:
            self.stream.write(text)
            self.stream.flush()
