r"""A file of any length, encrypted as a whole under a passphrase, written and read as a stream.

    head     one line, ``keys.wrapping``: the file key (32 random bytes) under the passphrase
    chunk i  AES-256-GCM(file key, nonce = u88 i ‖ final) of 65,536 bytes; the last one of 1 to 65,536 (0 only
             in an empty file), with final = 1, every other with final = 0; associated data: the head

Numbered chunks with a mark on the last one are the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár,
Online authenticated encryption, CRYPTO 2015), as in age: a chunk that was changed, left out, repeated,
moved, cut off or added does not open. A key is used for one file, so a counter is a valid nonce. One chunk is
held in memory.

A reader gets the bytes of a chunk once that chunk has verified. Whether the file is whole is known only at
its
end, where a missing final chunk raises: **a caller must not act on what it has read before that**.

Without the passphrase, the holder of a file learns only its length.
"""

from __future__ import annotations

import io
import secrets
from types import TracebackType
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from keys.errors import (
    SealedFileDamagedError,
    SealedHeaderDamagedError,
    WrongFilePassphraseError,
    WrongPassphraseError,
)
from keys.wrapping import KEY_BYTES, MAX_HEAD_BYTES, STANDARD, TAG_BYTES, ScryptProfile, unwrap, wrap

FORMAT = "hedui/sealed-file/v1"
CHUNK_BYTES = 1 << 16
DAMAGED = "the file was cut short or changed: take another copy of it"


class SealedWriter:
    """Writes one sealed file; ``close`` writes the final chunk, without which the file does not open."""

    def __init__(self, file: BinaryIO, passphrase: bytes, *, profile: ScryptProfile = STANDARD) -> None:
        """Write the head.

        Args:
            file: open for writing; stays open.
            passphrase: at least one byte.
            profile: cost of a guess.
        """
        key = secrets.token_bytes(KEY_BYTES)
        self._file = file
        self._head = wrap(FORMAT, passphrase, profile, key)
        self._cipher = AESGCM(key)
        self._pending = bytearray()
        self._index = 0
        self._open = True
        file.write(self._head)

    def write(self, data: bytes) -> int:
        """Add bytes; every whole chunk is written at once."""
        self._pending += data
        while len(self._pending) > CHUNK_BYTES:  # the last chunk is held back: it may be the final one
            self._chunk(bytes(self._pending[:CHUNK_BYTES]), final=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the final chunk; nothing may be written afterwards."""
        if self._open:
            self._chunk(bytes(self._pending), final=True)
            self._open = False

    def __enter__(self) -> SealedWriter:
        """Begin a block that ``close`` ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, unless the block failed: the file then stays without its final chunk."""
        if error is None:
            self.close()

    def _chunk(self, plain: bytes, *, final: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._index, final=final), plain, self._head))
        self._index += 1


class SealedReader(io.RawIOBase):
    """Reads one sealed file from its beginning."""

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        """Read the head.

        Raises:
            SealedFileDamagedError: not a sealed file, or its head was changed.
            WrongFilePassphraseError: the passphrase does not open it.
        """
        super().__init__()
        self._file = file
        self._head = file.readline(MAX_HEAD_BYTES + 1)
        try:
            key = unwrap(FORMAT, self._head, passphrase)
        except SealedHeaderDamagedError as error:
            raise SealedFileDamagedError(f"no sealed file of this version, or {DAMAGED}") from error
        except WrongPassphraseError as error:
            raise WrongFilePassphraseError(str(error)) from error
        self._cipher = AESGCM(key)
        self._index = 0
        self._ahead = self._sealed()
        self._plain = b""
        self._at = 0
        self._ended = False

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer will do
        """Read the next bytes into ``buffer``; returns their number, 0 at the end of a whole file.

        Raises:
            SealedFileDamagedError: cut short, continued or changed.
        """
        while self._at == len(self._plain) and not self._ended:
            self._next()
        part = self._plain[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _next(self) -> None:
        sealed, self._ahead = self._ahead, self._sealed()
        final = not self._ahead
        try:
            plain = self._cipher.decrypt(_nonce(self._index, final=final), sealed, self._head)
        except InvalidTag:
            raise SealedFileDamagedError(DAMAGED) from None
        if not plain and self._index:
            raise SealedFileDamagedError(DAMAGED)
        self._plain, self._at, self._ended = plain, 0, final
        self._index += 1

    def _sealed(self) -> bytes:
        """The next chunk as stored; short or empty at the end of the file."""
        parts: list[bytes] = []
        missing = CHUNK_BYTES + TAG_BYTES
        while missing and (part := self._file.read(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _nonce(index: int, *, final: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([final])
