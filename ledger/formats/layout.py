"""Layout of a log's public folder: names of its files and who may read them."""

from __future__ import annotations

from pathlib import Path

POLICY = "policy"
CHECKPOINT = "checkpoint"
TRACE = "trace"
TIMESTAMPS = "timestamps"
FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""A public folder is readable by every user, unlike the process's other files."""


def make_public_folder(path: Path) -> None:
    """Make a folder that every user may read, and the missing ones above it."""
    if not path.is_dir():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)
