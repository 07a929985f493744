r"""Cosignatures: a witness's timed statement about a checkpoint, as c2sp.org/tlog-cosignature says (Ed25519).

    message   = "cosignature/v1\n" ‖ "time <seconds>\n" ‖ checkpoint text
    blob      = u64 big-endian time ‖ Ed25519 signature over the message
    key id    = SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[:4]

It states that at that time the greatest consistent tree this witness had seen of that origin has that root.
The message does not name the witness, so each witness has a key of its own, used for nothing else.
"""

from __future__ import annotations

from keys.errors import KeysError
from keys.signing import SigningKey
from ledger.errors import NoteError
from ledger.note import TYPE_COSIGNATURE, Note, Signature, VerifierKey

_SIGNATURE_BYTES = 64
_TIME_LIMIT = 1 << 63


class Cosigner:
    """A witness's name and key of type 0x04."""

    def __init__(self, name: str, key: SigningKey) -> None:
        self._key = key
        self._verifier = VerifierKey(name, TYPE_COSIGNATURE, key.public)

    @property
    def verifier(self) -> VerifierKey:
        """The public half, as a trust policy lists it."""
        return self._verifier

    def cosign(self, text: str, time: int) -> Signature:
        """Cosign a checkpoint's text at ``time`` (POSIX seconds).

        Raises:
            NoteError: the time is not in 1 … 2^63 − 1.
        """
        if not 0 < time < _TIME_LIMIT:
            raise NoteError("a cosignature's time is a positive number of seconds below 2^63")
        signature = self._key.sign(message(text, time))
        return Signature(self._verifier.name, self._verifier.id, time.to_bytes(8, "big") + signature)


def message(text: str, time: int) -> bytes:
    """The bytes a cosignature signs."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def verify_cosignature(text: str, signature: Signature, key: VerifierKey) -> int:
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


def cosignature_time(line: Signature) -> int:
    """The time a verified line carries, POSIX seconds."""
    return int.from_bytes(line.blob[:8], "big")


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """The latest time at which ``key`` cosigned ``note``, or None where no line names it.

    Raises:
        NoteError: a line names the key and is malformed or false.
    """
    times = [verify_cosignature(note.text, line, key) for line in note.signed_by(key)]
    return max(times) if times else None
