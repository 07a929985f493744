"""Layout of a log's public folder: names of its files and who may read them."""

from __future__ import annotations

from pathlib import Path

POLICY = "policy"
CHECKPOINT = "checkpoint"
TRACE = "trace"
TIMESTAMPS = "timestamps"
FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""Everybody may read a public folder, whatever else its process keeps to itself."""


def make_public_folder(path: Path) -> None:
    """Make a folder that everybody may read, and those above it that are missing."""
    if not path.is_dir():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)
