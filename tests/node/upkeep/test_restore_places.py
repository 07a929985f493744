"""Where a restore puts a database, and what a backup says when there is no room for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.errors import ConfigurationError, StoreError
from node.upkeep.restore import restore
from tests.node.upkeep.backup_cases import (
    NOW,
    ROOT,
    WORDS,
    backed_up,
    killed,
    make_home,
    marker,
    rows_of,
    stat_mode,
)

LIMITED = """
import resource, sys
from node.cli.root import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
run()
"""


def limited(room: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`hedui node …` where no file may have more than ``room`` bytes."""
    command = [sys.executable, "-c", LIMITED, str(room), "node", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    backed_up(make_home(tmp_path / "home"), tmp_path / "b")
    return tmp_path / "b"


def test_a_database_elsewhere_is_its_owners_from_the_first_byte(backup: Path, tmp_path: Path) -> None:
    restore(backup, tmp_path / "new", WORDS, NOW, f"sqlite:///{tmp_path / 'x.db'}")
    assert stat_mode(tmp_path / "x.db") == 0o600


def test_one_database_is_restored_for_one_home(backup: Path, tmp_path: Path) -> None:
    """A restore that was killed goes on into its own home; no second home gets the same database."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    killed("restore:_sync_tree", backup, tmp_path / "new", url)
    assert len(marker(url)) == 1
    before = rows_of(url)
    with pytest.raises(StoreError, match="already holds rows"):
        restore(backup, tmp_path / "other", WORDS, NOW, url)
    assert not (tmp_path / "other").exists()
    restore(backup, tmp_path / "new", WORDS, NOW, url)
    with pytest.raises(StoreError, match="already holds rows"):
        restore(backup, tmp_path / "other", WORDS, NOW, url)
    assert len(marker(url)) == 1
    assert rows_of(url) == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("store", ["garbage", "mysql://x", ""])
def test_a_database_no_node_can_use(backup: Path, tmp_path: Path, store: str) -> None:
    with pytest.raises(ConfigurationError, match="--store is"):
        restore(backup, tmp_path / "new", WORDS, NOW, store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "home"]


@pytest.mark.parametrize("room", [450_000, 600_000])
def test_a_backup_without_room_says_so_once(tmp_path: Path, room: int) -> None:
    """In the middle of the archive, and in what its end still holds back."""
    home = make_home(tmp_path / "home")
    done = limited(room, "backup", home, tmp_path / "b")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert done.stderr.startswith(f"hedui: {tmp_path / 'b'}: File too large: check")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_restore_without_room_names_the_home(backup: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_bytes(WORDS)
    done = limited(200_000, "restore", backup, tmp_path / "new", "--passphrase-file", words)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert done.stderr.startswith(f"hedui: {tmp_path / 'new'}: File too large: check")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "home", "words"]
