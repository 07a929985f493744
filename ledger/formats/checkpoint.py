r"""Checkpoints and their cosignatures, exactly as c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature say.

A checkpoint is the signed head of a log. It is the text of a signed note:

    <origin>
    <size, decimal>
    <base64 of the RFC 6962 root>
    <extension lines, none in this ledger's own checkpoints>

That a tree of size 0 has the root SHA-256("") is not checked here, but where consistency is.

A cosignature (Ed25519) is a witness's timed statement about a checkpoint: at that time the root was that of
the largest consistent tree that this witness had seen of that origin.

    message   = "cosignature/v1\n" ‖ "time <seconds>\n" ‖ checkpoint text
    blob      = u64 big-endian time ‖ Ed25519 signature over the message
    key id    = SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[:4]

The message does not name the witness, so each witness has a key of its own that is used for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.errors import KeysError
from keys.signing import SigningKey
from ledger.errors import CheckpointError, NoteError
from ledger.formats.note import (
    TYPE_COSIGNATURE,
    Note,
    NoteSignature,
    NoteSigner,
    VerifierKey,
    base64_text,
    decimal,
    unbase64,
    verify_ed25519,
)
from ledger.merkle import HASH_BYTES

_SIGNATURE_BYTES = 64
_TIME_LIMIT = 1 << 63


@dataclass(frozen=True)
class Checkpoint:
    """The head of one log.

    Attributes:
        origin: unique name of the log, one line.
        size: number of leaves.
        root: RFC 6962 root, 32 bytes.
        extensions: further lines, opaque; empty in this ledger.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint's note.

        Raises:
            CheckpointError: malformed.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] != "" or any(line == "" for line in lines[:-1]):
            raise CheckpointError("a checkpoint is at least three lines, none of them empty")
        try:
            size, root = decimal(lines[1]), unbase64(lines[2])
        except NoteError as error:
            raise CheckpointError(f"a checkpoint's size or root is malformed: {error}") from error
        if len(root) != HASH_BYTES:
            raise CheckpointError("a checkpoint's root has 32 bytes")
        return cls(lines[0], size, root, tuple(lines[3:-1]))

    def text(self) -> str:
        """The note text."""
        lines = (self.origin, str(self.size), base64_text(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> Note:
    """The log's own signature over a checkpoint.

    Raises:
        CheckpointError: the signer's name is not the origin.
    """
    if signer.verifier.name != checkpoint.origin:
        raise CheckpointError("the name of a log key is the origin of its checkpoints")
    return signer.sign(checkpoint.text())


def verify_signed(note: Note, log: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that ``log`` signed; cosignatures are not verified.

    Raises:
        CheckpointError: the text is no checkpoint, or one of another origin.
        NoteError: the log's signature is absent or false.
    """
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise CheckpointError("the checkpoint is one of another log: its origin is not the log key's name")
    verify_ed25519(note, log)
    return checkpoint


class Cosigner:
    """A witness's name and key of type 0x04."""

    def __init__(self, name: str, key: SigningKey) -> None:
        self._key = key
        self._verifier = VerifierKey(name, TYPE_COSIGNATURE, key.public)

    @property
    def verifier(self) -> VerifierKey:
        """The public half, as a trust policy lists it."""
        return self._verifier

    def cosign(self, text: str, time: int) -> NoteSignature:
        """Cosign a checkpoint's text at ``time`` (POSIX seconds).

        Raises:
            NoteError: the time is not in 1 … 2^63 − 1.
        """
        if not 0 < time < _TIME_LIMIT:
            raise NoteError("a cosignature's time is a positive number of seconds below 2^63")
        signature = self._key.sign(message(text, time))
        return NoteSignature(self._verifier.name, self._verifier.id, time.to_bytes(8, "big") + signature)


def message(text: str, time: int) -> bytes:
    """The bytes a cosignature signs."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def verify_cosignature(text: str, signature: NoteSignature, key: VerifierKey) -> int:
    """Check one line over a checkpoint's text and return its time in POSIX seconds.

    Raises:
        NoteError: the line is another key's, malformed, without a time, or false.
    """
    if key.kind != TYPE_COSIGNATURE or not signature.by(key):
        raise NoteError(f"the line is no cosignature by {key.name}")
    if len(signature.blob) != 8 + _SIGNATURE_BYTES:
        raise NoteError(f"the cosignature by {key.name} has a wrong length")
    time = int.from_bytes(signature.blob[:8], "big")
    if not 0 < time < _TIME_LIMIT:
        raise NoteError(f"the cosignature by {key.name} carries no valid time")
    try:
        key.public.verify(message(text, time), signature.blob[8:])
    except KeysError as error:
        raise NoteError(f"the cosignature by {key.name} is false: reject the whole note") from error
    return time


def cosignature_time(line: NoteSignature) -> int:
    """The time a verified line carries, POSIX seconds."""
    return int.from_bytes(line.blob[:8], "big")


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """The latest time at which ``key`` cosigned ``note``, or None if no line names it.

    Raises:
        NoteError: a line names the key and is malformed or false.
    """
    times = [verify_cosignature(note.text, line, key) for line in note.signed_by(key)]
    return max(times) if times else None
