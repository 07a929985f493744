"""A home's files: replaced whole or not at all, whatever happens in between."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import ConfigurationError
from node.home import Home, write_file


class Killed(BaseException):
    """The process ends here."""


@settings(max_examples=20)
@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_a_file_is_replaced_whole(tmp_path_factory: pytest.TempPathFactory, one: bytes, two: bytes) -> None:
    path = tmp_path_factory.mktemp("home") / "new" / "file"
    for data in (one, two):
        write_file(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("kind", [Killed, OSError])
def test_stopped_in_between_the_old_file_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: type[BaseException]
) -> None:
    path = tmp_path / "node.toml"
    write_file(path, b"old")

    def stop(*_: object) -> None:
        raise kind

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, stop)
        with pytest.raises(kind):
            write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.toml"], "nothing is left beside it"


def test_a_power_cut_leaves_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is synced before the name points to it, and the folder after."""
    path, steps = tmp_path / "file", []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("folder" if folder else f"content {os.fstat(descriptor).st_size}")
        sync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_file(path, b"12345")
    assert steps == ["content 5", "rename", "folder"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    write_file(path, b"x", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_leftover_of_another_process_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".file.00000000").write_bytes(b"half")
    write_file(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_paths_stay_within_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    paths = (home.configuration, home.network, home.card, home.keys, home.public_log, home.openings)
    assert len({*paths, home.publication("a.b", "1.1")}) == 7
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_a_folder_without_a_node(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hedui node init"):
        Home(tmp_path).require()


def test_a_running_node_keeps_its_home_to_itself(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_file(tmp_path / "node.db", b"", 0o644)
    (tmp_path / "publications" / "tax.income").mkdir(parents=True)
    before = os.umask(0o022)
    try:
        home.keep_private()
        write_file(tmp_path / "new", b"")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("node.db", "publications", "new")]
    assert modes == [0o600, 0o700, 0o600]
