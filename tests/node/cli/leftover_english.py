"""English sentences that are left in a text that should be Chinese."""

from __future__ import annotations

import re

SENTENCE = re.compile(r"[A-Za-z]{2,}(?: [a-z]{2,}){2,}")
"""Three English words in a row; commands to type stand in backquotes or begin with ``hedui``."""
COMMAND = re.compile(r"`[^`]*`|hedui [a-z-]+( [a-z-]+)?")


def leftover(text: str) -> list[str]:
    """English sentences in a text; codes, ids, file names and commands to type are none."""
    return SENTENCE.findall(COMMAND.sub("", text))
