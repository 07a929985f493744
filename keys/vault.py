r"""Secrets of one node, encrypted at rest under a passphrase: one folder with one file a secret.

    vault.json      head: format, scrypt cost (n, r, p), salt, and the data key wrapped under the passphrase
    <name>.secret   "hedui/secret/v1\n" ‖ nonce (12) ‖ AES-256-GCM ciphertext with tag
    .lock           empty; locked (flock) while a process writes
    .<file>.tmp     an interrupted write; removed by the next write of that file, never read

Rules:
1. wrapping key = scrypt(passphrase, salt; n, r, p), RFC 7914, 32 bytes. The data key is 32 random bytes,
   wrapped by AES-256-GCM with the rest of the head as associated data, so a changed cost or salt does not
   open. The cost is a named profile; the head records its numbers, so raising the default leaves old vaults
   readable.
2. A secret's associated data is "hedui/secret/v1\n" ‖ name: a file renamed to another secret's name does
   not open.
3. Every write goes to a temporary file of mode 0600 in the same folder, is synced, renamed over the old file,
   and the folder is synced. A crash at any point leaves the old or the new secret, never a part of one.
4. Writers of all processes (flock) and threads exclude each other. Readers need no lock: a rename is atomic.
5. The passphrase is used once, when the vault is opened; the instance keeps only the data key.

A holder of the folder without the passphrase learns names, sizes and times of change, and can replace a file
by an *older* one of the same name: protection against such a rollback comes from the ledger, not from here.
    After
``change_passphrase`` an old copy of ``vault.json`` with the old passphrase still opens the same data key:
destroy old copies.

POSIX only (Linux, macOS; Windows through WSL).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import (
    BadSecretNameError,
    SealedHeaderDamagedError,
    SecretExistsError,
    SecretMissingError,
    VaultDamagedError,
    WrongPassphraseError,
)
from keys.wrapping import FAST_TEST, KEY_BYTES, MAX_HEAD_BYTES, STANDARD, ScryptProfile, unwrap, wrap

FORMAT = "hedui/vault/v1"
HEAD = "vault.json"
SUFFIX = ".secret"
MAGIC = b"hedui/secret/v1\n"
NONCE_BYTES = 12
TAG_BYTES = 16
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")

__all__ = ["FAST_TEST", "STANDARD", "ScryptProfile", "Vault"]


class Vault:
    """The secrets in one folder. Safe to share between threads; several processes may open one folder.

    The vault is created on first use. An instance does not keep the passphrase; its representation shows only
    the folder.
    """

    def __init__(self, folder: Path, passphrase: bytes, *, profile: ScryptProfile = STANDARD) -> None:
        """Open the vault in ``folder``, or create it with mode 0700 and the given cost.

        Args:
            folder: created with its parents if missing.
            passphrase: at least one byte.
            profile: cost for a *new* vault; an existing one keeps the cost in its head.

        Raises:
            WrongPassphraseError: it does not open this vault, or is empty.
            VaultDamagedError: the head is unreadable, or missing while secrets are there.
        """
        if not passphrase:
            raise WrongPassphraseError("the passphrase is empty: give the one this vault was created with")
        self._folder = folder
        self._lock = threading.Lock()
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(folder.parent)
        self._data_key = self._open(passphrase, profile)

    def put(self, name: str, secret: bytes, *, replace: bool = True) -> None:
        """Store ``secret`` under ``name``; durable when this returns.

        Raises:
            BadSecretNameError: not 1 to 100 of a-z 0-9 . _ - beginning with a letter or digit.
            SecretExistsError: the name is taken and ``replace`` is false.
        """
        path = self._path(name)
        nonce = secrets.token_bytes(NONCE_BYTES)
        data = MAGIC + nonce + AESGCM(self._data_key).encrypt(nonce, secret, MAGIC + name.encode("ascii"))
        with self._writing():
            if not replace and path.exists():
                raise SecretExistsError(f"secret {name!r} exists: delete it first, or choose another name")
            self._write(path, data)

    def get(self, name: str) -> bytes:
        """Return the secret stored under ``name``.

        Raises:
            BadSecretNameError: not a valid name.
            SecretMissingError: there is no secret of that name.
            VaultDamagedError: its file was cut short, changed, or belongs to another name or vault.
        """
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise SecretMissingError(
                f"there is no secret {name!r}: create it, or restore it from a backup"
            ) from None
        start = len(MAGIC) + NONCE_BYTES
        if len(data) < start + TAG_BYTES or not data.startswith(MAGIC):
            raise VaultDamagedError(f"the file of secret {name!r} is damaged: restore it from a backup")
        nonce = data[len(MAGIC) : start]
        try:
            return AESGCM(self._data_key).decrypt(nonce, data[start:], MAGIC + name.encode("ascii"))
        except InvalidTag:
            raise VaultDamagedError(
                f"the file of secret {name!r} was changed or is another's: restore it from a backup"
            ) from None

    def delete(self, name: str) -> None:
        """Remove a secret, and the remains of an interrupted write of it; durable when this returns.

        Raises:
            BadSecretNameError: not a valid name.
            SecretMissingError: there is no secret of that name.
        """
        path = self._path(name)
        with self._writing():
            self._temporary(path).unlink(missing_ok=True)
            try:
                path.unlink()
            except FileNotFoundError:
                raise SecretMissingError(f"there is no secret {name!r}: nothing was deleted") from None
            _sync(self._folder)

    def names(self) -> list[str]:
        """Names of all secrets, sorted."""
        found = (path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def change_passphrase(self, passphrase: bytes, *, profile: ScryptProfile = STANDARD) -> None:
        """Wrap the data key under a new passphrase and cost, in one atomic step; secrets stay as they are.

        Raises:
            WrongPassphraseError: the new passphrase is empty.
        """
        if not passphrase:
            raise WrongPassphraseError("the new passphrase is empty: choose one")
        with self._writing():
            self._write(self._folder / HEAD, wrap(FORMAT, passphrase, profile, self._data_key))

    def __repr__(self) -> str:
        return f"Vault({str(self._folder)!r})"

    def _open(self, passphrase: bytes, profile: ScryptProfile) -> bytes:
        path = self._folder / HEAD
        with self._writing():
            if not path.exists():
                if self.names():
                    raise VaultDamagedError(
                        f"{HEAD} is missing while secrets are there: restore it from a backup"
                    )
                self._write(path, wrap(FORMAT, passphrase, profile, secrets.token_bytes(KEY_BYTES)))
        with path.open("rb") as file:
            data = file.read(MAX_HEAD_BYTES + 1)
        try:
            return unwrap(FORMAT, data, passphrase)
        except SealedHeaderDamagedError:
            raise VaultDamagedError(
                f"{HEAD} is damaged or of another version: restore it from a backup"
            ) from None
        except WrongPassphraseError:
            raise WrongPassphraseError(
                "the passphrase does not open this vault: give the one it was created with; "
                f"if you are sure of it, {HEAD} was changed: restore it from a backup"
            ) from None

    def _path(self, name: str) -> Path:
        if NAME.fullmatch(name) is None:
            raise BadSecretNameError(
                "a secret's name is 1 to 100 of a-z 0-9 . _ - and begins with a letter or digit"
            )
        return self._folder / (name + SUFFIX)

    @staticmethod
    def _temporary(path: Path) -> Path:
        return path.with_name(f".{path.name}.tmp")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    def _write(self, path: Path, data: bytes) -> None:
        temporary = self._temporary(path)
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(self._folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
