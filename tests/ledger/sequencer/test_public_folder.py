"""Which partial tiles a public folder holds, and until when."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.errors import LogError
from ledger.formats.tiles import Tile
from ledger.sequencer.public_folder import GRACE, PublicFolder
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.sequencer.log_cases import POLICY, cheap, leaf


@pytest.fixture
def log(tmp_path: Path) -> Growing:
    return Growing(tmp_path / "public")


def pair(width: int) -> set[str]:
    return {f"tile/0/000.p/{width}", f"tile/entries/000.p/{width}"}


def test_a_superseded_partial_tile_stays_for_the_grace(log: Growing) -> None:
    log.add(leaf())
    log.add(leaf(), leaf())
    assert log.partial() == pair(1) | pair(3)
    log.time = GRACE - 1
    log.add(leaf())
    assert log.partial() == pair(1) | pair(3) | pair(4)
    log.time = GRACE
    log.add()
    assert log.partial() == pair(3) | pair(4)
    assert verify_folder(log.root, apply=cheap).size == 4
    log.time = 2 * GRACE
    log.add()
    assert log.partial() == pair(4)


def test_it_goes_once_the_full_tile_is_published(log: Growing) -> None:
    log.add(*(leaf() for _ in range(200)))
    log.stage(*(leaf() for _ in range(60)))
    assert pair(200) <= log.partial()
    log.folder.publish(b"", 260)
    assert log.partial() == {"tile/0/001.p/4", "tile/entries/001.p/4", "tile/1/000.p/1"}
    assert not (log.root / "tile/0/000.p").exists()


def test_the_rest_goes_when_the_folder_is_closed(log: Growing) -> None:
    log.add(leaf())
    log.add(leaf())
    log.folder.close()
    assert log.partial() == pair(2)


def test_the_published_ones_stay_when_tiles_were_written_and_no_checkpoint(log: Growing) -> None:
    log.add(leaf())
    log.stage(leaf())
    log.folder.close()
    assert pair(1) <= log.partial()


def test_after_a_kill_the_next_start_removes_all_but_the_newest(log: Growing) -> None:
    log.add(leaf())
    log.add(leaf())
    log.stage(leaf())
    again = PublicFolder(log.root)
    again.open(POLICY.format(), 2, log.content)
    assert log.partial() == pair(2)
    assert verify_folder(log.root, apply=cheap).size == 2


def test_a_checkpoint_before_its_tiles_is_refused(log: Growing) -> None:
    with pytest.raises(LogError):
        log.folder.publish(b"", 1)


def test_after_a_full_disk_it_goes_on_with_the_tile_that_is_missing(tmp_path: Path) -> None:
    """What was written needs no room a second time, and no half of a file stays in the way."""
    folder = PublicFolder(tmp_path / "public")
    asked: list[str] = []

    def content(tile: Tile) -> bytes:
        asked.append(tile.path)
        if tile.level == 0 and len(asked) < 3:
            raise OSError(errno.ENOSPC, "no room")
        return b"bytes"

    folder.open("policy", 0, content)
    with pytest.raises(OSError, match="no room"):
        folder.write(1, content)
    folder.write(1, content)
    folder.publish(b"", 1)
    assert sorted(asked) == ["tile/0/000.p/1", "tile/0/000.p/1", "tile/entries/000.p/1"]


def test_what_was_removed_to_make_room_is_written_again(
    log: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.add(*(leaf() for _ in range(5)))
    put, left = log.folder._replace, [3]

    def full(name: str, data: bytes, *, sync: bool) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "no room")
        put(name, data, sync=sync)

    monkeypatch.setattr(log.folder, "_replace", full)
    with pytest.raises(OSError, match="no room"):
        log.stage(*(leaf() for _ in range(295)))
    monkeypatch.undo()
    (log.root / "tile/entries/000").unlink()
    log.add()
    assert verify_folder(log.root, apply=cheap).size == 300


def test_everybody_may_read_it_though_its_process_keeps_the_rest_to_itself(tmp_path: Path) -> None:
    root = tmp_path / "home" / "public"
    before = os.umask(0o077)
    try:
        log = Growing(root)
        log.add(leaf())
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*")) if path.is_dir()}
    assert (modes, folders) == ({0o644}, {0o755})
