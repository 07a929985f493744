"""Checkpoints: the signed head of a log, exactly as c2sp.org/tlog-checkpoint says.

    <origin>
    <size, decimal>
    <base64 of the RFC 6962 root>
    <extension lines, none in this ledger's own checkpoints>

The text is a signed note's. That a tree of size 0 has the root SHA-256("") is for whoever judges consistency.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import CheckpointError, NoteError
from ledger.merkle import HASH_BYTES
from ledger.note import Note, NoteSigner, VerifierKey, base64_text, decimal, unbase64, verify_ed25519


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
    """The checkpoint in a note that ``log`` signed; cosignatures are not looked at.

    Raises:
        CheckpointError: the text is no checkpoint, or one of another origin.
        NoteError: the log's signature is absent or false.
    """
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise CheckpointError("the checkpoint is one of another log: its origin is not the log key's name")
    verify_ed25519(note, log)
    return checkpoint
