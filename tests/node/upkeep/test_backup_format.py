"""A backup that is cut, changed, newer or hostile is found; reading it takes little memory."""

from __future__ import annotations

import dataclasses
import io
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import SealedFileDamagedError, WrongPassphraseError
from keys.sealedfile import SealedWriter
from keys.wrapping import FAST_TEST
from node.errors import StoreError
from node.upkeep import archive
from node.upkeep.archive import ArchiveHeader, ArchiveWriter
from node.upkeep.restore import restore, verify
from tests.node.upkeep.backup_cases import NOW, WORDS, backed_up, make_home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@cache
def small() -> bytes:
    """A small backup's bytes, cheap to open."""
    file = io.BytesIO()
    head = ArchiveHeader("i" * 32, "tax", ("department",), "n", "g", NOW, 1, "0001", store=False, program="1")
    with SealedWriter(file, WORDS, profile=FAST_TEST) as sealed:
        writer = ArchiveWriter(sealed, head)
        writer.add_bytes("home/node.toml", b"x" * 70_000)
        writer.finish()
    return file.getvalue()


def read(data: bytes) -> tuple[ArchiveHeader, int]:
    def take(_head: ArchiveHeader, _name: str, member: Any) -> None:
        member.read()

    return archive.read_archive(io.BytesIO(data), WORDS, take)


@given(st.integers(0, len(small()) - 1))
def test_a_backup_cut_anywhere_is_found(end: int) -> None:
    with pytest.raises((SealedFileDamagedError, StoreError)):
        read(small()[:end])


@given(st.integers(0, len(small()) - 1), st.integers(1, 255))
def test_a_byte_changed_anywhere_is_found(at: int, change: int) -> None:
    data = bytearray(small())
    data[at] ^= change
    with pytest.raises((SealedFileDamagedError, WrongPassphraseError, StoreError)):
        read(bytes(data))


def test_a_cut_backup_leaves_no_home(home: Path, tmp_path: Path) -> None:
    backed_up(home, tmp_path / "b")
    data = (tmp_path / "b").read_bytes()
    for end in (len(data) - 1, len(data) - 70_000, len(data) // 2, 400, 0):
        (tmp_path / "cut").write_bytes(data[:end])
        with pytest.raises(SealedFileDamagedError):
            restore(tmp_path / "cut", tmp_path / "new", WORDS, NOW)
        with pytest.raises(SealedFileDamagedError):
            verify(tmp_path / "cut", WORDS)
        assert not list(tmp_path.glob("*new*"))


def resealed(*members: tuple[str, bytes], manifest: bool = True, **changes: Any) -> bytes:
    """An archive as a holder of the passphrase could make it."""
    file = io.BytesIO()
    head = ArchiveHeader("i" * 32, "tax", (), "n", "g", NOW, 1, "0001", store=False, program="9")
    with SealedWriter(file, WORDS, profile=FAST_TEST) as sealed:
        writer = ArchiveWriter(sealed, dataclasses.replace(head, **changes))
        for name, data in members:
            writer.add_bytes(name, data)
        if manifest:
            writer.finish()
        else:
            writer._tar.close()
    return file.getvalue()


def test_a_newer_format_or_revision_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="newer"):
        read(resealed(format=2))
    (tmp_path / "b").write_bytes(resealed(("home/x", b""), revision="9999"))
    for attempt in (
        lambda: verify(tmp_path / "b", WORDS),
        lambda: restore(tmp_path / "b", tmp_path / "n", WORDS, 1),
    ):
        with pytest.raises(StoreError, match="install"):
            attempt()


@pytest.mark.parametrize("name", ["home/../x", "home//x", "/x", "x", "home/", "home/.x", "database/other"])
def test_no_member_leads_out_of_the_home(name: str) -> None:
    with pytest.raises(StoreError):
        read(resealed((name, b"x")))


def test_a_manifest_must_be_there_and_true() -> None:
    read(resealed(("home/x", b"x")))
    with pytest.raises(StoreError):
        read(resealed(("home/x", b"x"), manifest=False))
    with pytest.raises(StoreError):
        read(resealed(("home/x", b"x"), ("home/x", b"y")))
    with pytest.raises(StoreError, match="manifest"):
        read(resealed(("home/x", b"x"), (archive.MANIFEST, b'{"members": {}}'), manifest=False))


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A member of 64 MiB passes through a few chunks."""
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    head = ArchiveHeader("i" * 32, "tax", (), "n", "g", NOW, 1, "0001", store=False, program="9")
    tracemalloc.start()
    with (tmp_path / "b").open("wb") as file, SealedWriter(file, WORDS, profile=FAST_TEST) as sealed:
        writer = ArchiveWriter(sealed, head)
        writer.add_file("home/big", big)
        writer.finish()

    def skip(_head: ArchiveHeader, _name: str, member: Any) -> None:
        while member.read(1 << 20):
            pass

    with (tmp_path / "b").open("rb") as file:
        archive.read_archive(file, WORDS, skip)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20
