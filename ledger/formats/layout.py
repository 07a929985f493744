"""Layout of a log's public folder: the names of its files and their modes."""

from __future__ import annotations

from pathlib import Path

POLICY = "policy"
CHECKPOINT = "checkpoint"
TRACE = "trace"
TIMESTAMPS = "timestamps"
FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""A public folder is readable for all users, whatever the umask of its process."""


def make_public_folder(path: Path) -> None:
    """Create a folder that all users may read, and the missing folders above it."""
    if not path.is_dir():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)
