"""Progress of long work on a terminal: one line a stage, and a moving count on a real terminal."""

from __future__ import annotations

import threading
from typing import Any

from rich.console import Console

from node.messages import Messages

LEAST = 20_000
"""Totals below this are no long work."""


class Reporter:
    """Shows stages of a job in the user's language; safe for several threads."""

    def __init__(self, console: Console, messages: Messages) -> None:
        """Args: ``console`` to write to; ``messages`` of the user's language."""
        self.console = console
        self.messages = messages
        self._lock = threading.Lock()

    def stage(self, identifier: str, **values: Any) -> None:
        """Show that a stage has begun."""
        text = self.messages.text(identifier, **values)
        with self._lock:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(
        self, stage: str, values: dict[str, Any], done: int, total: int, *, least: int = LEAST
    ) -> None:
        """Show how far a long stage has come; silent for those of fewer than ``least``, and off a terminal.

        The next count takes the place of each; the last one stays.
        """
        if total < least or not self.console.is_terminal:
            return
        name = str(values.get("dataset", stage))
        with self._lock:
            end = "\r" if done < total else "\n"
            self.console.print(f"  {name}: {done:,} / {total:,}", markup=False, highlight=False, end=end)
