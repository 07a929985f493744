"""The vault: what is put comes back, after a crash at any point, and nothing changed or misplaced opens."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import (
    BadSecretNameError,
    SecretExistsError,
    SecretMissingError,
    VaultDamagedError,
    WrongPassphraseError,
)
from keys.vault import FAST_TEST, HEAD, STANDARD, ScryptProfile, Vault

WORDS = b"correct horse battery staple"


def open_vault(folder: Path, passphrase: bytes = WORDS) -> Vault:
    return Vault(folder, passphrase, profile=FAST_TEST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys"


@settings(max_examples=25)
@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,99}", fullmatch=True), st.binary(), max_size=5))
def test_what_is_put_comes_back(tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("vault")
    vault = open_vault(folder)
    for name, secret in secrets.items():
        vault.put(name, secret)
    again = open_vault(folder)
    assert again.names() == sorted(secrets)
    assert {name: again.get(name) for name in again.names()} == secrets
    for name in secrets:
        again.delete(name)
    assert vault.names() == []


def test_nothing_is_readable(folder: Path) -> None:
    open_vault(folder).put("node", b"a very secret seed")
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"very secret" not in path.read_bytes()
        assert WORDS not in path.read_bytes()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_replace(folder: Path) -> None:
    vault = open_vault(folder)
    vault.put("node", b"1", replace=False)
    vault.put("node", b"2")
    with pytest.raises(SecretExistsError, match="delete it first"):
        vault.put("node", b"3", replace=False)
    assert vault.get("node") == b"2"


def test_missing(folder: Path) -> None:
    vault = open_vault(folder)
    with pytest.raises(SecretMissingError, match="backup"):
        vault.get("node")
    with pytest.raises(SecretMissingError, match="nothing was deleted"):
        vault.delete("node")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".node", "../node", "a/b", "Node", "a\x00", "a\n", "税", "a" * 101, "-a"]
)
def test_names(folder: Path, name: str) -> None:
    vault = open_vault(folder)
    for act in (vault.get, vault.delete, lambda bad: vault.put(bad, b"")):
        with pytest.raises(BadSecretNameError):
            act(name)


@pytest.mark.parametrize("passphrase", [b"", b"wrong", WORDS + b" ", WORDS[:-1]])
def test_wrong_passphrase(folder: Path, passphrase: bytes) -> None:
    open_vault(folder)
    with pytest.raises(WrongPassphraseError, match="give the one"):
        open_vault(folder, passphrase)


def test_every_byte_of_a_secret_counts(folder: Path) -> None:
    vault = open_vault(folder)
    vault.put("node", b"seed")
    path = folder / "node.secret"
    good = path.read_bytes()
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(VaultDamagedError, match="restore"):
            vault.get("node")
    for end in range(len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(VaultDamagedError, match="restore"):
            vault.get("node")
    path.write_bytes(good + b"\x00")
    with pytest.raises(VaultDamagedError, match="restore"):
        vault.get("node")
    path.write_bytes(good)
    assert vault.get("node") == b"seed"


def test_a_file_under_another_name_or_from_another_vault(folder: Path, tmp_path: Path) -> None:
    vault, other = open_vault(folder), open_vault(tmp_path / "other")
    vault.put("a", b"seed")
    (folder / "b.secret").write_bytes((folder / "a.secret").read_bytes())
    (tmp_path / "other" / "a.secret").write_bytes((folder / "a.secret").read_bytes())
    with pytest.raises(VaultDamagedError):
        vault.get("b")
    with pytest.raises(VaultDamagedError):
        other.get("a")


def test_every_byte_of_the_head_counts(folder: Path) -> None:
    open_vault(folder).put("node", b"seed")
    path = folder / HEAD
    good = path.read_bytes()
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises((VaultDamagedError, WrongPassphraseError), match="restore"):
            open_vault(folder)
    for end in range(len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(VaultDamagedError, match="restore"):
            open_vault(folder)
    path.write_bytes(good)
    assert open_vault(folder).get("node") == b"seed"


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"null",
        b"[" * 4000,
        b'{"n":Infinity,"r":1,"p":1}',
        b'{"n":NaN}',
        b"\xff",
        b"9" * 5000,
        b'{"n":16,"r":8}',
    ],
)
def test_a_head_that_is_none(folder: Path, text: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / HEAD).write_bytes(text)
    with pytest.raises(VaultDamagedError, match="restore"):
        open_vault(folder)


@pytest.mark.parametrize(
    "change", [{"n": 1 << 30}, {"n": 17}, {"n": 0}, {"r": 0}, {"r": 1000}, {"p": -1}, {"p": 99}]
)
def test_a_head_may_not_ask_for_any_cost(folder: Path, change: dict[str, int]) -> None:
    open_vault(folder)
    head = json.loads((folder / HEAD).read_bytes()) | change
    (folder / HEAD).write_text(json.dumps(head, sort_keys=True, separators=(",", ":")) + "\n")
    with pytest.raises(VaultDamagedError):
        open_vault(folder)


def test_a_lost_head_is_not_replaced(folder: Path) -> None:
    open_vault(folder).put("node", b"seed")
    (folder / HEAD).unlink()
    with pytest.raises(VaultDamagedError, match="missing while secrets are there"):
        open_vault(folder)
    assert not (folder / HEAD).exists()


def test_the_standard_cost_is_recorded_and_kept(folder: Path) -> None:
    Vault(folder, WORDS)
    head = json.loads((folder / HEAD).read_bytes())
    assert ScryptProfile(head["n"], head["r"], head["p"]) == STANDARD
    assert STANDARD.n * STANDARD.r * 128 == 128 << 20
    open_vault(folder)
    assert json.loads((folder / HEAD).read_bytes()) == head


def test_change_passphrase(folder: Path) -> None:
    vault = open_vault(folder)
    vault.put("node", b"seed")
    vault.change_passphrase(b"new", profile=ScryptProfile(32, 8, 1))
    assert vault.get("node") == b"seed"
    assert open_vault(folder, b"new").get("node") == b"seed"
    with pytest.raises(WrongPassphraseError):
        open_vault(folder)
    with pytest.raises(WrongPassphraseError, match="choose one"):
        vault.change_passphrase(b"")


class CrashError(Exception):
    """Stands for the machine stopping."""


@pytest.mark.parametrize("step", ["fsync", "replace", "write"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_crash_leaves_the_old_secret_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bytes | None
) -> None:
    vault = open_vault(folder)
    if before is not None:
        vault.put("node", before)

    def crash(*_: object, **__: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", crash)
        elif step == "replace":
            patch.setattr(Path, "replace", crash)
        else:
            patch.setattr(os, "fdopen", _torn)
        with pytest.raises(CrashError):
            vault.put("node", b"new" * 100)
    assert (folder / ".node.secret.tmp").exists()
    again = open_vault(folder)
    assert again.names() == ([] if before is None else ["node"])
    if before is not None:
        assert again.get("node") == before
    again.put("node", b"newer")
    assert vault.get("node") == b"newer"
    assert not (folder / ".node.secret.tmp").exists()


def _torn(descriptor: int, _mode: str) -> None:
    os.write(descriptor, b"half of it")
    os.close(descriptor)
    raise CrashError


def test_file_and_folder_are_synced_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = open_vault(folder)
    events: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    vault.put("node", b"seed")
    assert events == ["file", "rename", "folder"]
    events.clear()
    vault.delete("node")
    assert events == ["folder"]


def test_delete_takes_what_a_crash_left(folder: Path) -> None:
    vault = open_vault(folder)
    vault.put("node", b"seed")
    (folder / ".node.secret.tmp").write_bytes(b"left")
    vault.delete("node")
    assert sorted(path.name for path in folder.iterdir()) == [".lock", HEAD]


def test_threads(folder: Path) -> None:
    vaults = [open_vault(folder), open_vault(folder)]
    values = [bytes([n]) * 1000 for n in range(8)]
    vaults[0].put("shared", values[0])
    seen: list[bytes] = []

    def work(n: int) -> None:
        for _ in range(5):
            vaults[n % 2].put("shared", values[n])
            vaults[n % 2].put(f"own-{n}", values[n])
            seen.append(vaults[n % 2].get("shared"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 40
    assert set(seen) <= set(values)
    assert [vaults[0].get(f"own-{n}") for n in range(8)] == values


def _race(folder: str, name: str) -> None:
    open_vault(Path(folder)).put(name, name.encode())


def test_processes_creating_one_vault_agree(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_race, args=(str(folder), f"p{n}")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    vault = open_vault(folder)
    assert [vault.get(f"p{n}") for n in range(4)] == [b"p0", b"p1", b"p2", b"p3"]


def test_the_key_is_derived_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = open_vault(folder)

    def derive(*_: object) -> bytes:
        raise AssertionError("derived again")

    monkeypatch.setattr("keys.wrapping._wrapping_key", derive)
    vault.put("node", b"seed")
    assert vault.get("node") == b"seed"


def test_no_secret_is_shown(folder: Path) -> None:
    vault = open_vault(folder)
    assert WORDS.decode() not in repr(vault)
    assert repr(vault._data_key) not in repr(vault)
